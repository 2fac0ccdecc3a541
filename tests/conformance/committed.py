"""What the committed tables say, as a bar for the cases that run with the tests."""

from __future__ import annotations

from pathlib import Path

from twin.conformance.table import read_table
from twin.conformance.verdict import BEST_FIRST, Verdict

DOCS = Path(__file__).parents[2] / "docs"


def check(suite: str, case: str, verdict: Verdict) -> None:
    """A case is neither wrong nor crashed, and not worse than in the committed table."""
    assert verdict.name not in ("wrong", "crashed"), f"{case} {verdict.name}: {verdict.reason}"
    file = DOCS / f"conformance-{suite}.tsv"
    before = read_table(file)[1].get(case) if file.is_file() else None
    if before is not None and verdict.name != "skipped":
        now, then = BEST_FIRST.index(verdict.name), BEST_FIRST.index(before.verdict.name)
        assert now <= then, f"{case} was {before.verdict.name}, now {verdict.name}: {verdict.reason}"
