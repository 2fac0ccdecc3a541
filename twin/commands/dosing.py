"""The options that say what is done to a system, in the text of `twin.experiment.notation`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from twin.experiment.experiment import Equilibration, Experiment
from twin.experiment.notation import parse_change, parse_dose, parse_numbers, parse_times, parse_values

__all__ = [
    "add_experiment_options",
    "experiment_from",
    "is_plain",
    "parse_change",
    "parse_dose",
    "parse_numbers",
    "parse_times",
    "parse_values",
]


def add_experiment_options(parser: ArgumentParser) -> None:
    """The options that say what is done to a system."""
    group = parser.add_argument_group("what is done")
    group.add_argument(
        "--dose",
        action="append",
        default=[],
        metavar="DOSE",
        help="STATE=AMOUNT[UNIT]@TIME, repeated as @TIMExCOUNT/EVERY; an infusion is STATE=AMOUNT@START:DURATION; "
        "may be given several times",
    )
    group.add_argument(
        "--change",
        action="append",
        default=[],
        metavar="CHANGE",
        help="a parameter over a span: 'p=p*(1-0.9)@1.2:3.0'; without a start or stop from the beginning or to the end",
    )
    group.add_argument("--initial", action="append", default=[], metavar="STATE=VALUE", help="an initial state")
    group.add_argument("--t0", type=float, default=0.0, metavar="TIME", help="start of the experiment (default 0)")
    group.add_argument("--equilibrate", action="store_true", help="run to steady state before the start")


def experiment_from(args: Namespace) -> Experiment:
    """The experiment that the options of `add_experiment_options` describe.

    Raises:
        ExperimentError: An option cannot be read, or says what makes no sense.
    """
    return Experiment(
        doses=tuple(parse_dose(text) for text in args.dose),
        changes=tuple(parse_change(text) for text in args.change),
        initial=parse_values(args.initial, "--initial"),
        equilibrate=Equilibration() if args.equilibrate else None,
        t0=args.t0,
    )


def is_plain(args: Namespace) -> bool:
    """Whether nothing is done: no dose, change, initial state, equilibration or other start."""
    return not (args.dose or args.change or args.initial or args.equilibrate or args.t0)
