"""``twin demo``: a twin of influenza in six volunteers, its last days held out, and a page on how far off it is."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser, Namespace

from calibration.commands.options import whole
from calibration.commands.summary import (
    diagnostics_text,
    parameters_text,
    scores_text,
    verdict_text,
    write_assessment,
)
from twin.commands.command import Command
from twin.commands.files import output_folder
from twin.commands.remarks import remark
from twin.commands.tables import terminal_width

STUDY = "influenza_baccam2006"
FULL = {"starts": 24, "chains": 4, "warmup": 400, "draws": 800}
QUICK = {"starts": 8, "chains": 2, "warmup": 100, "draws": 100}


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin demo``."""
    parser.add_argument("--out", default="demo", metavar="FOLDER", help="folder for the page and the draws (demo)")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything random (0)")
    parser.add_argument("--quick", action="store_true", help="few draws: to see that it runs, not to believe it")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: Namespace) -> int:
    """Calibrate, predict the last days, write the page, print a summary."""
    folder = output_folder(args.out)

    import calibration
    from twin import library

    problem = calibration.Problem.from_study(STUDY)
    data = library.dataset(library.study(STUDY).dataset)
    what = f"Calibrating {problem.model.name} to {len(problem.measurements)} readings: {data.title}."
    print(textwrap.fill(what, terminal_width()), end="\n\n", flush=True)
    settings = QUICK if args.quick else FULL
    assessment = calibration.assess(problem, split="time", seed=args.seed, quiet=args.quiet, **settings)
    page = write_assessment(assessment, folder, args.saved)
    parts = (verdict_text, scores_text, parameters_text, diagnostics_text)
    print(*(part(assessment) for part in parts), sep="\n\n")
    if args.quick:
        remark("a quick run: too few draws for the numbers to be believed")
    print(f"\nOpen the page: {page.resolve().as_uri()}\nDraws and scores: {folder}")
    return 0


demo = Command(
    name="demo",
    summary="a twin of influenza in six volunteers: calibrated, tested on later days, shown as a page",
    configure=configure,
    run=run,
)
