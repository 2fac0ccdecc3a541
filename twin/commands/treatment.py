"""``twin scenario optimise``: the best treatment for a cohort, and how sure that is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.files import output_folder
from twin.commands.tables import figure, text_table

if TYPE_CHECKING:
    from twin.scenario.optimise import Optimum

KEPT, MISSED = 0, 1


def configure(parser: ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("file", metavar="FILE", help="a scenario with a section `optimise` (docs/treatments.md)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the result; again: goes on")
    parser.add_argument("--method", choices=("auto", "gradient", "bayesian"), default="auto")
    parser.add_argument("--designs", type=int, default=96, metavar="N", help="designs that the Bayesian method tries")
    parser.add_argument("--resamples", type=int, default=40, metavar="N", help="bootstrap samples of the patients")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: Namespace) -> int:
    """Search, say what was found, save it."""
    from twin.scenario.optimise import read_treatment

    treatment = read_treatment(Path(args.file))
    folder = output_folder(args.out)
    print(repr(treatment).strip("<>"))
    found = treatment.optimise(
        folder / "search",
        method=args.method,
        designs=args.designs,
        resamples=args.resamples,
        seed=args.seed,
        progress=not args.quiet,
    )
    print(_told(found))
    args.saved.extend(found.save(folder))
    print(f"\nsaved: {', '.join(map(str, args.saved))}")
    return KEPT if found.kept else MISSED


def _told(found: Optimum) -> str:
    """Tables, and sentences of what to doubt."""
    rows = []
    for name, level in found.design.items():
        low, high = found.intervals.get(name, (None, None))
        sampled = "" if low is None else f"{figure(low, 3)} to {figure(high, 3)}"
        spread = found.spread.get(name)
        alone = "" if spread is None else f"{figure(spread[1], 3)} ({figure(spread[0], 3)} to {figure(spread[2], 3)})"
        rows.append([name, figure(level), sampled, alone])
    head = ["factor", "best", "95 % of bootstrap samples", "best for single patients (5 to 95 %)"]
    parts = [text_table(head, rows, left=(0,)), "", _regimens(found)]
    if not found.kept:
        parts.append("\nNo design that was tried keeps all limits; this one misses them by least.")
    others = found.regimens[found.regimens["patients"] == "others"]
    if found.kept and len(others) and not bool(others["kept"].iloc[0]):
        parts.append("\nIn the other patients the optimum does not keep all limits: set them with a margin.")
    at_bound = [name for name, at in _at_bounds(found).items() if at]
    if at_bound:
        parts.append(
            f"\nThe best level of {' and '.join(at_bound)} lies at its bound: something else may be better beyond."
        )
    return "\n".join(parts)


def _regimens(found: Optimum) -> str:
    treatment = found.treatment
    rows = []
    for row in found.regimens.to_dict("records"):
        levels = [figure(row[name], 3) for name in treatment.factors]
        limits = [figure(row[name]) for name in treatment.limits]
        kept = ["yes" if row["kept"] else "NO"] if treatment.limits else []
        rows.append([row["regimen"], f"{row['count']} {row['patients']}", *levels, figure(row["goal"]), *limits, *kept])
    named = list(treatment.limits)
    head = ["regimen", "patients", *treatment.factors, "goal", *named, *(["kept"] if named else [])]
    said = [f"goal: {treatment.goal.said}", *(f"{name}: {limit.said}" for name, limit in treatment.limits.items())]
    return "\n".join([text_table(head, rows, left=(0, 1)), *said])


def _at_bounds(found: Optimum) -> dict[str, bool]:
    units = found.treatment.units([*found.design.values()])  # type: ignore[arg-type]  # any sequence of levels
    return {name: bool(unit < 1e-6 or unit > 1 - 1e-6) for name, unit in zip(found.design, units, strict=True)}
