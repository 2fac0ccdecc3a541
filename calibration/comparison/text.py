"""A comparison in words for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calibration.comparison.criteria import Criterion
    from calibration.comparison.result import Comparison


def comparison_text(found: Comparison) -> str:
    """A small table by criterion: value, difference ± standard error, weight; then what is clear, then the notes."""
    lines = [f"{len(found.table)} models of {found.readings} readings"]
    for each in found.criteria:
        lines += ["", _aligned(*_rows(found, each)), _said(found, each)]
    if found.split is not None:
        lines += ["", f"held out: {found.split}"]
    if found.notes:
        lines += ["", *(f"note: {note}" for note in found.notes)]
    return "\n".join(lines)


def _rows(found: Comparison, each: Criterion) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    head = ["model", "parameters", each.column, "worse by"]
    head += [each.weight.replace("_", " ")] if each.weight else []
    head += ["mean CRPS"] * (each.name == "held-out") + ["k > 0.7"] * (each.name == "loo")
    rows = []
    for name, row in found.table.sort_values(each.difference).iterrows():
        error = float(row[each.error])
        behind = f"{row[each.difference]:.2f}" + (f" ± {error:.2f}" if error > 0 else "")
        cells = [str(name), f"{row['parameters']:.0f}", f"{row[each.column]:.2f}", behind]
        cells += [f"{row[each.weight]:.3f}"] if each.weight else []
        cells += [f"{row['crps']:.4g}"] if each.name == "held-out" else []
        cells += [f"{row['k_above_0.7']:.0%}"] if each.name == "loo" else []
        rows.append(tuple("-" if cell == "nan" else cell for cell in cells))
    return tuple(head), rows


def _said(found: Comparison, each: Criterion) -> str:
    if all(math.isnan(x) for x in found.table[each.difference]):
        return f"{each.name}: undefined for all models"
    best = found.best(each.name)
    by_word: dict[str, list[str]] = {}
    for name, word in found.certainty(each.name).items():
        by_word.setdefault(word, []).append(name)
    parts = [f"{', '.join(names)}: {word}" for word, names in by_word.items()]
    over = found.independent[each.name]
    said = f"{each.name}: {best} is best; that the others are worse is {'; '.join(parts)}"
    return f"{said} (errors over {over.count} {over.kind})"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [head, *rows]
    wide = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(wide[0]) if i == 0 else cell.rjust(wide[i]) for i, cell in enumerate(row)) for row in cells
    ]
    return "\n".join(lines)
