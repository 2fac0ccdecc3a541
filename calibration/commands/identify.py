"""``twin identify``: what the readings determine, by their Fisher information at the fit or at the nominal vector."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from calibration.commands.options import whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.files import output_folder, write_dataset, write_table
from twin.commands.tables import figure, text_table

if TYPE_CHECKING:
    from calibration.information.fisher import FisherInformation

STARTS = 24
PLACES = ("nominal", "fit")


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin identify``."""
    add_source(parser)
    how = parser.add_argument_group("where and how")
    how.add_argument(
        "--at", choices=PLACES, default="fit", help="the vector: the best of a fit (default), or the nominal one"
    )
    how.add_argument("--starts", type=whole(1), default=STARTS, metavar="N", help=f"starts of the fit ({STARTS})")
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of the starts (default 0)")
    how.add_argument("--with-prior", action="store_true", help="add what the priors say")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--out", required=True, metavar="FOLDER",
        help="folder for parameters.csv, directions.csv, information.nc, information.png",
    )  # fmt: skip


def run(args: Namespace) -> int:
    """Linearise, write and print."""
    problem = problem_of(args)
    folder = output_folder(args.out)
    print(f"{problem.name}: {problem.measurements!r}")

    from calibration.information.fisher import fisher_information

    theta = problem.nominal
    if args.at == "fit":
        from calibration.optimise.fit import fit

        best = fit(problem, args.starts, args.seed, quiet=args.quiet)
        print(best, flush=True)
        theta = best.best
    information = fisher_information(problem, theta, with_prior=args.with_prior)
    write_table(information.table(), folder / "parameters.csv", index=True)
    write_table(information.directions(), folder / "directions.csv")
    write_dataset(information.to_dataset(), folder / "information.nc")
    information.plot().savefig(folder / "information.png", dpi=150)
    names = ("parameters.csv", "directions.csv", "information.nc", "information.png")
    args.saved += [folder / name for name in names]
    print(information_text(information))
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def information_text(information: FisherInformation) -> str:
    """Parameters with their bounds, and what is not determined, for a terminal."""
    rows = [
        (name, figure(row["value"]), f"{figure(row['lower'], 3)} to {figure(row['upper'], 3)}",
         figure(row["standard_error"], 3), row["scale"], row["note"])
        for name, row in information.table().iterrows()
    ]  # fmt: skip
    head = ("parameter", "value", "95 % interval (local)", "standard error", "scale", "")
    return f"{text_table(head, rows, left=(0, 2, 4, 5))}\n{information}"


identify = Command(
    name="identify",
    summary="say what the measurements determine, by their Fisher information",
    configure=configure,
    run=run,
    description="""\
Say which parameters, and which combinations of them, the measurements determine.

  twin identify influenza_baccam2006 --out results
  twin identify problem.yaml --at nominal --out results

FOLDER gets parameters.csv (a row per parameter, with its standard error by the Cramer-Rao bound), directions.csv (the
spectrum), information.nc (everything) and information.png. A local statement: profiles and posteriors say more.""",
)
