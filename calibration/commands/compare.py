"""``twin compare``: rival models of the same readings, or a search through a space of models (PEtab Select)."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import whole
from calibration.commands.problem_source import names_petab
from twin.commands.command import Command
from twin.commands.files import output_folder, write_table
from twin.errors import ProblemError

if TYPE_CHECKING:
    from calibration.problem import Problem

STARTS = 50
OF_A_COMPARISON = {"by": "AIC,AICc,BIC", "split": "time", "chains": 4, "warmup": 300, "draws": 500}


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin compare``."""
    parser.add_argument(
        "models", nargs="*", metavar="[NAME=]STUDY|PETAB.yaml",
        help="two or more studies of the library or PEtab problems, all of the same readings",
    )  # fmt: skip
    parser.add_argument("--petab-select", metavar="FILE", help="a PEtab Select problem, in place of models")
    what = parser.add_argument_group("how a set of models is compared")
    what.add_argument(
        "--by", metavar="A,B", help="AIC, AICc, BIC (need fits), loo, held-out, evidence (need draws); AIC,AICc,BIC"
    )
    what.add_argument("--split", choices=("time", "subject", "experiment"), help="what held-out holds out (time)")
    for name in ("chains", "warmup", "draws"):
        what.add_argument(
            f"--{name}", type=whole(1), metavar="N", help=f"{name} of the sampler ({OF_A_COMPARISON[name]})"
        )
    parser.add_argument("--starts", type=whole(1), default=STARTS, metavar="N", help=f"starts of each fit ({STARTS})")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything random (0)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--out", required=True, metavar="FOLDER", help="folder of results; the same command goes on from what is there"
    )


def run(args: Namespace) -> int:
    """Compare or select, write and print."""
    if args.petab_select:
        given = [f"--{name}" for name in OF_A_COMPARISON if getattr(args, name) is not None]
        if args.models or given:
            raise ProblemError(
                f"{(args.models or given)[0]} is given with a PEtab Select problem",
                where="options",
                fix="leave it out: the problem names its models and its criterion",
            )
        return _select(args)
    for name, value in OF_A_COMPARISON.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return _compare(args)


def _select(args: Namespace) -> int:
    folder = output_folder(args.out)
    from calibration.comparison.select import select

    found = select(args.petab_select, folder=folder, starts=args.starts, seed=args.seed, quiet=args.quiet)
    write_table(found.table, folder / "candidates.csv", index=True)
    args.saved += [folder / "candidates.csv", folder / "models.yaml"]
    print(found)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _compare(args: Namespace) -> int:
    from calibration.comparison.compare import compare as weigh
    from calibration.comparison.criteria import criteria

    names = [name.strip() for name in args.by.split(",") if name.strip()]
    criteria(names)  # before models are compiled
    problems = _problems(args.models)
    folder = output_folder(args.out)
    found = weigh(
        problems,
        names,
        starts=args.starts,
        seed=args.seed,
        split=args.split,
        sampling={"chains": args.chains, "warmup": args.warmup, "draws": args.draws},
        folder=folder / "models",
        quiet=args.quiet,
    )
    write_table(found.table, folder / "comparison.csv", index=True)
    found.to_png(folder / "comparison.png")
    args.saved += [folder / "comparison.csv", folder / "comparison.png"]
    print(found)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _problems(texts: list[str]) -> dict[str, Problem]:
    """The problems by name.

    Raises:
        ProblemError: fewer than two, or two of one name.
        TwinError: one cannot be read.
    """
    if len(texts) < 2:
        raise ProblemError(
            f"{len(texts)} models are given", where="options", expected="two or more, or --petab-select FILE"
        )
    from calibration.petab.read import read_petab
    from calibration.problem import Problem

    found: dict[str, Problem] = {}
    for text in texts:
        label, equals, source = text.rpartition("=")
        is_petab = names_petab(source)
        name = label if equals else (Path(source).resolve().parent.name if is_petab else source)
        if name in found:
            raise ProblemError(f"two models are called {name!r}", where="options", fix="write NAME=SOURCE")
        found[name] = read_petab(source) if is_petab else Problem.from_study(source)
    return found


compare = Command(
    name="compare",
    summary="compare rival models of the same readings, or search a space of models (PEtab Select)",
    configure=configure,
    run=run,
    description="""\
Fit each model, sample its posterior where a criterion asks for it, and say which is best and how certain that is.

  twin compare eclipse=a/problem.yaml none=b/problem.yaml --by AICc,loo --out comparison
  twin compare --petab-select petab_select_problem.yaml --out selection

FOLDER gets comparison.csv and comparison.png (or candidates.csv and models.yaml), and what was computed for each model,
from which a killed run goes on.""",
)
