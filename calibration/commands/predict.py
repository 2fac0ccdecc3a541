"""``twin predict``: predict readings that are not there yet, and freeze the predictions if asked."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from calibration.commands.options import add_sampling_options
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.dosing import experiment_from
from twin.commands.files import output_file, write_table
from twin.commands.tables import figure, text_table
from twin.errors import ProblemError

if TYPE_CHECKING:
    import pandas as pd

    from calibration.problem import Problem
    from calibration.prospective.frozen import Frozen
    from twin.experiment import Experiment

SPLITS = ("time", "experiment")
MOST_ROWS = 24


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin predict``."""
    add_source(parser)
    what = parser.add_argument_group("what is predicted")
    what.add_argument(
        "--design", metavar="FILE", help="a CSV table with columns experiment, subject, observable, time (no values)"
    )
    what.add_argument(
        "--split", choices=SPLITS, help="the readings that the study holds out so; it is calibrated on the others"
    )
    what.add_argument("--question", default="", metavar="TEXT", help="what the prediction is for; it is hashed, too")
    add_sampling_options(parser, starts=24)
    parser.add_argument("--freeze", metavar="FILE.nc", help="write the predictions with their hash, for twin score")
    parser.add_argument("--out", metavar="FILE.csv", help="write the quantiles of every predicted reading")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: Namespace) -> int:
    """Calibrate, predict, write and print."""
    if bool(args.design) == bool(args.split):
        raise ProblemError(
            "it is not said what to predict" if not args.design else "--design and --split are both given",
            where="options",
            expected="--design FILE for readings to come, or --split time for those that a study holds out",
        )
    # A slip in a file name must not cost the calibration.
    paths = {
        name: output_file(text, f"--{name}", (suffix,))
        for name, suffix in (("freeze", ".nc"), ("out", ".csv"))
        if (text := getattr(args, name))
    }
    problem = problem_of(args)
    problem, design = _held_out(problem, args.split) if args.split else (problem, _read(args.design, problem))
    print(f"{problem.name}: calibrated on {problem.measurements!r}; {len(design)} readings to predict", flush=True)

    import calibration

    frozen = calibration.freeze(
        problem,
        design,
        experiments=_experiments(args, design),
        seed=args.seed,
        starts=args.starts,
        chains=args.chains,
        warmup=args.warmup,
        draws=args.draws,
        question=args.question,
        quiet=args.quiet,
    )
    print(f"\n{predictions_text(frozen)}\n{convergence_text(frozen)}")
    if "out" in paths:
        write_table(frozen.quantiles(), paths["out"])
        args.saved.append(paths["out"])
    if "freeze" in paths:
        sha256 = frozen.save(paths["freeze"])
        args.saved.append(paths["freeze"])
        print(f"\nfrozen {frozen.about['frozen_at']}: {paths['freeze']}\nsha256 {sha256}")
        print("Give the hash to somebody else, or publish it, before the readings are made; then: twin score")
    return 0


def _read(path: str, problem: Problem) -> pd.DataFrame:
    from calibration.prospective.design import read_design

    return read_design(path, problem)


def _experiments(args: Namespace, design: pd.DataFrame) -> dict[str, Experiment]:
    """The doses of the command line hold for every experiment of the design; a study says for itself."""
    return {} if args.study else dict.fromkeys(design["experiment"], experiment_from(args))


def _held_out(problem: Problem, kind: str) -> tuple[Problem, pd.DataFrame]:
    """The problem with the training readings of a split, and the design of the others."""
    from calibration.sim2real.splits import make_split

    table = problem.measurements.table
    split = make_split(table, kind, problem.study)
    fold = split.folds[0]
    return problem.with_rows(fold.train), table.loc[fold.test, ["experiment", "subject", "observable", "time", "noise"]]


def predictions_text(frozen: Frozen) -> str:
    """Predicted readings with their intervals, for a terminal."""
    table = frozen.quantiles()
    rows = [
        (row["experiment"], row["subject"], row["observable"], figure(row["time"]), figure(row["q50"], 3),
         f"{figure(row['q05'], 3)} to {figure(row['q95'], 3)}")
        for row in table.head(MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    head = ("experiment", "subject", "observable", "time", "median", "90 % of readings")
    more = len(table) - MOST_ROWS
    return text_table(head, rows, left=(0, 1, 2, 5)) + (f"\nand {more} more" if more > 0 else "")


def convergence_text(frozen: Frozen) -> str:
    """Whether the draws can be trusted."""
    known = frozen.about
    return (
        f"{len(frozen.reading)} draws: worst R-hat {known['worst_r_hat']:.3f}, least bulk ESS "
        f"{known['least_ess_bulk']:.0f}, {known['divergences']} divergent, {known['failed_draws']} failed"
    )


predict = Command(
    name="predict",
    summary="predict readings that are not there yet, and freeze the predictions",
    configure=configure,
    run=run,
    description="""\
Calibrate on the readings there are and predict those to come.

  twin predict --model theophylline --data serum.csv --dose gut=4.02@0 --design next.csv --freeze next.nc
  twin predict influenza_hayden1996 --split experiment --freeze arms.nc --question "are the arms predicted?"

FILE.nc holds predictions of the mechanism and of the baselines, the noise floor, and a hash over all of it: everything
that twin score needs once the readings are there.
A clock can be set back: what shows that predictions came first is the hash in other hands.""",
)
