"""``twin assess``: the gap between a twin and measurements it has not seen, as a page, tables and draws."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from calibration.commands.options import add_problem_options, add_sampling_options, problem_from, whole
from calibration.commands.summary import (
    credibility_text,
    diagnostics_text,
    discrepancy_text,
    scores_text,
    verdict_text,
    write_assessment,
)
from twin.commands.command import Command
from twin.commands.files import output_folder
from twin.errors import ProblemError

if TYPE_CHECKING:
    from calibration.problem import Problem
    from calibration.sim2real.assess import Kind
    from calibration.sim2real.splits import Split

KINDS = ("time", "subject", "experiment")


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin assess``."""
    parser.add_argument("study", nargs="?", metavar="STUDY", help="a study of the library")
    add_problem_options(parser)
    split = parser.add_argument_group("what is held out")
    split.add_argument("--split", choices=KINDS, help="default: the study's first, or time")
    split.add_argument("--fraction", type=float, default=0.35, metavar="X", help="share of the times, for time (0.35)")
    split.add_argument("--folds", type=whole(2), default=3, metavar="N", help="folds, for subject (3)")
    split.add_argument("--hold-out", metavar="A,B", help="experiments, for experiment without a study")
    parser.add_argument("--context", metavar="FILE", help="YAML file with the context of use and its thresholds")
    add_sampling_options(parser, starts=24)
    parser.add_argument(
        "--discrepancy",
        nargs="?",
        const="shared",
        choices=("shared", "own"),
        help="also sample what must be added to the mechanism: one curve per observable (shared, the default) or one "
        "per series (own)",
    )
    parser.add_argument(
        "--along", metavar="NAME",
        help="let the discrepancy differ along a number of the experiments, with a size for each: a parameter or state "
        "that they set, a covariate, or 'study' for the numbers that the study gives them; asks for --discrepancy",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for report.html, scores.csv, draws")


def run(args: Namespace) -> int:
    """Assess, write and print."""
    problem = problem_from(args)
    kind = args.split or (problem.study.splits[0] if problem.study is not None else "time")
    split = _held_out(problem, kind, args.hold_out)
    folder = output_folder(args.out)

    import calibration

    assessment = calibration.assess(
        problem,
        split=split,
        seed=args.seed,
        starts=args.starts,
        chains=args.chains,
        warmup=args.warmup,
        draws=args.draws,
        fraction=args.fraction,
        folds=args.folds,
        context=args.context,
        discrepancy=args.discrepancy or False,
        along=args.along,
        quiet=args.quiet,
    )
    page = write_assessment(assessment, folder, args.saved)
    texts = [text(assessment) for text in (verdict_text, scores_text, discrepancy_text, diagnostics_text)]
    if assessment.credibility is not None:
        texts.append(credibility_text(assessment.credibility))
    print("\n\n".join(filter(None, texts)))
    print(f"\nthe page: {page}\nscores and draws: {folder}")
    return 0


def _held_out(problem: Problem, kind: Kind, names: str | None) -> Kind | Split:
    """The kind of split, or the split itself where experiments are named."""
    if names is None:
        return kind
    if kind != "experiment":
        raise ProblemError("--hold-out names experiments", where="options", fix="add --split experiment")
    from calibration.sim2real.splits import split_experiment

    return split_experiment(problem.measurements.table, [name.strip() for name in names.split(",") if name.strip()])


assess = Command(
    name="assess",
    summary="measure the gap between a twin and measurements it has not seen",
    configure=configure,
    run=run,
    description="""\
Calibrate on a part of the measurements, predict the rest, and say how far the twin is from reality.

  twin assess influenza_baccam2006 --split subject --out results
  twin assess --model theophylline --data serum.csv --dose gut=4.02@0 --split time --out results
  twin assess influenza_hayden1996 --context examples/antiviral_context.yaml --split experiment --out results

FOLDER gets report.html (one page that needs nothing else), scores.csv (a row per held-out reading) and
draws_1.nc, ... (a posterior per fold); with --discrepancy also discrepancy.csv,
and with --along discrepancy_by_dose.csv.""",
)
