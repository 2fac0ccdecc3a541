"""Running a scenario: chunk by chunk into its store, safe against being killed, and going on where it stood."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.errors import ScenarioError, SimulationError, TwinError, TwinWarning
from twin.progress import progress as progress_line
from twin.scenario.bands import ArmBands
from twin.scenario.durable import checksum_of, plain_faults, write_whole
from twin.scenario.journal import HEADER, LOCK, ORIGIN, Journal, Line, Task, failed_by_arm
from twin.scenario.results import open_scenario
from twin.scenario.scenario import FORMAT, Scenario
from twin.scenario.store import Store
from twin.scenario.work import Result, Work
from twin.simulation import check_count
from twin.solve.nodes import REASONS

if TYPE_CHECKING:
    import xarray as xr

RETRIES = 1
"""How often a chunk that raised an error is tried again."""
HOPELESS = 8
"""Chunks that fail before any succeeds: the rest will, too."""

type Outcome = tuple[Task, Result | Exception]
type Executor = Callable[[Work, list[Task]], Iterable[Outcome]]


def run_scenario(
    scenario: Scenario,
    out: Path,
    *,
    chunk: int | None = None,
    progress: bool = True,
    origin: Path | None = None,
    executor: Executor | None = None,
) -> xr.Dataset:
    """Run a scenario into a folder, or go on with it; a folder that is complete is checked and opened.

    Args:
        scenario: What is run.
        out: The folder.
        chunk: Patients simulated together; default: what memory allows, at most 8192.
        progress: Show progress on standard error.
        origin: The file that describes the scenario, for `twin scenario resume`.
        executor: Does the work on chunks; default: this process, one after the other.

    Returns:
        The result; see `open_scenario`.

    Raises:
        ScenarioError: The folder belongs to another scenario or to something else, or another process is at work.
        StoreError: The disk is full, or the folder cannot be written; finished chunks are safe.
        SimulationError: Chunks that raised errors, again when tried again; the others are done.
    """
    if chunk is not None:
        check_count(chunk, "chunk")
    with plain_faults(out):
        out.mkdir(parents=True, exist_ok=True)
    journal = Journal(out)
    _refuse_foreign(journal, scenario)
    with journal.lock():
        header = journal.header()
        work = Work(scenario, chunk if header is None else _recorded_width(header, scenario, chunk))
        if header is None:
            _begin(journal, scenario, work.width, origin)
        _Run(journal, work).go(executor or one_after_the_other, progress)
    return open_scenario(out)


def _refuse_foreign(journal: Journal, scenario: Scenario) -> None:
    header = journal.header()
    if header is None:
        with plain_faults(journal.folder, "read"):
            others = [path.name for path in journal.folder.iterdir() if path.name not in (ORIGIN, LOCK)]
        others = [name for name in others if not name.endswith(".part")]
        if others:
            found = f"the folder holds something else ({sorted(others)[0]})"
            raise ScenarioError(found, where=str(journal.folder), expected="an empty folder, or a new one")
    elif header.get("format") != FORMAT or header.get("fingerprint") != scenario.fingerprint:
        raise ScenarioError(
            f"the folder belongs to another scenario ({header.get('name')!r}, or this one before it was changed)",
            where=str(journal.folder),
            expected="the scenario that it was begun with: model, cohort, arms, times, endpoints, tolerances",
            fix="undo the change, or run into another folder",
        )


def _recorded_width(header: Mapping[str, Any], scenario: Scenario, asked: int | None) -> int:
    """Patients of a chunk as the run was begun."""
    recorded = int(header["width"])
    if asked is not None and min(asked, scenario.cohort.size) != recorded:
        found = f"the run was begun with chunks of {recorded} patients, not {asked}"
        raise ScenarioError(found, where="chunk", fix=f"leave chunk out, or {recorded}")
    return recorded


def _begin(journal: Journal, scenario: Scenario, width: int, origin: Path | None) -> None:
    if origin is not None:
        journal.write_json(ORIGIN, {"file": str(origin.resolve())})
    journal.write_json(
        HEADER,
        {
            "format": FORMAT,
            "fingerprint": scenario.fingerprint,
            "name": scenario.name,
            "model": scenario.model.name,
            "patients": scenario.cohort.size,
            "arms": list(scenario.arm_names),
            "width": width,
            "chunks": -(-scenario.cohort.size // width),
            "versions": {name: version(name) for name in ("cytotwin", "jax", "numpy")},
        },
    )


def one_after_the_other(work: Work, tasks: list[Task]) -> Iterator[Outcome]:
    """Do the work in this process."""
    for task in tasks:
        yield task, attempt(work, task)


def attempt(work: Work, task: Task) -> Result | Exception:
    """The work on a chunk, tried again if it raises an error; the last error if it always does."""
    failure: Exception | None = None
    for _ in range(1 + RETRIES):
        try:
            return work.run(*task)
        except Exception as error:  # whatever it is: it is reported with the chunk's parameters, and the run ends so
            failure = error
    assert failure is not None
    return failure


@dataclass
class _Run:
    """One process's part in a run."""

    journal: Journal
    work: Work

    def __post_init__(self) -> None:
        self.scenario = self.work.scenario
        self.store = Store(self.journal.folder, self.scenario, self.work.width)
        self.lines: dict[Task, Line] = {}
        self.bands: dict[int, ArmBands] = {}

    def go(self, executor: Executor, shown: bool) -> None:
        """Do what is not done, and say that it is."""
        self.store.prepare()
        finished = self.journal.finished()
        todo = self._todo(finished)
        if finished is None:
            self.journal.reopen(self.lines)
        elif not todo:
            self._clean()
            return
        total = len(self.scenario.all_arms) * self.store.chunks
        errors: dict[Task, Exception] = {}
        label = f"{self.scenario.cohort.size:,} patients in {len(self.scenario.all_arms)} arms"
        with progress_line(label, total, quiet=not shown) as line:
            done = total - len(todo)
            for task, result in executor(self.work, todo) if todo else ():
                if isinstance(result, Exception):
                    errors[task] = result
                    self._report(task, result)
                    if len(errors) >= HOPELESS and len(errors) > done:
                        break
                    continue
                self._keep(task, result)
                done += 1
                failed = sum(sum(item.failed.values()) for item in self.lines.values())
                line.update(done, f"{failed:,} failed" if failed else "")
        if errors:
            self._refuse(errors)
        self._finish()

    def _todo(self, finished: Mapping[str, Any] | None) -> list[Task]:
        """Chunks to be computed: those not there, damaged ones, and those that are not in their bands."""
        arms, chunks = range(len(self.scenario.all_arms)), range(self.store.chunks)
        known = self.journal.lines()
        self.lines = {task: line for task, line in known.items() if self.store.intact(*task, line.sums)}
        damaged = set(known) - set(self.lines)
        if damaged:
            text = f"{len(damaged)} of {len(known)} chunks are damaged; they are computed again"
            warnings.warn(text, TwinWarning, stacklevel=5)
        todo = {(arm, chunk) for arm in arms for chunk in chunks} - set(self.lines)
        if self.scenario.bands is not None:
            for arm in arms:
                if finished is not None and self._band_sums(arm) == finished.get("bands", {}).get(str(arm)):
                    continue
                self.bands[arm] = ArmBands(self.journal.folder, arm)
                self.bands[arm].load()
                todo |= {(arm, chunk) for chunk in chunks if chunk not in self.bands[arm].chunks}
        # All arms of a chunk before the next chunk: what is there is the same patients in every arm.
        return sorted(todo, key=lambda task: (task[1], task[0]))

    def _keep(self, task: Task, result: Result) -> None:
        sums = self.store.write(*task, result.arrays)
        if task[0] in self.bands:
            self.bands[task[0]].add(task[1], result.bands)
        line = Line(*task, sums, dict(result.failed))
        self.lines[task] = line
        self.journal.append(line)

    def _band_sums(self, arm: int) -> dict[str, str | None]:
        if self.scenario.bands is None:
            return {}
        return {name: checksum_of(self.store.band_file(name, arm)) for name in ("band", "band_rank_error")}

    def _report(self, task: Task, error: Exception) -> None:
        """A table of the patients of a chunk that raised an error."""
        import pandas as pd

        arm, chunk = task
        try:
            table = pd.DataFrame(self.work.parameters(arm, chunk))
        except TwinError:  # it may be the drawing itself that fails
            table = pd.DataFrame()
        said = " ".join(str(error).split())
        text = f"# arm {self.scenario.arm_names[arm]!r}, chunk {chunk}: {type(error).__name__}: {said}\n"
        write_whole(self._report_file(task), (text + table.to_csv(index=False)).encode())

    def _report_file(self, task: Task) -> Path:
        return self.journal.folder / f"failed-{task[0]}-{task[1]}.csv"

    def _refuse(self, errors: Mapping[Task, Exception]) -> None:
        (arm, chunk), first = next(iter(errors.items()))
        raise SimulationError(
            f"{len(errors)} chunks raised errors, again when tried again; the first: arm "
            f"{self.scenario.arm_names[arm]!r}, patients from {chunk * self.work.width} on: "
            f"{type(first).__name__}: {first}",
            where=str(self._report_file((arm, chunk))),
            fix="look at its parameters; the chunks that are done are kept, and resume tries the others again",
        ) from first

    def _finish(self) -> None:
        for arm, bands in self.bands.items():
            quantiles = self.work.quantiles()
            if quantiles is not None:
                self.store.write_bands(arm, bands.into(quantiles))
        self._clean()
        sums = (
            {str(arm): self._band_sums(arm) for arm in range(len(self.scenario.all_arms))}
            if self.scenario.bands
            else {}
        )
        self.journal.finish(self.lines, sums)
        for bands in self.bands.values():
            bands.discard()
        self._warn()

    def _clean(self) -> None:
        for stray in [*self.store.strays(), *self.journal.folder.glob("failed-*.csv")]:
            stray.unlink(missing_ok=True)
        if self.journal.finished() is not None:
            self.journal.clear()

    def _warn(self) -> None:
        """Say aloud who failed."""
        names, size = self.scenario.arm_names, self.scenario.cohort.size
        for arm, counts in failed_by_arm(self.lines).items():
            listed = "; ".join(f"{count} with {REASONS[int(code)]}" for code, count in counts.items())
            text = (
                f"arm {names[int(arm)]!r}: {sum(counts.values())} of {size:,} patients failed ({listed}); they are NaN"
            )
            warnings.warn(text, TwinWarning, stacklevel=6)


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Args:
        name: Name of the scenario.
        arms: Names of its arms.
        patients: Number of patients.
        done: Finished chunks of each arm.
        chunks: Chunks of an arm.
        failed: Number of failed patients by index of the arm and status, so far.
        complete: Whether all is done.
        running: Whether a process is at work on it.
    """

    name: str
    arms: tuple[str, ...]
    patients: int
    done: tuple[int, ...]
    chunks: int
    failed: Mapping[str, Mapping[str, int]]
    complete: bool
    running: bool


def status_of(folder: Path) -> Status:
    """How far a run is, from its journal alone.

    Raises:
        ScenarioError: No scenario was begun there.
        StoreError: The journal cannot be read.
    """
    journal = Journal(folder)
    header = journal.header()
    if header is None:
        found = "no scenario was run into it" if folder.is_dir() else "there is no such folder"
        raise ScenarioError(found, where=str(folder), fix="twin scenario run FILE --out FOLDER")
    lines = journal.lines()
    done = tuple(sum(task[0] == arm for task in lines) for arm in range(len(header["arms"])))
    return Status(
        name=header["name"],
        arms=tuple(header["arms"]),
        patients=header["patients"],
        done=done,
        chunks=header["chunks"],
        failed=failed_by_arm(lines),
        complete=journal.finished() is not None,
        running=journal.is_running(),
    )
