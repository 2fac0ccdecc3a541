"""What a run has finished, kept beside its store so that the same call can go on after a kill.

While a run lasts, everything lies in a folder beside the target: ``x.zarr.running`` holds the store, ``journal.json``
and the state of the summaries. The journal is replaced as a whole after each chunk. When all is done the store is moved
to its place and the folder removed, so that a target that exists is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from twin.errors import ExperimentError

FORMAT = 1
"""Raised when journals or stores come to be laid out differently."""
FINGERPRINT = "run_fingerprint"
"""Attribute of a finished store that says which call made it."""

type State = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Entry:
    """Where a run stands.

    Args:
        fingerprint: The call.
        width: Subjects of a chunk.
        done: Subjects that are finished.
        failures: Number of subjects by status.
        state: File with the state of the summaries; empty before there is any.
        solver: The method taken; empty in journals that do not say.
    """

    fingerprint: str
    width: int
    done: int
    failures: dict[str, int]
    state: str
    solver: str = ""


class Journal:
    """The running folder of a target.

    Args:
        target: Where the finished store will be.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = target.with_name(f"{target.name}.running")
        self.store = self.folder / f"store{target.suffix}"
        self._file = self.folder / "journal.json"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from the same target; the system frees the lock of a killed one."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        path = self.target.with_name(f"{self.target.name}.lock")
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise ExperimentError(
                "another process is writing to it", where=str(self.target), fix="wait for it, or write elsewhere"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            lock.release()

    def read(self) -> Entry | None:
        """The latest entry; None if no run has come so far.

        Raises:
            ExperimentError: It is no journal of this version.
        """
        if not self._file.is_file():
            return None
        try:
            content: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise ValueError("another format")
            return Entry(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise ExperimentError(
                f"the journal cannot be read ({error})",
                where=str(self._file),
                fix="delete the folder, or overwrite=True",
            ) from error

    def load(self, entry: Entry) -> dict[str, np.ndarray]:
        """The state of the summaries at an entry."""
        if not entry.state:
            return {}
        with np.load(self.folder / entry.state, allow_pickle=False) as arrays:
            return dict(arrays)

    def write(self, entry: Entry, state: State) -> Entry:
        """Make an entry, with the state of the summaries; all of it or nothing."""
        name = f"summaries-{entry.done}.npz" if state else ""
        if state:
            with open(self.folder / name, "wb") as file:
                np.savez(file, allow_pickle=False, **state)
        entry = replace(entry, state=name)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({"format": FORMAT, **vars(entry)}), encoding="utf-8")
        os.replace(part, self._file)
        for old in self.folder.glob("summaries-*.npz"):
            if old.name != name:
                old.unlink()
        return entry

    def begin(self) -> None:
        """An empty folder."""
        self.discard()
        self.folder.mkdir(parents=True)

    def publish(self) -> None:
        """Move the finished store to its place."""
        if self.target.is_dir():
            shutil.rmtree(self.target)
        os.replace(self.store, self.target)
        self.discard()

    def discard(self) -> None:
        """Remove the folder."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
