"""Progress of long work on the terminal: nothing for the first two seconds, then one line that moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0
"""Seconds of silence before anything is shown."""


class Progress:
    """A line on standard error that says what is being done and how far it is.

    On a terminal the line is redrawn; otherwise (a log, a notebook's captured output) a line is written at every tenth.
    """

    def __init__(self, label: str, total: int, quiet: bool = False) -> None:
        self.label, self.total, self.quiet = label, max(total, 1), quiet
        self._start = time.monotonic()
        self._shown = False
        self._tenth = -1

    def update(self, done: int, note: str = "") -> None:
        """Say that `done` of the total is done."""
        elapsed = time.monotonic() - self._start
        if self.quiet or elapsed < PATIENCE:
            return
        share = min(done / self.total, 1.0)
        text = f"{self.label}: {share:4.0%} ({elapsed:.0f} s)" + (f", {note}" if note else "")
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
            self._shown = True
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def part(self, done: int, what: str) -> Progress:
        """The same line for a part of the work whose length nobody knows: it stays at `done` and says how that goes."""
        return _Part(self, done, what)

    def close(self) -> None:
        """Leave the last line standing."""
        if self._shown:
            sys.stderr.write("\n")
            sys.stderr.flush()


class _Part(Progress):
    """A part of a line's work."""

    def __init__(self, line: Progress, done: int, what: str) -> None:
        self._line, self._done, self._what = line, done, what

    def update(self, done: int, note: str = "") -> None:
        self._line.update(self._done, self._what + (f": {note}" if note else ""))

    def close(self) -> None:
        """The line goes on."""


@contextmanager
def progress(label: str, total: int, quiet: bool = False) -> Iterator[Progress]:
    """A `Progress` that is closed at the end, also after an interruption."""
    line = Progress(label, total, quiet)
    try:
        yield line
    finally:
        line.close()
