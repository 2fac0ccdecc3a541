"""What a run has finished: one line per chunk of an arm, appended when its files are on the disk.

A kill can leave half a line, and a damaged disk a line that cannot be read; such a chunk is computed again. There is no
time in it: a clock that jumps changes nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from twin.errors import ScenarioError, StoreError
from twin.scenario.durable import PART, append_line, checksum, plain_faults, write_whole

HEADER, JOURNAL, SUMS, LOCK, ORIGIN = "scenario.json", "journal.jsonl", "checksums.json", "run.lock", "origin.json"

type Task = tuple[int, int]
"""Arm and chunk."""


@dataclass(frozen=True)
class Line:
    """A finished chunk of an arm.

    Args:
        arm: Index of the arm.
        chunk: Index of the chunk.
        sums: Checksum of each file, by name of the array.
        failed: Number of patients by status, failed ones only.
    """

    arm: int
    chunk: int
    sums: Mapping[str, str]
    failed: Mapping[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The line, with a checksum of its own."""
        content = json.dumps(vars(self), sort_keys=True)
        return json.dumps({"line": content, "sum": checksum(content.encode())[:16]})

    @classmethod
    def read(cls, text: str) -> Line | None:
        """A line; None if it is damaged."""
        try:
            outer = json.loads(text)
            if checksum(outer["line"].encode())[:16] != outer["sum"]:
                return None
            return cls(**json.loads(outer["line"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


class Journal:
    """The files of a run beside its store.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / JOURNAL

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from the same folder; the system frees the lock of a killed one."""
        path = self.folder / LOCK
        lock = filelock.FileLock(path)
        with plain_faults(path):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                raise ScenarioError(
                    "another process is running this scenario", where=str(self.folder), fix="wait for it"
                ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            lock.release()

    def is_running(self) -> bool:
        """Whether a process holds the lock."""
        path = self.folder / LOCK
        if not path.exists():
            return False
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return True
        except OSError:  # a folder that cannot be written: nobody runs there
            return False
        lock.release()
        return False

    def header(self) -> dict[str, Any] | None:
        """What was begun here; None if nothing was.

        Raises:
            StoreError: It cannot be read.
        """
        return self._json(HEADER)

    def origin(self) -> str | None:
        """The file that described the scenario; None if it was made in Python."""
        found = self._json(ORIGIN)
        return None if found is None else found["file"]

    def finished(self) -> dict[str, Any] | None:
        """Checksums of a complete store; None while it is not complete."""
        return self._json(SUMS)

    def _json(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("no mapping")
            return content
        except FileNotFoundError:
            return None
        except ValueError as error:
            fix = (
                "delete the file and resume: all chunks are computed again"
                if name == SUMS
                else "begin anew in another folder"
            )
            raise StoreError(f"it cannot be read ({error})", where=str(path), fix=fix) from error
        except OSError as error:
            raise StoreError(f"it cannot be read ({error.strerror})", where=str(path)) from error

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the files."""
        write_whole(self.folder / name, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())

    def lines(self) -> dict[Task, Line]:
        """Chunks that are finished, the latest line of each; damaged lines are left out."""
        finished = self.finished()
        if finished is not None:
            return {(line.arm, line.chunk): line for line in (Line(*item) for item in finished["chunks"])}
        try:
            text = self._file.read_bytes().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"it cannot be read ({error.strerror})", where=str(self._file)) from error
        read = (Line.read(line) for line in text.splitlines())
        return {(line.arm, line.chunk): line for line in read if line is not None}

    def reopen(self, lines: Mapping[Task, Line]) -> None:
        """Go on with these lines: half a line at the end must not spoil the next."""
        text = "".join(lines[task].text() + "\n" for task in sorted(lines))
        write_whole(self._file, text.encode())
        (self.folder / SUMS).unlink(missing_ok=True)

    def append(self, line: Line) -> None:
        """Say that a chunk is finished."""
        append_line(self._file, line.text())

    def finish(self, lines: Mapping[Task, Line], bands: Mapping[str, Any]) -> None:
        """Say that all is finished, in an order that does not depend on how it was run."""
        ordered = [lines[task] for task in sorted(lines)]
        self.write_json(
            SUMS,
            {
                "chunks": [[line.arm, line.chunk, dict(line.sums), dict(line.failed)] for line in ordered],
                "failed": failed_by_arm(lines),
                "bands": dict(bands),
            },
        )
        self.clear()

    def clear(self) -> None:
        """Remove what only a run that lasts needs."""
        self._file.unlink(missing_ok=True)
        for part in self.folder.glob(f"*{PART}"):
            part.unlink(missing_ok=True)


def failed_by_arm(lines: Mapping[Task, Line]) -> dict[str, dict[str, int]]:
    """Number of patients that failed, by index of the arm and status."""
    found: dict[int, Counter[str]] = {}
    for line in lines.values():
        found.setdefault(line.arm, Counter()).update(line.failed)
    return {str(arm): dict(sorted(counts.items())) for arm, counts in sorted(found.items()) if counts}
