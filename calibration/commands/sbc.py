"""``twin sbc``: simulation-based calibration of a study's or a PEtab problem's posteriors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from calibration.commands.options import whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.files import output_folder, write_dataset, write_table
from twin.commands.tables import figure, text_table
from twin.errors import ProblemError

METHODS = ("smc", "nuts")
SIMULATIONS = 200


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin sbc``."""
    add_source(parser)
    parser.add_argument("--study", dest="named_study", metavar="NAME", help="the same as the argument STUDY")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--simulations", type=whole(10), default=SIMULATIONS, metavar="N", help=f"simulated data ({SIMULATIONS})"
    )
    how.add_argument("--method", choices=METHODS, default="smc", help="sampler that is checked (default smc)")
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything (default 0)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for sbc.csv, sbc.nc, sbc.png")


def run(args: Namespace) -> int:
    """Simulate, sample, write and print; 1 if ranks are not uniform."""
    if args.named_study:
        if args.study:
            raise ProblemError("a study is named twice", where="options", fix="leave out --study")
        args.study = args.named_study
    problem = problem_of(args)
    folder = output_folder(args.out)

    from calibration.sampling.simulation import sbc as calibrate

    found = calibrate(problem, args.simulations, args.seed, method=args.method, quiet=args.quiet)
    table = found.table()
    write_table(table, folder / "sbc.csv", index=True)
    write_dataset(found.to_dataset(), folder / "sbc.nc")
    found.plot().savefig(folder / "sbc.png", dpi=150)
    args.saved += [folder / f"sbc.{kind}" for kind in ("csv", "nc", "png")]
    rows = [
        (str(name), *(figure(value, 3) for value in row))
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    print(text_table(("quantity", *table.columns), rows, left=(0,)))
    print(found)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0 if found.is_calibrated() else 1


sbc = Command(
    name="sbc",
    summary="simulation-based calibration: are posteriors of simulated data right on average?",
    configure=configure,
    run=run,
    description="""\
Draw vectors from the prior, simulate readings at the study's own design, sample each posterior, rank the truth.

  twin sbc influenza_baccam2006 --simulations 200 --out ranks
  twin sbc --study theophylline --method nuts --out ranks
  twin sbc problem.yaml --out ranks

FOLDER gets sbc.csv (a row per parameter: p-value of uniform ranks, bias, contraction), sbc.nc (all ranks and truths)
and sbc.png (ranks against the band of uniform ones). The exit status is 1 if ranks are not uniform at 1 %.""",
)
