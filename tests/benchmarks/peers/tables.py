"""Tables of results in Markdown, and their places in a document.

A place is what stands between ``<!-- table: gradients -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .results import Row, read_rows

OURS = "cytotwin"
MAIN = {"ensembles": "1e-06"}
"""Of a part measured at several tolerances the one shown."""
TITLES = {
    "gradients": "Log-likelihood and gradient, one vector",
    "batch": "Log-likelihood and gradient, per vector of a batch",
    "jacobians": "Jacobian of the residuals, one vector",
    "ensembles": "One trajectory of an ensemble",
    "compile": "From starting Python to the first gradient",
}


def load_parts(folder: Path) -> dict[str, list[Row]]:
    """Rows by part, of all parts that were measured."""
    return {part: read_rows(folder / f"{part}.tsv") for part in TITLES if (folder / f"{part}.tsv").exists()}


def table(part: str, rows: Sequence[Row]) -> str:
    """A table in Markdown: a line per problem, times by engine, the ratio to the best peer, errors."""
    rows = [row for row in rows if row["rtol"] == MAIN.get(part, row["rtol"])]
    engines, problems = _ordered(rows, "engine"), _ordered(rows, "problem")
    by_key = {(row["problem"], row["engine"]): row for row in rows}
    with_errors = any(row["error"] for row in rows)
    compared = part != "compile"
    head = ["problem", *engines, *(["best peer / ours"] if compared else [])]
    head += [f"error {engine}" for engine in engines] if with_errors else []
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for problem in problems:
        found = [by_key.get((problem, engine)) for engine in engines]
        ratio = ratio_to_best_peer({row["engine"]: row for row in found if row})
        line = [_plain(problem), *map(_time, found), *([_ratio(ratio)] if compared else [])]
        lines.append(line + ([_error(row) for row in found] if with_errors else []))
    ratios = [ratio_to_best_peer({e: by_key[p, e] for e in engines if (p, e) in by_key}) for p in problems]
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    if compared and known:
        mean = math.exp(sum(map(math.log, known)) / len(known))
        faster = sum(ratio > 1 for ratio in known)
        text += f"\n\nGeometric mean of the ratios: {mean:.2g}; above 1 in {faster} of {len(known)}."
    return text + _reasons(rows)


def ratio_to_best_peer(by_engine: Mapping[str, Row]) -> float:
    """Time of the fastest peer over our fastest; NaN where one is missing."""
    ours = [_seconds(row) for engine, row in by_engine.items() if engine.startswith(OURS)]
    peers = [_seconds(row) for engine, row in by_engine.items() if not engine.startswith(OURS)]
    best = [min((value for value in values if math.isfinite(value)), default=math.nan) for values in (peers, ours)]
    return best[0] / best[1]


def fill(document: Path, tables: Mapping[str, str]) -> None:
    """Puts the tables in their places in a document."""
    text = document.read_text(encoding="utf-8")
    for part, content in tables.items():
        place = re.compile(rf"(<!-- table: {part} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = place.sub(lambda match, content=content: f"{match[1]}\n{content}\n\n{match[2]}", text)
    document.write_text(text, encoding="utf-8")


def _seconds(row: Row) -> float:
    return float(row["seconds"]) if row["status"] == "ok" else math.nan


def _ordered(rows: Sequence[Row], column: str) -> list[str]:
    return list(dict.fromkeys(row[column] for row in rows))


def _plain(problem: str) -> str:
    return problem.split("_")[0]


def _time(row: Row | None) -> str:
    if row is None:
        return ""
    if row["status"] != "ok":
        return "over the limit" if "over the limit" in row["reason"] else row["status"]
    seconds = float(row["seconds"])
    unit, factor = ("s", 1.0) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    return f"{_digits(seconds * factor)} {unit}"


def _digits(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) and value < 10 else f"{value:.0f}" if math.isfinite(value) else ""


def _error(row: Row | None) -> str:
    if row is None or not row["error"] or row["error"] == "nan":
        return ""
    return f"{float(row['error']):.0e}"


def _reasons(rows: Sequence[Row]) -> str:
    """Why something was skipped or failed, below the table."""
    notes = [
        f"- {_plain(row['problem'])}, {row['engine']}: {row['reason'][:200]}" for row in rows if row["status"] != "ok"
    ]
    return "\n\nNot measured:\n\n" + "\n".join(notes) if notes else ""
