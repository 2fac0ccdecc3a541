"""``twin sensitivity``: which parameters the outputs depend on, over all of their priors, and when."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from calibration.commands.options import whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.dosing import parse_times
from twin.commands.files import output_folder, write_dataset, write_table
from twin.commands.tables import figure, text_table

METHODS = ("sobol", "morris")
SHOWN = 12


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin sensitivity``."""
    add_source(parser)
    what = parser.add_argument_group("of what on what")
    what.add_argument("--outputs", metavar="A,B,...", help="observables (default: all)")
    what.add_argument("--times", metavar="T,T,...", help="times (default: those of the readings)")
    what.add_argument("--parameters", metavar="A,B,...", help="those that vary (default: all that matter)")
    what.add_argument("--experiment", metavar="NAME", help="one experiment (default: all)")
    how = parser.add_argument_group("how")
    how.add_argument("--method", choices=METHODS, default="sobol", help="shares of variance (default), or screening")
    how.add_argument(
        "--samples", type=whole(2), metavar="N", help="base samples, a power of 2 (1024); for morris trajectories (64)"
    )
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of the design (default 0)")
    how.add_argument(
        "--most-left-out", type=float, default=0.05, metavar="X",
        help="share of the design that may be left out because runs failed (0.05)",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="folder for sensitivity.csv, sensitivity.nc, sensitivity.png"
    )


def run(args: Namespace) -> int:
    """Sample, write and print."""
    problem = problem_of(args)
    folder = output_folder(args.out)

    from calibration.information.sensitivity import sensitivity as analyse

    found = analyse(
        problem,
        parse_times(args.times) if args.times else None,
        _names(args.parameters),
        _names(args.outputs),
        args.experiment,
        method=args.method,
        samples=args.samples,
        seed=args.seed,
        most_left_out=args.most_left_out,
        quiet=args.quiet,
    )
    table = found.table()
    write_table(table, folder / "sensitivity.csv")
    write_dataset(found.to_dataset(), folder / "sensitivity.nc")
    found.plot().savefig(folder / "sensitivity.png", dpi=150)
    args.saved += [folder / f"sensitivity.{kind}" for kind in ("csv", "nc", "png")]
    rows = [[cell if isinstance(cell, str) else figure(cell, 3) for cell in row] for row in table.to_numpy()]
    print(text_table(list(table.columns), rows[:SHOWN], left=(0, 1)))
    if len(rows) > SHOWN:
        print(f"and {len(rows) - SHOWN} more rows (sensitivity.csv)")
    print(repr(found))
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


sensitivity = Command(
    name="sensitivity",
    summary="say which parameters the outputs depend on, over their priors (extra: sensitivity)",
    configure=configure,
    run=run,
    description="""\
Global sensitivity of a study's or a PEtab problem's outputs over time: Sobol's indices, or Morris' screening.

  twin sensitivity theophylline --method morris --out results
  twin sensitivity problem.yaml --times 10,60,240 --out results

FOLDER gets sensitivity.csv (a row per output and parameter), sensitivity.nc (over time, with intervals) and
sensitivity.png. Parameters follow their priors; without any, they are uniform between their bounds.""",
)
