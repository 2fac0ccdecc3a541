"""The benchmark's table as CSV, JSON and Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.benchmark.record import COLUMNS
from twin.commands.files import write_table, write_text
from twin.commands.tables import figure, text_table

FORMAT = 1
MARKDOWN = {
    "dataset": "data",
    "split": "held out",
    "model": "model",
    "pooling": "pooling",
    "parameters": "parameters",
    "train": "train",
    "test": "test",
    "gap": "gap",
    "crps": "CRPS",
    "baseline": "best baseline",
    "crps_baseline": "its CRPS",
    "floor": "floor",
    "elpd": "ELPD",
    "coverage_50": "in 50 %",
    "coverage_90": "in 90 %",
    "interval_score": "interval score",
    "energy_score": "energy score",
    "discrepancy": "discrepancy",
    "crps_discrepancy": "CRPS with it",
    "pit_p": "PIT p",
    "r_hat": "R-hat",
    "ess": "ESS",
    "divergences": "divergent",
    "k_high": "k-hat > 0.7",
    "seconds": "s",
    "verdict": "verdict",
}
"""Columns of the Markdown table, with their headings."""
SHORT = {
    "study": "study",
    "split": "split",
    "pooling": "pooling",
    "test": "test",
    "gap": "gap",
    "gap_low": "low",
    "gap_high": "high",
    "crps": "CRPS twin",
    "baseline": "best baseline",
    "coverage_90": "in 90 %",
    "verdict": "verdict",
}
_TEXT = ("dataset", "study", "split", "model", "pooling", "baseline", "verdict")
_COUNTS = ("ess", "seconds", "parameters", "train", "test", "divergences")


def write_tables(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write benchmark.csv, benchmark.json and benchmark.md; returns their paths."""
    paths = [folder / f"benchmark.{suffix}" for suffix in ("csv", "json", "md")]
    write_table(pd.DataFrame(list(rows), columns=list(COLUMNS)), paths[0])
    write_text(json_text(rows, settings), paths[1])
    write_text(markdown(rows), paths[2])
    return paths


def json_text(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """The table as JSON that any reader takes: null where there is no number, "inf" and "-inf" as text."""

    def plain(value: Any) -> Any:
        if not isinstance(value, float) or math.isfinite(value):
            return value
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")

    listed = [{name: plain(row[name]) for name in COLUMNS} for row in rows]
    whole = {"format": FORMAT, "settings": dict(settings), "columns": dict(COLUMNS), "rows": listed}
    return json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for a README: intervals and errors in the cells of their numbers, three digits."""
    head = list(MARKDOWN.values())
    lines = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join(" --- " if n in _TEXT else " ---: " for n in MARKDOWN) + "|",
    ]
    lines += ["| " + " | ".join(_cell(row, name) for name in MARKDOWN) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if name == "gap":
        return f"{figure(value, 3)} [{figure(row['gap_low'], 3)}, {figure(row['gap_high'], 3)}]"
    if name == "elpd":
        return f"{figure(value, 3)} ± {figure(row['elpd_se'], 2)}"
    if name == "discrepancy" and row["discrepancy_of"]:
        ends = f"{figure(row['discrepancy_low'], 2)}, {figure(row['discrepancy_high'], 2)}"
        return f"{figure(value, 2)} [{ends}] in {row['discrepancy_of']}".replace("|", r"\|")
    if name in _TEXT:
        return str(value).replace("|", r"\|")
    if name == "r_hat":
        return f"{value:.3f}"
    if name in _COUNTS:
        return "-" if value != value else f"{value:.0f}"
    return figure(value, 3)


def short_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A few columns for the terminal."""
    cells = [[str(row[n]) if n in _TEXT else figure(row[n], 3) for n in SHORT] for row in rows]
    left = [place for place, name in enumerate(SHORT) if name in _TEXT]
    return text_table(list(SHORT.values()), cells, left=left)
