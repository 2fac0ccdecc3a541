"""``twin receptors``: a synthetic repertoire that meets an antigen, or learners of binding tested on real receptors."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from calibration.commands.options import whole
from twin.commands.command import Command
from twin.commands.files import output_folder, write_table, write_text
from twin.errors import ProblemError

if TYPE_CHECKING:
    from pathlib import Path

    from calibration.receptors.binding import Rule


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin receptors``."""
    parser.add_argument(
        "what", choices=("simulate", "assess"), help="make a repertoire, or test learners on real receptors"
    )
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything random (0)")
    parser.add_argument(
        "--chains", default="coarse", metavar="coarse|olga", help="model of V(D)J recombination (coarse)"
    )
    made = parser.add_argument_group("simulate")
    made.add_argument(
        "--antigen", action="append", default=[], metavar="NAME=PEPTIDE|motif:RESIDUES",
        help="what binds: a peptide (contact energies), or a motif of the loop with '.' for any; the first one comes",
    )  # fmt: skip
    made.add_argument("--clones", type=whole(10), default=2000, metavar="N", help="clones (2000)")
    made.add_argument("--share", type=float, default=0.01, metavar="P", help="share of clones that bind (0.01)")
    made.add_argument("--days", default="0,8,40", metavar="A,B", help="days of the samples (0,8,40)")
    made.add_argument("--reads", type=whole(1), default=5000, metavar="N", help="reads per sample (5000)")
    tested = parser.add_argument_group("assess")
    tested.add_argument("--data", metavar="FILE.tsv", help="an export of VDJdb, or an AIRR table with a column epitope")
    tested.add_argument("--most", type=whole(20), default=200, metavar="N", help="receptors per epitope, at most (200)")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder of results")


def run(args: Namespace) -> int:
    """Simulate or assess, write and print."""
    if args.what == "assess":
        return _assess(args)
    return _simulate(args)


def _simulate(args: Namespace) -> int:
    from calibration.receptors.simulate import simulate_repertoire
    from calibration.receptors.tables import write_airr

    rules = _rules(args.antigen)
    try:
        days = [float(text) for text in args.days.split(",")]
    except ValueError as error:
        raise ProblemError(str(error), where="--days", expected="numbers, for instance 0,8,40") from error
    folder = output_folder(args.out)
    found = simulate_repertoire(
        rules, next(iter(rules)), clones=args.clones, share=args.share, days=days, reads=args.reads,
        model=args.chains, seed=args.seed,
    )  # fmt: skip
    write_airr(found.samples, folder / "samples.tsv")
    write_table(found.clones, folder / "clones.csv")
    write_table(found.cross_reactivity(), folder / "cross_reactivity.csv", index=True)
    args.saved += [folder / name for name in ("samples.tsv", "clones.csv", "cross_reactivity.csv")]
    for name, threshold in found.thresholds.items():
        binds = found.clones[f"binds_{name}"].to_numpy()
        shares = found.cells[:, binds].sum(axis=1) / found.cells.sum(axis=1)
        course = ", ".join(f"day {day:g}: {share:.1%}" for day, share in zip(found.days, shares, strict=True))
        print(
            f"{name}: {binds.sum()} of {len(binds)} clones bind (score from {threshold:.2f}); share of cells {course}"
        )
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _rules(texts: list[str]) -> dict[str, Rule]:
    from calibration.receptors.binding import ContactEnergy, Motif

    rules: dict[str, Rule] = {}
    for text in texts or ["antigen=GILGFVFTL"]:
        name, equals, what = text.partition("=")
        if not equals or not name.isidentifier() or name in rules:
            raise ProblemError(
                f"it is {text!r}", where="--antigen", expected="NAME=PEPTIDE or NAME=motif:RESIDUES, once"
            )
        kind, colon, motif = what.partition(":")
        rules[name] = Motif(motif.upper()) if colon and kind == "motif" else ContactEnergy(what.upper())
    return rules


def _assess(args: Namespace) -> int:
    if not args.data:
        raise ProblemError("there are no data", where="options", expected="--data FILE.tsv")
    from calibration.receptors.assess import assess_learners
    from calibration.receptors.tables import read_receptors

    receptors = read_receptors(args.data)
    folder = output_folder(args.out)
    found = assess_learners(receptors, most=args.most, model=args.chains, seed=args.seed)
    return _write(found, folder, args)


def _write(found, folder: Path, args: Namespace) -> int:
    for name in ("epitopes", "ways", "differences", "ranks"):
        write_table(getattr(found, name), folder / f"{name}.csv", index=name == "ranks")
        args.saved.append(folder / f"{name}.csv")
    write_text(str(found) + "\n", folder / "result.txt")
    for name, figure in (("ways.png", found.plot()), ("ranks.png", found.agreement.plot())):
        figure.savefig(folder / name, dpi=130)
        args.saved.append(folder / name)
    args.saved.append(folder / "result.txt")
    print(found)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


receptors = Command(
    name="receptors",
    summary="make receptor repertoires with known antigens, or test learners of binding on real receptors",
    configure=configure,
    run=run,
    computes=False,
    description="""\
Simulate a repertoire of T-cell receptor beta chains that meets an antigen, or test whether synthetic receptors help.

  twin receptors simulate --antigen flu=GILGFVFTL --antigen cmv=NLVPMVATV --out repertoire
  twin receptors assess --data vdjdb.tsv --out assessed

simulate writes samples.tsv (AIRR rearrangements of each day, the truth in further columns), clones.csv and
cross_reactivity.csv. assess holds out studies whole: epitopes.csv (AUROC and average precision of each learner and
epitope), ways.csv (real, synthetic and mixed training), differences.csv, ranks.csv and pictures. The data stay yours:
none are shipped.""",
)
