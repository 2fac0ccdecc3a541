"""``twin profile``: how far each parameter can move before the data object, as a table, curves and a picture."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.files import output_folder, write_dataset, write_table
from twin.commands.tables import figure, text_table
from twin.errors import ProblemError

if TYPE_CHECKING:
    import numpy as np

    from calibration.problem import Problem
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
    start.add_argument("--fit", metavar="FILE", help="fit.csv of twin calibrate; default: fit now")
    start.add_argument("--starts", type=whole(1), default=STARTS, metavar="N", help=f"starts of the fit ({STARTS})")
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

    from calibration.optimise.fit import fit
    from calibration.profiles.likelihood import check_names, profile

    check_names(problem, names)  # before minutes are spent on a fit
    print(f"{problem.name}: {problem.measurements!r}", flush=True)
    if args.fit:
        start = read_fit(args.fit, problem)
    else:
        start = fit(problem, args.starts, args.seed, quiet=args.quiet)
        print(start, flush=True)
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


def read_fit(text: str, problem: Problem) -> np.ndarray:
    """The best vector of a fit.csv (columns on the linear scale, best start first), on the estimation scale.

    Raises:
        ProblemError: the file cannot be read, or lacks a column of the problem.
    """
    import pandas as pd

    path = Path(text)
    if not path.is_file():
        raise ProblemError(f"there is no file {text!r}", where="--fit")
    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise ProblemError(f"it cannot be read ({error})", where=f"--fit {text}", expected="a CSV table") from error
    missing = [name for name in problem.names if name not in table.columns]
    if missing or table.empty:
        raise ProblemError(
            f"there is no column {missing[0]!r}" if missing else "it has no rows",
            where=f"--fit {text}",
            expected="the fit.csv that twin calibrate wrote for the same problem",
        )
    return to_estimation_scale(table.iloc[0][list(problem.names)].to_numpy(), problem, f"--fit {text}")


def to_estimation_scale(values: np.ndarray, problem: Problem, where: str) -> np.ndarray:
    """A vector of the linear scale on the estimation scales, put back onto bounds that rounding took it past.

    Raises:
        ProblemError: something else than finite numbers, or one without a logarithm.
    """
    import numpy as np

    from calibration.parameters import to_scale

    theta = []
    for entry, value in zip(problem.parameters.entries, values, strict=True):
        number = float(value) if isinstance(value, int | float | np.number) else np.nan
        if not np.isfinite(number) or (entry.scale != "lin" and number <= 0.0):
            raise ProblemError(
                f"{entry.name!r} is {value}", where=where, expected=f"a finite number on a {entry.scale} scale"
            )
        theta.append(to_scale(number, entry.scale))
    margin = 1e-6 * (problem.upper - problem.lower)
    near = np.clip(theta, problem.lower, problem.upper)
    return np.where(np.abs(near - theta) <= margin, near, theta)


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
