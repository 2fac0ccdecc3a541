"""``twin profile``: how far each parameter can move before the data object, as a table, curves and a picture."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import whole
from calibration.commands.problem_source import add_source, problem_of
from calibration.commands.start import add_start, start_of
from twin.commands.command import Command
from twin.commands.files import output_folder, write_dataset, write_table
from twin.commands.tables import figure, text_table

if TYPE_CHECKING:
    from calibration.profiles.result import Profiles

STARTS = 50


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin profile``."""
    add_source(parser)
    what = parser.add_argument_group("what is profiled")
    what.add_argument("--parameters", metavar="A,B", help="entries of the vector (default all)")
    what.add_argument("--level", type=_level, default=0.95, metavar="X", help="confidence level (0.95)")
    what.add_argument("--with-prior", action="store_true", help="profile the posterior density, not the likelihood")
    what.add_argument("--steps", type=whole(1), default=60, metavar="N", help="most points on each side (60)")
    start = parser.add_argument_group("where it begins")
    add_start(start, STARTS)
    start.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of the starts (default 0)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--out", default="profiles", metavar="FOLDER", help="folder for profiles.csv, .nc, .png (default profiles)"
    )


def run(args: Namespace) -> int:
    """Fit or read a fit, profile, write and print."""
    problem = problem_of(args)
    folder = output_folder(args.out)
    names = [name.strip() for name in args.parameters.split(",") if name.strip()] if args.parameters else None

    from calibration.profiles.likelihood import check_names, profile

    check_names(problem, names)  # before minutes are spent on a fit
    print(f"{problem.name}: {problem.measurements!r}", flush=True)
    start = start_of(args, problem)
    found = profile(
        problem, start, names, level=args.level, with_prior=args.with_prior, steps=args.steps, quiet=args.quiet
    )
    write_profiles(found, folder, args.saved)
    print(profiles_text(found))
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def write_profiles(found: Profiles, folder: Path, saved: list[Path]) -> None:
    """Write profiles.csv (intervals and flags), profiles.nc (the curves) and profiles.png."""
    write_table(found.table(), folder / "profiles.csv", index=True)
    saved.append(folder / "profiles.csv")
    write_dataset(found.to_dataset(), folder / "profiles.nc")
    saved.append(folder / "profiles.nc")
    found.plot().savefig(folder / "profiles.png", dpi=130)
    saved.append(folder / "profiles.png")


def profiles_text(found: Profiles) -> str:
    """Intervals and flags for a terminal, linear scale."""
    rows = []
    for name, row in found.table().iterrows():
        along = f" (with {row['moves_along']})" if str(row["moves_along"]) else ""
        interval = f"{figure(row['lower'], 3)} to {figure(row['upper'], 3)}"
        rows.append((str(name), figure(row["estimate"]), interval, f"{row['flag']}{along}"))
    text = text_table(("parameter", "best", f"{100 * found.level:g} % interval", ""), rows, left=(0, 2, 3))
    if found.better_objective is not None:
        text += (
            f"\na better optimum than the fit was found: {found.better_objective:.4f} against {found.objective:.4f};"
            "\nraise --starts and profile again"
        )
    return f"{text}\n{found.evaluations} evaluations in {found.seconds:.1f} s"


def _level(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 < value < 1.0:
        raise ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value


profile = Command(
    name="profile",
    summary="profile likelihoods: confidence intervals, and which parameters the data do not determine",
    configure=configure,
    run=run,
    description="""\
Hold each parameter at values further and further from its optimum and fit all others again.

  twin profile influenza_baccam2006 --parameters beta,p
  twin profile problem.yaml --level 0.9 --out profiles
  twin profile --model theophylline --data serum.csv --fit results/fit.csv

FOLDER gets profiles.csv (intervals and flags, linear scale), profiles.nc (the curves, estimation scale) and
profiles.png.""",
)
