"""The rows of the comparison of multi-start fits, one per start, and the table made of them."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

SAME_OPTIMUM = 0.1
"""A start within this of the best known objective counts as having found it."""


OURS = "cytotwin"


@dataclass(frozen=True)
class Row:
    """One start.

    Args:
        problem: Name of the problem.
        engine: Who fitted it.
        start: Number of the start; negative for a remark about all of them.
        objective: Negative log-likelihood at its end.
        seconds: Since the beginning of the fit, when the start ended.
        compiled: Seconds of a second fit with everything compiled, where there was one.
        cached: Seconds of a fit in a new process that finds the compiled programs of the first, where there was one.
        note: Why there is nothing, or how the start came to its end ("hopped").
    """

    problem: str
    engine: str
    start: int
    objective: float
    seconds: float
    compiled: float = math.nan
    cached: float = math.nan
    note: str = ""


class Rows:
    """The rows in a file; what is in it is not fitted again."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, []
        if path.exists():
            with path.open(newline="") as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    kinds = {"start": int, "objective": float, "seconds": float, "compiled": float, "cached": float}
                    self.rows.append(Row(**{key: kinds.get(key, str)(value) for key, value in row.items()}))

    def has(self, problem: str, engine: str) -> bool:
        return any(row.problem == problem and row.engine == engine for row in self.rows)

    def of(self, problem: str, engine: str) -> list[Row]:
        return [row for row in self.rows if row.problem == problem and row.engine == engine]

    def add(self, rows: list[Row]) -> None:
        """Appends to the file."""
        new = not self.path.exists()
        self.rows += rows
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Row)], delimiter="\t")
            if new:
                writer.writeheader()
            writer.writerows(asdict(row) for row in rows)


def report(rows: Rows, reference: Path | None) -> str:
    """The table in Markdown: best objectives, starts that reach the best one known, seconds.

    A ratio of seconds is that to the peer's variant whose starts reach the optimum more often, or in less time. Where
    everything was built before, the peer's model is compiled and our programs are kept from an earlier process; seconds
    per start leave reading and tracing them out, too. Where a fit was stopped, its starts that ended count.
    """
    known = {}
    if reference:
        with reference.open(newline="") as file:
            known = {row["problem"]: -float(row["log_likelihood"]) for row in csv.DictReader(file, delimiter="\t")}
    lines = [
        "| problem | best known | engine | best | starts that reach it | s | s, built before | s per start "
        "| times slower, per start |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    whole, built, per_start = [], [], []
    for problem in dict.fromkeys(row.problem for row in rows.rows):
        engines = sorted(dict.fromkeys(row.engine for row in rows.rows if row.problem == problem), reverse=True)
        summaries = {engine: _summary(rows.of(problem, engine)) for engine in engines}
        bests = [known.get(problem, math.inf), *(each.best for each in summaries.values())]
        best = min(x for x in bests if math.isfinite(x))
        peers = {engine: each for engine, each in summaries.items() if not engine.startswith(OURS)}
        ours = summaries.get(OURS)
        if ours and peers:
            peer = min(peers.values(), key=lambda each: (-each.reached(best), each.seconds))
            whole.append(peer.pace * ours.started / ours.seconds)
            built.append(peer.pace * ours.started / ours.cached)
            per_start.append(peer.per_start / ours.per_start)
        for engine, each in summaries.items():
            slower = f"{each.per_start / ours.per_start:.1f}" if ours and engine != OURS else ""
            before = each.cached if engine.startswith(OURS) else each.seconds
            lines.append(
                f"| {problem} | {best:.2f} | {engine} | {each.best:.2f} | {each.share(best)} | "
                f"{each.limit}{each.seconds:.1f} | {each.limit}{before:.1f} | {each.per_start:.3g} | {slower} |"
            )
    if whole:
        lines.append(
            f"\nGeometric means over {len(whole)} problems, of the better variant of the peer: {_mean(per_start):.1f} "
            f"per start; for the whole fit {_mean(built):.1f} where both built everything before, {_mean(whole):.1f} "
            "with our compilation and without the peer's. A peer that was stopped counts with the pace of its starts "
            "that ended"
        )
    return "\n".join(lines)


def _mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


@dataclass(frozen=True)
class _Summary:
    objectives: list[float]
    hopped: list[bool]
    seconds: float
    compiled: float
    cached: float
    ended: float
    limit: str

    @property
    def best(self) -> float:
        finite = [x for x in self.objectives if math.isfinite(x)]
        return min(finite, default=math.nan)

    @property
    def started(self) -> int:
        return len(self.objectives)

    @property
    def per_start(self) -> float:
        """Seconds with everything built beforehand."""
        seconds = self.compiled if math.isfinite(self.compiled) else self.ended
        return seconds / self.started if self.started else math.nan

    @property
    def pace(self) -> float:
        """Seconds per start that ended, with all that is counted."""
        return self.seconds / self.started if self.started else math.nan

    def reached(self, best: float) -> int:
        return sum(x <= best + SAME_OPTIMUM for x in self.objectives)

    def share(self, best: float) -> str:
        """How many starts reached the best objective, and how many of them by a hop of their optimum."""
        by_hop = sum(x <= best + SAME_OPTIMUM and hop for x, hop in zip(self.objectives, self.hopped, strict=True))
        return f"{self.reached(best)} of {self.started}" + (f" ({by_hop} hopped)" if by_hop else "")


def _summary(rows: list[Row]) -> _Summary:
    starts = [row for row in rows if row.start >= 0]
    compiled = [row.compiled for row in starts if math.isfinite(row.compiled)]
    cached = [row.cached for row in starts if math.isfinite(row.cached)]
    return _Summary(
        [row.objective for row in starts],
        [row.note == "hopped" for row in starts],
        max((row.seconds for row in rows), default=math.nan),
        compiled[0] if compiled else math.nan,
        cached[0] if cached else math.nan,
        max((row.seconds for row in starts), default=math.nan),
        ">" if any(row.start < 0 for row in rows) else "",
    )
