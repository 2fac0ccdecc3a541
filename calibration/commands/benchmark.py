"""``twin benchmark``: assess every study on every split and way of pooling, one row each, in parallel and resumable."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.commands.options import add_sampling_options, whole
from twin.commands.command import Command
from twin.commands.files import output_folder
from twin.commands.remarks import remark
from twin.commands.tables import figure
from twin.errors import TwinError

if TYPE_CHECKING:
    from calibration.benchmark.work import Task

QUICK = {"starts": 6, "chains": 2, "warmup": 100, "draws": 100}
NOT_QUICK = ("hiv_actg315", "il13_raia2011", "warfarin_oreilly1968")
"""Studies whose rows take minutes whatever the draws; a quick run has them where they are named only."""
LIMIT = 24 * 3600.0
"""Seconds after which a row that does not end is given up."""
MOST_WORKERS = 8


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin benchmark``."""
    parser.add_argument("--studies", metavar="A,B,...", help="these studies (default: all of the library)")
    parser.add_argument(
        "--study", action="append", default=[], metavar="FILE.yaml",
        help="a model and a table of one's own, described in a file; alone, or beside --studies; may be repeated",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FOLDER", help="folder of the results (benchmark, or benchmark_quick)")
    parser.add_argument(
        "--pooling", choices=("all", "own"), default="all",
        help="mechanisms with parameters per subject: with partial, no and complete pooling (all, the default), or as "
        "the study has it (own)",
    )  # fmt: skip
    parser.add_argument("--parallel", type=whole(1), metavar="N", help="processes (default: one per core)")
    parser.add_argument(
        "--quick", action="store_true",
        help="the first split of each study but the dearest, own pooling, no discrepancies, 6 starts, 2 chains of "
        "100 + 100 draws: to see that it runs, not to believe it",
    )  # fmt: skip
    parser.add_argument(
        "--no-discrepancy", dest="discrepancy", action="store_false",
        help="do not sample what must be added to the mechanisms, which takes another posterior per fold",
    )  # fmt: skip
    add_sampling_options(parser, starts=24)
    fixed = parser.add_argument_group("fixed splits").add_mutually_exclusive_group()
    fixed.add_argument("--check-splits", action="store_true", help="only check that data and split files agree")
    fixed.add_argument("--write-splits", action="store_true", help="only make the split files again, beside the data")
    parser.add_argument("--quiet", action="store_true", help="show no progress within a row (one process only)")


def run(args: Namespace) -> int:
    """Assess what is not finished yet, write the tables, print a short one.

    Returns:
        0, or 1 if a row failed.
    """
    from twin import library

    chosen = [] if args.study and args.studies is None else _chosen(args.studies, library.list_studies())
    if args.check_splits or args.write_splits:
        return _splits(chosen, write=args.write_splits)

    from calibration.benchmark.tables import short_table, write_tables
    from calibration.benchmark.work import tasks_of
    from calibration.report.leaderboard import write_leaderboard

    if args.quick and args.studies is None:
        chosen = [study for study in chosen if study not in NOT_QUICK]
    ways = "own" if args.quick else args.pooling
    of_each = [tasks_of(study, ways) for study in chosen] + [tasks_of("", ways, file) for file in args.study]
    tasks = [task for found in of_each for task in (found[:1] if args.quick else found)]
    if twice := sorted({task.stem for task in tasks if [t.stem for t in tasks].count(task.stem) > 1}):
        raise TwinError(f"two studies want the name {twice[0]!r}", where="--study", fix="rename one")
    folder = output_folder(args.out or ("benchmark_quick" if args.quick else "benchmark"))
    for part in ("rows", "pages"):
        output_folder(str(folder / part))
    settings = {"seed": args.seed, "discrepancy": args.discrepancy and not args.quick} | (
        QUICK if args.quick else {name: getattr(args, name) for name in QUICK}
    )
    rows: dict[Task, Mapping[str, Any]] = {}
    failures: dict[Task, str] = {}
    begin = time.monotonic()
    for task, row, fresh in _performed(tasks, settings, folder, args):
        done = f"[{len(rows) + len(failures) + 1}/{len(tasks)}, {time.monotonic() - begin:.0f} s] {task.label}"
        if "error" in row:
            failures[task] = str(row["error"])
            print(f"{done}: failed, {row['error']}", flush=True)
            continue
        rows[task] = row
        args.saved.append(task.row_file(folder))
        note = f"{row['seconds']:.0f} s" if fresh else "finished before"
        print(f"{done}: gap {figure(row['gap'], 3)}, {row['verdict']} ({note})", flush=True)
        write_tables(_ordered(tasks, rows), settings, folder)
    paths = write_tables(_ordered(tasks, rows), settings, folder)
    links = [task.page(Path()).as_posix() for task in tasks if task in rows]
    paths.append(write_leaderboard(_ordered(tasks, rows), links, settings, folder / "benchmark.html"))
    if rows:
        print(f"\n{short_table(_ordered(tasks, rows))}")
    for task, error in failures.items():
        remark(f"{task.label} failed: {error}")
    done = f"{len(rows)} of {len(tasks)} done" + (f", {len(failures)} failed" if failures else "")
    print(f"\n{done}; tables and page: {', '.join(map(str, paths))}")
    return 1 if failures else 0


def _ordered(tasks: Sequence[Task], rows: Mapping[Task, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [rows[task] for task in tasks if task in rows]


def _performed(
    tasks: Sequence[Task], settings: Mapping[str, Any], folder: Path, args: Namespace
) -> Iterator[tuple[Task, Mapping[str, Any], bool]]:
    """Task, row and whether it is new, as they are finished.

    Always in worker processes, also a single one: with the threads of this process sums would be rounded otherwise, and
    the digits of a row would depend on ``--parallel``.
    """
    from twin.conformance import pool

    workers = min(args.parallel or min(pool.cores(), MOST_WORKERS), len(tasks))
    common = {"settings": settings, "folder": os.fspath(folder), "quiet": args.quiet or workers > 1}
    by_name = {task.stem: task for task in tasks}
    asked = [pool.Task(stem, {"task": asdict(task), **common}, LIMIT) for stem, task in by_name.items()]
    for outcome in pool.run_tasks("calibration.benchmark.work:perform_in_worker", asked, workers):
        task = by_name[outcome.task.name]
        if outcome.fault:
            yield task, {**asdict(task), "error": outcome.reason}, True
        else:
            yield task, *outcome.result


def _chosen(text: str | None, known: Sequence[str]) -> list[str]:
    from twin import library

    if text is None:
        return list(known)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise TwinError("no study is named", where="--studies", expected="names separated by commas")
    for name in names:
        library.study(name)  # refuses a name that is not there before any work is done
    return names


def _splits(studies: Sequence[str], *, write: bool) -> int:
    """Make the split files again, or read them all, which refuses those that do not fit the data."""
    from calibration.benchmark.split_files import make_splits, read_split, split_text, write_splits
    from twin import library

    described = [library.study(name) for name in studies]
    if write:
        written = write_splits(described)
        print("\n".join(map(str, written)) or "every split file is right already")
        return 0
    for study in described:
        dataset = library.dataset(study.dataset)
        for kind, made in make_splits(study).items():
            split = read_split(dataset, kind)
            same = split_text(dataset, split) == split_text(dataset, made)
            trained, held = (sum(int(getattr(f, part).sum()) for f in split.folds) for part in ("train", "test"))
            note = "" if same else "; the rules would make another one today"
            print(f"{dataset.name}, {kind}: {len(split.folds)} folds, {trained} training and {held} test rows{note}")
    return 0


benchmark = Command(
    name="benchmark",
    summary="assess every study on every split it allows; one table",
    configure=configure,
    run=run,
    # Each row is computed on one device, whatever the cores, so that its digits depend on the seed alone; the cores are
    # used by rows side by side.
    computes=False,
    description="""\
Assess every study of the library on every split it allows, with every way of pooling its subjects.

  twin benchmark --out benchmark
  twin benchmark --studies theophylline,timekill_regoes2004 --draws 250
  twin benchmark --study mine.yaml --out mine
  twin benchmark --quick

FOLDER gets benchmark.html (what wins where), benchmark.csv, benchmark.json, benchmark.md, pages/ with a page per row,
and rows/ with a file per finished row. A run that was interrupted goes on where it stopped: a row is computed again
only if its model, data, held-out rows, study or settings have changed.""",
)
