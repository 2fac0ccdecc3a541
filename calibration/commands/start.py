"""Where a command begins: at a fit that ``twin calibrate`` wrote, or at one made now."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import whole
from twin.errors import ProblemError

if TYPE_CHECKING:
    from argparse import _ArgumentGroup

    import numpy as np

    from calibration.problem import Problem


def add_start(group: _ArgumentGroup, starts: int) -> None:
    """The options ``--fit`` and ``--starts``."""
    group.add_argument("--fit", metavar="FILE", help="fit.csv of twin calibrate; default: fit now")
    group.add_argument("--starts", type=whole(1), default=starts, metavar="N", help=f"starts of the fit ({starts})")


def start_of(args: Namespace, problem: Problem) -> np.ndarray:
    """The best vector of the file that is named, or else of a fit, which is printed; estimation scale.

    Raises:
        ProblemError: the file cannot be read, or belongs to another problem.
    """
    from calibration.optimise.fit import fit

    if args.fit:
        return read_fit(args.fit, problem)
    found = fit(problem, args.starts, args.seed, quiet=args.quiet)
    print(found, flush=True)
    return found.best


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

    from calibration.scales import DOMAIN, has_place, to_scale

    theta = []
    for entry, value in zip(problem.parameters.entries, values, strict=True):
        number = float(value) if isinstance(value, int | float | np.number) else np.nan
        if not has_place(number, entry.scale):
            raise ProblemError(
                f"{entry.name!r} is {value}",
                where=where,
                expected=f"{DOMAIN[entry.scale]}, for its {entry.scale} scale",
            )
        theta.append(to_scale(number, entry.scale))
    margin = 1e-6 * (problem.upper - problem.lower)
    near = np.clip(theta, problem.lower, problem.upper)
    return np.where(np.abs(near - theta) <= margin, near, theta)
