"""``twin benchmark``: assess every study on every split it allows, one row each, resumable."""

from __future__ import annotations

import hashlib
import json
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.commands.options import add_sampling_options
from calibration.commands.summary import least_ess, worst_r_hat
from twin.commands.command import Command
from twin.commands.files import output_folder, write_table, write_text
from twin.commands.remarks import remark
from twin.commands.tables import figure, text_table
from twin.errors import TwinError

if TYPE_CHECKING:
    import pandas as pd

    from calibration.problem import Problem
    from calibration.sim2real.assess import Kind
    from calibration.sim2real.assessment import Assessment

COLUMNS = {
    "study": "study",
    "split": "split",
    "train": "readings train",
    "test": "test",
    "series": "series",
    "gap": "gap",
    "gap_low": "low",
    "gap_high": "high",
    "crps": "CRPS twin",
    "baseline": "best baseline",
    "crps_baseline": "CRPS",
    "floor": "floor",
    "coverage_50": "in 50 %",
    "coverage_90": "in 90 %",
    "interval_score": "interval score",
    "elpd": "ELPD",
    "r_hat": "R-hat",
    "ess": "ESS",
    "divergences": "divergent",
    "seconds": "s",
    "verdict": "verdict",
}
"""Columns of the table, in order, with their headings in the Markdown table."""
_SHOWN = ("study", "split", "test", "gap", "gap_low", "gap_high", "crps", "baseline", "coverage_90", "verdict")
_TEXT = ("study", "split", "baseline", "verdict")


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin benchmark``."""
    parser.add_argument("--studies", metavar="A,B,...", help="these studies (default: all of the library)")
    parser.add_argument("--out", default="benchmark", metavar="FOLDER", help="folder of the results (benchmark)")
    add_sampling_options(parser, starts=24)
    fixed = parser.add_argument_group("fixed splits").add_mutually_exclusive_group()
    fixed.add_argument("--check-splits", action="store_true", help="only check that data and split files agree")
    fixed.add_argument("--write-splits", action="store_true", help="only make the split files again, beside the data")
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def run(args: Namespace) -> int:
    """Assess what is not finished yet, write the tables, print a short one.

    Returns:
        0, or 1 if a study failed.
    """
    from twin import library

    chosen = _chosen(args.studies, library.list_studies())
    if args.check_splits or args.write_splits:
        return _splits(chosen, write=args.write_splits)
    folder = output_folder(args.out)
    output_folder(str(folder / "rows"))
    settings = {name: getattr(args, name) for name in ("seed", "starts", "chains", "warmup", "draws")}
    tasks: list[tuple[str, Kind]] = [(study, split) for study in chosen for split in library.study(study).splits]
    rows, failures = [], []
    for number, (study, split) in enumerate(tasks, start=1):
        label = f"[{number}/{len(tasks)}] {study}, {split}"
        row, fresh = _row(study, split, settings, folder, args.quiet)
        if "error" in row:
            failures.append(row)
            print(f"{label}: failed, {row['error']}", flush=True)
            continue
        rows.append(row)
        args.saved.append(_row_file(folder, study, split))
        note = f"{row['seconds']:.0f} s" if fresh else "finished before"
        print(f"{label}: gap {figure(row['gap'], 3)}, {row['verdict']} ({note})", flush=True)
        _write_tables(rows, folder)
    _write_tables(rows, folder)
    if rows:
        print(f"\n{_short(rows)}")
    for row in failures:
        remark(f"{row['study']}, {row['split']} failed: {row['error']}")
    done = f"{len(rows)} of {len(tasks)} done" + (f", {len(failures)} failed" if failures else "")
    print(f"\n{done}; tables: {folder / 'benchmark.csv'}, {folder / 'benchmark.md'}")
    return 1 if failures else 0


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


def _row(
    study: str, split: Kind, settings: Mapping[str, Any], folder: Path, quiet: bool
) -> tuple[dict[str, Any], bool]:
    """The row of one task, and whether it was computed now; errors become a row with "error"."""
    import calibration
    from calibration.benchmark.split_files import fixed_split

    file = _row_file(folder, study, split)
    try:
        problem = calibration.Problem.from_study(study)
        held_out = fixed_split(problem, split)
        key = task_key(problem, split, settings)
        if (finished := _finished(file, key)) is not None:
            return finished, False
        assessment = calibration.assess(problem, split=held_out, quiet=quiet, **settings)
        row = row_of(study, assessment)
        assessment.to_html(folder / f"{study}_{split}.html")
    except Exception as error:  # one study must not stop the others; its error is shown, saved and counted
        message = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, TwinError):
            message = f"{type(error).__name__}: {message}"
        row = {"study": study, "split": split, "error": message}
        write_text(json.dumps({"row": row, "traceback": traceback.format_exc()}, indent=1), file)
        return row, True
    write_text(json.dumps({"key": key, "row": row, "settings": dict(settings)}, indent=1), file)
    return row, True


def _row_file(folder: Path, study: str, split: str) -> Path:
    return folder / "rows" / f"{study}_{split}.json"


def _finished(file: Path, key: str) -> dict[str, Any] | None:
    """The row of an earlier run of the same task; None if there is none, or it failed."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(saved, dict) or saved.get("key") != key:
        return None
    row = saved.get("row")
    return row if isinstance(row, dict) and set(row) == set(COLUMNS) else None


