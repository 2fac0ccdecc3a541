"""``twin design``: which readings to take next for a budget, by Fisher information or expected information gain."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import positive, whole
from calibration.commands.problem_source import add_source, problem_of
from calibration.commands.start import add_start, start_of
from twin.commands.command import Command
from twin.commands.dosing import parse_times
from twin.commands.files import output_folder, write_dataset, write_table
from twin.commands.tables import figure, text_table
from twin.errors import ProblemError

if TYPE_CHECKING:
    import xarray as xr

    from calibration.experimental_design.result import Design

STARTS = 24
CRITERIA = {"D": "D", "A": "A", "E": "E", "gain": "information gain"}
UNITS = ("reading", "time", "series", "experiment")
_RANGE = re.compile(r"([^:,]+):([^:,]+):([^:,]+)")


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin design``."""
    add_source(parser)
    what = parser.add_argument_group("what could be read")
    what.add_argument(
        "--times",
        required=True,
        metavar="T,T,...|START:STOP:STEP",
        help="times at which one could read (STOP included)",
    )
    what.add_argument("--observables", metavar="A,B,...", help="observables (default: those of the readings)")
    what.add_argument(
        "--together", choices=UNITS, default="reading", help="what is bought at once (default: each reading alone)"
    )
    what.add_argument("--budget", type=positive(), required=True, metavar="N", help="readings that can be taken")
    what.add_argument("--repeats", type=whole(1), default=1, metavar="N", help="how often one can be taken (1)")
    how = parser.add_argument_group("what it is good for")
    how.add_argument(
        "--criterion", choices=tuple(CRITERIA), default="D",
        help="volume of the confidence region (D, default), mean variance (A), worst direction (E), information gain",
    )  # fmt: skip
    how.add_argument("--interest", metavar="A,B,...", help="entries of the vector that matter (default: all)")
    how.add_argument(
        "--fresh", action="store_true", help="the readings at hand do not count: what should one have read?"
    )
    how.add_argument("--posterior", metavar="FILE", help="posterior.nc of twin calibrate, over which to average")
    add_start(how, STARTS)
    how.add_argument("--draws", type=whole(2), metavar="N", help="draws used (64; 2000 for a gain)")
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything random (default 0)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--out", default="design", metavar="FOLDER", help="folder for design.csv, .nc, .png (default design)"
    )


def run(args: Namespace) -> int:
    """Fit or read a fit or a posterior, design, write and print."""
    problem = problem_of(args)
    folder = output_folder(args.out)

    from calibration.experimental_design.candidates import candidates
    from calibration.experimental_design.design import design as choose

    offered = candidates(problem, _times(args.times), _names(args.observables), together=args.together)
    print(f"{problem.name}: {problem.measurements!r}\n{offered!r}", flush=True)
    theta, posterior = None, None
    if args.posterior:
        posterior = read_posterior(args.posterior)
    elif args.criterion != "gain":
        theta = start_of(args, problem)
    found = choose(
        problem,
        offered,
        args.budget,
        criterion=CRITERIA[args.criterion],  # type: ignore[arg-type]
        theta=theta,
        posterior=posterior,
        interest=_names(args.interest),
        keep_existing=not args.fresh,
        repeats=args.repeats,
        draws=args.draws,
        seed=args.seed,
        quiet=args.quiet,
    )
    write_table(found.table(), folder / "design.csv")
    write_dataset(found.to_dataset(), folder / "design.nc")
    found.plot().savefig(folder / "design.png", dpi=150)
    args.saved += [folder / f"design.{kind}" for kind in ("csv", "nc", "png")]
    print(design_text(found))
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def design_text(found: Design) -> str:
    """Readings to take and what they are good for, for a terminal."""
    errors = found.standard_errors
    pairs = zip(errors.index, errors.to_numpy(), strict=True)
    cells = [(str(name), *(figure(float(x), 3) for x in row)) for name, row in pairs]
    before = "now" if found.kept else "original"
    return f"{found.summary()}\n{text_table(('standard errors', before, 'design', 'ratio'), cells)}"


def read_posterior(text: str) -> xr.DataTree:
    """A posterior.nc.

    Raises:
        ProblemError: the file cannot be read.
    """
    import xarray as xr

    path = Path(text)
    if not path.is_file():
        raise ProblemError(f"there is no file {text!r}", where="--posterior")
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            return tree.load()
    except (OSError, ValueError, KeyError) as error:
        raise ProblemError(
            f"it cannot be read ({error})", where=f"--posterior {text}", expected="the posterior.nc of twin calibrate"
        ) from error


def _times(text: str) -> list[float]:
    if not (match := _RANGE.fullmatch(text.strip())):
        return parse_times(text)
    start, stop, step = parse_times(",".join(match.groups()))
    if step <= 0 or stop < start:
        raise ProblemError(f"{text!r} holds no times", where="--times", expected="START:STOP:STEP with a positive STEP")
    return [start + step * index for index in range(int((stop - start) / step + 1e-9) + 1)]


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


design = Command(
    name="design",
    summary="say which readings to take next for a budget",
    configure=configure,
    run=run,
    description="""\
Choose the readings that tell most about the parameters, in addition to those at hand or (--fresh) instead of them.

  twin design influenza_hayden1996 --times 0.5:8:0.5 --budget 27 --fresh
  twin design problem.yaml --times 0:240:20 --budget 6 --interest k,K
  twin design theophylline --times 0.25:24:0.25 --budget 8 --criterion gain --posterior results/posterior.nc

FOLDER gets design.csv (the readings to take), design.nc (all candidates, standard errors) and design.png. D, A and E go
by the Fisher information at the fit, or averaged over a posterior.""",
)
