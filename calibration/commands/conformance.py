"""``twin conformance``: public test suites, run in parallel, judged, counted and compared with the committed result."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import positive, whole
from twin.commands.command import Command
from twin.commands.files import output_file, write_text
from twin.commands.remarks import remark
from twin.commands.tables import text_table
from twin.errors import TwinError

if TYPE_CHECKING:
    from twin.conformance.changes import Change
    from twin.conformance.suite import Case, Suite
    from twin.conformance.table import Row, TableFile

SUITES = ("sbml", "petab")
LIMIT = 60.0


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin conformance``."""
    parser.add_argument("suite", choices=SUITES, help="which suite")
    parser.add_argument("folders", nargs="+", metavar="DIR", help="folders that hold its cases")
    which = parser.add_argument_group("which cases")
    which.add_argument("--cases", default="", metavar="A,B,...", help="these")
    which.add_argument("--tags", default="", metavar="A,B,...", help="those with one of these tags")
    which.add_argument("--sample", type=whole(1), metavar="N", help="so many of them, a fixed spread")
    how = parser.add_argument_group("how")
    how.add_argument("--workers", type=whole(1), metavar="N", help="processes (default: one per core)")
    how.add_argument(
        "--limit", type=positive("number of seconds"), default=LIMIT, metavar="SECONDS",
        help=f"a case that takes longer is refused ({LIMIT:g}; ten times as long for a benchmark problem)",
    )  # fmt: skip
    how.add_argument("--quiet", action="store_true", help="show no progress")
    result = parser.add_argument_group("what comes out")
    result.add_argument("--out", metavar="FILE", help="a table (.tsv), a line per case; an interrupted run goes on")
    result.add_argument("--docs", default="docs", metavar="FOLDER", help="where the committed tables are (docs)")
    result.add_argument("--write", action="store_true", help="write the committed tables and conformance.md")


def run(args: Namespace) -> int:
    """Run what is not finished yet, print the counts, compare.

    Returns:
        0; or 1 if a case is wrong or has crashed, or has got worse since the committed table.
    """
    from twin.conformance.selection import select
    from twin.conformance.table import read_table

    suite = find_suite(args.suite)
    out = output_file(args.out, "--out", (".tsv",)) if args.out else None
    docs, committed = Path(args.docs), {}
    if args.write and not docs.is_dir():
        raise TwinError(f"there is no folder {args.docs!r}", where="--docs", fix="create it first")
    if (file := _committed_file(docs, suite)).is_file():
        _, committed = read_table(file)
    else:
        remark(f"there is no committed table {file}; nothing is compared")
    chosen = select(_all_cases(suite, args.folders), _words(args.cases), _words(args.tags), args.sample)
    if not chosen:
        raise TwinError("no case is left", where="--tags", expected="cases that are named and have one of the tags")
    rows = _run(suite, chosen, args, out)
    found = _changes(committed, rows)
    print(summary(suite, rows, found))
    if args.write:
        _write_committed(suite, docs, {**committed, **rows}, args)
    if args.saved:
        print(f"saved: {', '.join(map(str, args.saved))}")
    bad = any(row.verdict.name in ("wrong", "crashed") for row in rows.values())
    return 1 if bad or any(change.worse for change in found) else 0


def find_suite(name: str) -> Suite:
    """The suite of that name."""
    from calibration.conformance.petab_suite import PETAB
    from twin.conformance.sbml_suite import SBML

    return {suite.name: suite for suite in (SBML, PETAB)}[name]


def summary(suite: Suite, rows: Mapping[str, Row], found: Sequence[Change]) -> str:
    """Counts, reasons, wrong cases, and what has changed."""
    from twin.conformance.page import reason_counts, share_without
    from twin.conformance.table import count

    counts = {name: number for name, number in count(rows.values()).items() if number or name in ("passed", "wrong")}
    cases = "1 case" if len(rows) == 1 else f"{len(rows)} cases"
    parts = [f"{cases}: " + ", ".join(f"{number} {name}" for name, number in counts.items())]
    if sentence := share_without(suite, list(rows.values())):
        parts.append(sentence)
    reasons = reason_counts(list(rows.values()))
    if reasons:
        cells = [(number, name, reason) for name, reason, number in reasons]
        parts.append(text_table(["cases", "verdict", "reason"], cells, left=(1, 2)))
    bad = [row for row in rows.values() if row.verdict.name in ("wrong", "crashed")]
    parts += [f"{row.verdict.name}: {row.case}: {row.verdict.reason}" for row in bad]
    parts += [f"{'worse' if change.worse else 'better'}: {change}" for change in found if _counts(change)]
    return "\n".join(parts)


