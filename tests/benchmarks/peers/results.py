"""A tidy table of results: one row per problem and engine, in a TSV file that a later run continues."""

from __future__ import annotations

import csv
from pathlib import Path

Row = dict[str, str]

COLUMNS = (
    "problem", "engine", "version", "rtol", "atol", "size", "count", "seconds", "wall_s", "compile_s", "error",
    "error_value", "error_to_cytotwin", "error_to_amici", "reference_gap", "failures", "status", "reason",
)  # fmt: skip
"""`seconds`: what is compared, per gradient or trajectory. `wall_s`: the user's call, likewise. `size`: states.
`count`: vectors or draws that the times are a mean over. `error`: against the reference (see the part).
`status`: ok, skipped or failed."""
KEY = ("problem", "engine", "rtol")


class Table:
    """Rows of one part, written to disk after each.

    Args:
        path: The TSV file.
        fresh: Count no row as measured; those not measured again stay.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self.rows: dict[tuple[str, ...], Row] = {}
        self.fresh = fresh
        if path.exists():
            self.rows = {_key(row): row for row in read_rows(path)}

    def has(self, problem: str, engine: str, rtol: float) -> bool:
        """Whether the row is there; one that was skipped for want of a package is measured again."""
        row = self.rows.get((problem, engine, f"{rtol:g}"))
        return not self.fresh and row is not None and row["status"] != "skipped"

    def add(self, **values: object) -> None:
        """Adds or replaces a row."""
        row = {name: _written(values.pop(name, "")) for name in COLUMNS}
        if values:
            raise KeyError(f"no such columns: {', '.join(values)}")
        self.rows[_key(row)] = row
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows.values())
        shown = (row[name] for name in ("problem", "engine", "rtol", "seconds", "error", "status", "reason"))
        print("  ".join(entry for entry in shown if entry), flush=True)


def read_rows(path: Path) -> list[Row]:
    """All rows of a table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _written(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else " ".join(str(value).split())
