"""The page with the committed results: counts, reasons of refusal, and every case that did not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from twin.conformance.suite import Suite
from twin.conformance.table import Row, count
from twin.conformance.verdict import group

_HEAD = """\
# Conformance

What public test suites say about reading and simulating. The tables beside this page have a line per case; this page
is written from them by `twin conformance SUITE FOLDER --write`. The suites are not part of this repository.

- **passed**: every number agrees within the tolerance of the case.
- **refused**: a typed error that names the construct, or no end within the limit (60 s for a case of usual size).
- **skipped**: an optional package is not installed.
- **crashed**: an error that is none of ours, or a process that died.
- **wrong**: a number is outside the tolerance.
"""


def page(tables: Sequence[tuple[Suite, Mapping[str, Row]]]) -> str:
    """The page as Markdown.

    Args:
        tables: The suites, each with its rows.
    """
    return "\n".join([_HEAD, *(_section(suite, list(rows.values())) for suite, rows in tables if rows)])


def _section(suite: Suite, rows: list[Row]) -> str:
    counts = count(rows)
    total = sum(counts.values())
    slow = sorted(row.seconds for row in rows if row.verdict.name == "passed")
    lines = [f"## {suite.title}", "", f"Cases: [conformance-{suite.name}.tsv](conformance-{suite.name}.tsv).", ""]
    lines += _table(("verdict", "cases", "share"), [(n, str(k), f"{k / total:.1%}") for n, k in counts.items() if k])
    lines += [f"\n{sentence}" for sentence in [share_without(suite, rows)] if sentence]
    if slow:
        half, most = slow[len(slow) // 2], slow[int(0.95 * (len(slow) - 1))]
        lines += ["", f"Seconds from file to verdict, of those that passed: median {half:.1f}, 95 % below {most:.1f}."]
    reasons = reason_counts(rows)
    if reasons:
        lines += ["", "### Why not", "", *_table(("verdict", "reason", "cases"), reasons)]
    others = [row for row in rows if row.verdict.name in ("wrong", "crashed", "refused")]
    if others:
        listed = [(row.case, row.verdict.name, row.verdict.reason) for row in others]
        lines += ["", "### Cases", "", *_table(("case", "verdict", "reason"), listed)]
    lines += ["", "### By tag", "", *_table(("tag", "cases", "passed"), _by_tag(rows)), ""]
    return "\n".join(lines)


def reason_counts(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Verdict, group of reasons and number of cases, the most frequent first."""
    found = Counter((row.verdict.name, group(row.verdict.reason)) for row in rows if row.verdict.name != "passed")
    return [(name, reason, str(number)) for (name, reason), number in found.most_common()]


def share_without(suite: Suite, rows: Sequence[Row]) -> str:
    """How many cases pass of those that are not set aside; empty if none is."""
    if suite.aside is None:
        return ""
    rest = [row for row in rows if not any(tag.startswith(suite.aside) for tag in row.tags)]
    if len(rest) == len(rows) or not rest:
        return ""
    passed = count(rest)["passed"]
    return f"Without {suite.aside}: {passed} of {len(rest)} pass ({passed / len(rest):.1%})."


def _by_tag(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    everything = Counter(tag for row in rows for tag in row.tags)
    passed = Counter(tag for row in rows if row.verdict.name == "passed" for tag in row.tags)
    return [(tag, str(number), str(passed[tag])) for tag, number in sorted(everything.items())]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *cells]


def _cell(text: str) -> str:
    # Angle brackets and asterisks of messages are not markup.
    return text.replace("\\", "\\\\").replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*")