def _counts(change: Change) -> bool:
    """A case that is skipped now, or was, says nothing about our code."""
    return "skipped" not in (change.before, change.now)


def _run(suite: Suite, chosen: Sequence[Case], args: Namespace, out: Path | None) -> dict[str, Row]:
    """Rows of the chosen cases, in their order; those in the table at `out` are not run again."""
    from twin.conformance.campaign import run_cases
    from twin.conformance.fingerprint import fingerprint
    from twin.conformance.table import TableFile, count, write_table
    from twin.progress import progress

    table: TableFile | None = None
    rows: dict[str, Row] = {}
    if out is not None:
        where = sorted(str(Path(folder).resolve()) for folder in args.folders)
        table = TableFile(out, fingerprint(suite.packages, suite.requires, suite.name, where, args.limit))
        if table.dropped:
            remark(f"{table.dropped} cases in {out} are of other code or settings; they are run again")
        rows = {case.name: table.rows[case.name] for case in chosen if case.name in table.rows}
        args.saved.append(out)
        if rows:
            remark(f"{len(rows)} of {len(chosen)} cases were finished before")
    todo = [case for case in chosen if case.name not in rows]
    with progress(f"{suite.name}, {len(chosen)} cases", len(chosen), args.quiet) as line:
        for row in run_cases(suite, todo, args.limit, args.workers):
            rows[row.case] = row
            if table is not None:
                table.add(row)
            counts = [f"{number} {name}" for name, number in count(rows.values()).items() if number]
            line.update(len(rows), ", ".join(counts))
    ordered = {case.name: rows[case.name] for case in chosen}
    if table is not None and out is not None:
        # The cases of an earlier run of the same code that were not asked for now stay in the file.
        write_table(out, ({**ordered, **table.rows}).values(), table.key)
    return ordered


def _all_cases(suite: Suite, folders: Sequence[str]) -> list[Case]:
    found: dict[str, Case] = {}
    for text in folders:
        if not (folder := Path(text)).is_dir():
            raise TwinError(f"there is no folder {text!r}", where="DIR", expected=f"the folder of {suite.title}")
        for case in suite.find(folder):
            if case.name in found:
                raise TwinError(
                    f"the case {case.name!r} is in {found[case.name].path} and in {case.path}",
                    where="DIR",
                    fix="name folders that do not overlap",
                )
            found[case.name] = case
    return list(found.values())


def _changes(committed: Mapping[str, Row], rows: Mapping[str, Row]) -> list[Change]:
    from twin.conformance.changes import changes

    return changes(committed, rows)


def _write_committed(suite: Suite, docs: Path, rows: Mapping[str, Row], args: Namespace) -> None:
    """The table of this suite, and the page made from the tables of all."""
    from twin.conformance.page import page
    from twin.conformance.table import read_table, write_table

    file = _committed_file(docs, suite)
    write_table(file, (rows[name] for name in sorted(rows)))
    suites = [find_suite(name) for name in SUITES]
    tables = [(s, read_table(_committed_file(docs, s))[1]) for s in suites if _committed_file(docs, s).is_file()]
    write_text(page(tables), docs / "conformance.md")
    args.saved += [file, docs / "conformance.md"]


def _committed_file(docs: Path, suite: Suite) -> Path:
    return docs / f"conformance-{suite.name}.tsv"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


conformance = Command(
    name="conformance",
    summary="run a public test suite; what passes, is refused, is wrong",
    configure=configure,
    run=run,
    # The workers compile, not this process; each without a cache, so that the seconds are those of a first run.
    computes=False,
    description="""\
Run a public test suite in parallel, judge every case as the suite says, and compare with the committed table.

  twin conformance sbml sbml-test-suite/cases/semantic --out sbml.tsv
  twin conformance sbml DIR --tags EventWithDelay,comp --sample 40
  twin conformance petab petab-testsuite petab-benchmarks --out petab.tsv
  twin conformance petab DIR --cases v2-sbml-0001,v2-sbml-0031

The exit status is 1 if a case is wrong, has crashed, or was better in the committed table. A run that was
interrupted goes on if it is started again with the same --out and the same code.""",
)
