"""What has changed since the committed table: cases that got better, and cases that got worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twin.conformance.table import Row
from twin.conformance.verdict import BEST_FIRST


@dataclass(frozen=True)
class Change:
    """A case whose verdict is another than before."""

    case: str
    before: str
    now: str
    reason: str

    @property
    def worse(self) -> bool:
        """Whether it was better before; a case that is skipped says nothing."""
        return self.now != "skipped" and BEST_FIRST.index(self.now) > BEST_FIRST.index(self.before)

    def __str__(self) -> str:
        return f"{self.case}: {self.before} -> {self.now}" + (f" ({self.reason})" if self.reason else "")


def changes(before: Mapping[str, Row], now: Mapping[str, Row]) -> list[Change]:
    """Cases that are in both tables with different verdicts, in the order of the new one."""
    return [
        Change(name, before[name].verdict.name, row.verdict.name, row.verdict.reason)
        for name, row in now.items()
        if name in before and before[name].verdict.name != row.verdict.name
    ]
