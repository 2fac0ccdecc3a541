"""One task of the benchmark: make the problem, assess it, keep its row and its page; also in a worker process."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calibration.benchmark.pooling import Pooling, pooled, poolings
from calibration.benchmark.record import COLUMNS, row_of
from calibration.benchmark.split_files import fixed_split
from calibration.benchmark.study_file import read_study
from calibration.problem import Problem
from calibration.sim2real.discrepancy_layer import check_discrepancy
from calibration.sim2real.splits import Split, make_split
from twin import library
from twin.commands.files import write_text
from twin.errors import ProblemError, TwinError


@dataclass(frozen=True)
class Task:
    """A row to be made.

    Args:
        study: Name of the study.
        split: Name of the split.
        pooling: How its subjects share parameters.
        file: The YAML file that describes the study; empty for one of the library.
    """

    study: str
    split: str
    pooling: Pooling = ""
    file: str = ""

    @property
    def label(self) -> str:
        """The task for people."""
        return f"{self.study}, {self.split}" + (f", {self.pooling} pooling" if self.pooling else "")

    @property
    def stem(self) -> str:
        """The task in names of files."""
        return "_".join(part for part in (self.study, self.split, self.pooling) if part)

    def row_file(self, folder: Path) -> Path:
        """Where its row is kept."""
        return folder / "rows" / f"{self.stem}.json"

    def page(self, folder: Path) -> Path:
        """Where its page is kept."""
        return folder / "pages" / f"{self.stem}.html"


def tasks_of(study: str, ways: str = "all", file: str = "") -> list[Task]:
    """The tasks of a study: every split, and every way of pooling or the study's own ("own").

    Args:
        study: Name of a study of the library.
        ways: "all" or "own".
        file: A YAML file that describes the study, instead of its name.
    """
    description = read_study(Path(file)).study if file else library.study(study)
    chosen = poolings(description) if ways == "all" else poolings(description)[:1]
    return [Task(description.name, split, way, file) for split in description.splits for way in chosen]


def perform(task: Task, settings: Mapping[str, Any], folder: Path, quiet: bool) -> tuple[dict[str, Any], bool]:
    """The row of a task, and whether it was computed now; an error becomes a row with "error".

    A row that was kept by an earlier run of the very same task is taken as it is. What is new is written to the folder:
    the page first, the row last, so that a row means that all is there.
    """
    import calibration

    file = task.row_file(folder)
    try:
        problem, split = _problem(task)
        key = task_key(problem, split, settings)
        if (finished := _finished(file, key)) is not None and task.page(folder).is_file():
            return finished, False
        note = why_no_discrepancy(problem, split) if settings.get("discrepancy") else "not asked for"
        asked = {**settings, "discrepancy": not note}
        assessment = calibration.assess(problem, split=split, quiet=quiet, **asked)
        row = row_of(task.study, task.pooling, problem, assessment, note)
        assessment.to_html(task.page(folder))
    except Exception as error:  # one task must not stop the others; its error is shown, saved and counted
        message = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, TwinError):
            message = f"{type(error).__name__}: {message}"
        row = {**asdict(task), "error": message}
        write_text(json.dumps({"row": row, "traceback": traceback.format_exc()}, indent=1), file)
        return row, True
    write_text(json.dumps({"key": key, "row": row, "settings": dict(settings)}, indent=1), file)
    return row, True


def why_no_discrepancy(problem: Problem, split: Split) -> str:
    """What forbids a discrepancy between mechanism and readings in closed form; "" if nothing does."""
    try:
        check_discrepancy(problem, split, "shared")
    except ProblemError as error:
        return error.found
    return ""


def perform_in_worker(argument: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """`perform` with plain arguments, as `twin.conformance.pool` hands them over."""
    return perform(Task(**argument["task"]), argument["settings"], Path(argument["folder"]), argument["quiet"])


def task_key(problem: Problem, split: Split, settings: Mapping[str, Any]) -> str:
    """A hash of all that decides the result: model, data, study, held-out rows, settings, version of the program."""
    from importlib.metadata import version

    held = [fold.label.encode() + fold.train.tobytes() + fold.test.tobytes() for fold in split.folds]
    parts = (
        problem.model.fingerprint,
        problem.measurements.sha256,
        repr(problem.study),
        split.name,
        hashlib.sha256(b"\x1f".join(held)).hexdigest(),
        json.dumps(dict(settings), sort_keys=True),
        version("cytotwin"),
    )
    return hashlib.sha256("\x1f".join(parts).encode("utf-8")).hexdigest()


def _problem(task: Task) -> tuple[Problem, Split]:
    if task.file:
        own = read_study(Path(task.file))
        problem = own.problem(pooled(own.study, task.pooling))
        return problem, make_split(problem.measurements.table, task.split, own.study)
    problem = Problem.from_study(pooled(library.study(task.study), task.pooling))
    return problem, fixed_split(problem, task.split)


def _finished(file: Path, key: str) -> dict[str, Any] | None:
    """The row of an earlier run of the same task; None if there is none, or it failed."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(saved, dict) or saved.get("key") != key:
        return None
    row = saved.get("row")
    return row if isinstance(row, dict) and list(row) == list(COLUMNS) else None
