"""``twin synthesize``: a labelled synthetic cohort of a study, with its ground truth and its data card."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import parse_by_observable, whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.files import output_folder
from twin.errors import ProblemError

if TYPE_CHECKING:
    import xarray as xr


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin synthesize``."""
    add_source(parser)
    what = parser.add_argument_group("the cohort")
    what.add_argument("--subjects", type=whole(1), default=100, metavar="N", help="virtual subjects (100)")
    what.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything random (0)")
    what.add_argument(
        "--source", default="prior", metavar="prior|nominal|FILE.nc",
        help="where parameters come from: the priors (default), the nominal values, or the posterior of twin calibrate",
    )  # fmt: skip
    how = parser.add_argument_group("how it is measured")
    how.add_argument("--jitter", type=float, default=0.0, metavar="SD", help="scatter of sampling times, time unit (0)")
    how.add_argument("--recorded", default="actual", metavar="actual|nominal", help="times in the table (actual)")
    how.add_argument("--missing", type=float, default=0.0, metavar="P", help="probability that a reading is missed (0)")
    how.add_argument("--dropout", type=float, default=0.0, metavar="P", help="probability that a subject leaves (0)")
    how.add_argument("--batches", type=whole(1), default=1, metavar="N", help="batches that subjects fall into (1)")
    how.add_argument(
        "--batch-sd", type=float, default=0.0, metavar="SD", help="standard deviation of batch effects (0)"
    )
    how.add_argument("--batch-kind", default="gain", metavar="gain|shift", help="of log-gains or of shifts (gain)")
    how.add_argument(
        "--limit", action="append", default=[], metavar="OBSERVABLE=NUMBER",
        help="readings below it are censored; default: as in the study's data",
    )  # fmt: skip
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder of results")


def run(args: Namespace) -> int:
    """Simulate, measure, write and print."""
    from calibration.synthetic.process import Process

    process = Process(
        jitter=args.jitter, recorded=args.recorded, missing=args.missing, dropout=args.dropout, batches=args.batches,
        batch_sd=args.batch_sd, batch_kind=args.batch_kind, detection_limits=_limits(args.limit),
    )  # fmt: skip
    source = args.source if args.source in ("prior", "nominal") else _posterior(args.source)
    folder = output_folder(args.out)
    problem = problem_of(args)
    from calibration.synthetic.synthesize import synthesize as make

    cohort = make(problem, args.subjects, args.seed, process=process, source=source)
    args.saved += cohort.save(folder)
    print(cohort)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _limits(texts: list[str]) -> dict[str, float] | None:
    found = parse_by_observable(texts, "--limit")
    if found is None:
        return None
    if isinstance(found, str):
        raise ProblemError(f"{found!r} has no observable", where="--limit", expected="OBSERVABLE=NUMBER")
    try:
        return {name: float(text) for name, text in found.items()}
    except ValueError as error:
        raise ProblemError(str(error), where="--limit", expected="OBSERVABLE=NUMBER") from error


def _posterior(text: str) -> xr.DataTree:
    if Path(text).suffix != ".nc" or not Path(text).is_file():
        raise ProblemError(
            f"it is {text!r}", where="--source", expected="prior, nominal, or the posterior.nc of twin calibrate"
        )
    import xarray as xr

    try:
        return xr.open_datatree(text, engine="h5netcdf").load()
    except (OSError, ValueError) as error:
        raise ProblemError(f"it cannot be read ({error})", where=f"--source {text}") from error


synthesize = Command(
    name="synthesize",
    summary="make a labelled synthetic cohort of a study, measured as real subjects are",
    configure=configure,
    run=run,
    description="""\
Virtual subjects in the experiments and schedules of a study, measured with its noise, the truth beside the readings.

  twin synthesize theophylline --subjects 200 --jitter 0.1 --missing 0.05 --dropout 0.1 --out cohort
  twin calibrate theophylline --data cohort/readings.csv --out fitted

FOLDER gets readings.csv (the table that other commands read), parameters.csv and endpoints.csv (the truth),
synthetic.nc (all of it and the courses without noise), card.json and card.md (what it is and what is not realistic),
schema.json. The same seed gives the same files to the digit.""",
)