def task_key(problem: Problem, split: str, settings: Mapping[str, Any]) -> str:
    """A hash of all that decides the result: model, data, study, split, settings, version of the program."""
    from importlib.metadata import version

    parts = (
        problem.model.fingerprint,
        problem.measurements.sha256,
        repr(problem.study),
        split,
        json.dumps(dict(settings), sort_keys=True),
        version("cytotwin"),
    )
    return hashlib.sha256("\x1f".join(parts).encode("utf-8")).hexdigest()


def row_of(study: str, assessment: Assessment) -> dict[str, Any]:
    """The row of an assessment: numbers (NaN where there is none) and words, by the names of `COLUMNS`."""
    import numpy as np

    readings, scores, gap = assessment.readings, assessment.scores, assessment.gap
    series = readings[["experiment", "subject"]].drop_duplicates()
    trained = int(np.sum(readings["train"].to_numpy(dtype=bool))) / len(assessment.split.folds)
    return {
        "study": study,
        "split": assessment.split.name,
        "train": round(trained),
        "test": gap.readings,
        "series": len(series),
        "gap": float(gap.value),
        "gap_low": float(gap.low),
        "gap_high": float(gap.high),
        "crps": float(gap.twin),
        "baseline": gap.baseline_name,
        "crps_baseline": float(gap.baseline),
        "floor": float(gap.floor),
        "coverage_50": float(np.mean(scores["coverage_50"].to_numpy(dtype=float))),
        "coverage_90": float(np.mean(scores["coverage_90"].to_numpy(dtype=float))),
        "interval_score": float(np.mean(scores["interval_score"].to_numpy(dtype=float))),
        "elpd": float(np.sum(scores["elpd"].to_numpy(dtype=float))),
        "r_hat": worst_r_hat(assessment),
        "ess": least_ess(assessment),
        "divergences": int(assessment.diagnostics.get("divergences", 0)),
        "seconds": float(assessment.diagnostics.get("seconds", float("nan"))),
        "verdict": assessment.verdict.label,
    }


def _write_tables(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    write_table(table, folder / "benchmark.csv")
    write_text(markdown(table), folder / "benchmark.md")


def markdown(table: pd.DataFrame) -> str:
    """The table for a README: the interval of the gap in one cell, three digits."""
    shown = [name for name in COLUMNS if name not in ("gap_low", "gap_high")]
    head = [COLUMNS[name] for name in shown]
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(" --- " if n in _TEXT else " ---: " for n in shown) + "|"]
    for row in table.to_dict("records"):
        cells = []
        for name in shown:
            if name == "gap":
                cells.append(f"{figure(row['gap'], 3)} [{figure(row['gap_low'], 3)}, {figure(row['gap_high'], 3)}]")
            elif name in _TEXT:
                cells.append(str(row[name]).replace("|", r"\|"))
            elif name == "r_hat":
                cells.append(f"{row[name]:.3f}")
            elif name in ("ess", "seconds", "train", "test", "series", "divergences"):
                cells.append("-" if row[name] != row[name] else f"{row[name]:.0f}")
            else:
                cells.append(figure(row[name], 3))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _short(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = [[row[n] if n in _TEXT else figure(row[n], 3) for n in _SHOWN] for row in rows]
    left = [place for place, name in enumerate(_SHOWN) if name in _TEXT]
    return text_table([COLUMNS[name] for name in _SHOWN], cells, left=left)


benchmark = Command(
    name="benchmark",
    summary="assess every study on every split it allows; one table",
    configure=configure,
    run=run,
    description="""\
Assess every study of the library on every split it allows.

  twin benchmark --out benchmark
  twin benchmark --studies theophylline,timekill_regoes2004 --draws 250

FOLDER gets benchmark.csv, benchmark.md, a page per row, and rows/ with a file per finished row. A run that
was interrupted goes on where it stopped: a row is computed again only if its model, data, study or settings
have changed.""",
)
