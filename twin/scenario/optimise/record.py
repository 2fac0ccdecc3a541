"""What a search has tried, on disk: a line per design, so that a search that was killed goes on without trying again.

A search decides by its seed and by what it has seen, so it asks for the same designs again and finds them here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twin.errors import ScenarioError
from twin.scenario.durable import PART, append_line, checksum, plain_faults, write_whole
from twin.scenario.journal import LOCK

HEADER, LINES = "search.json", "tried.jsonl"
FORMAT = 1


class Record:
    """Answers by what was asked.

    Args:
        folder: Where they are kept; None to keep them in memory only.
        fingerprint: What the search is about.
        name: Of the scenario, for errors.

    Raises:
        ScenarioError: The folder belongs to another search, or to something else.
        StoreError: It cannot be read or written.
    """

    def __init__(self, folder: Path | None, fingerprint: str, name: str) -> None:
        self.folder = folder
        self._known: dict[str, Any] = {}
        if folder is not None:
            with plain_faults(folder):
                folder.mkdir(parents=True, exist_ok=True)
            self._open(folder, {"format": FORMAT, "fingerprint": fingerprint, "scenario": name})

    def _open(self, folder: Path, header: Mapping[str, Any]) -> None:
        with plain_faults(folder, "read"):
            present = {path.name for path in folder.iterdir() if path.suffix != PART and path.name != LOCK}
        if HEADER not in present:
            if present:
                found = f"the folder holds something else ({min(present)})"
                raise ScenarioError(found, where=str(folder), expected="an empty folder, or a new one")
            write_whole(folder / HEADER, json.dumps(header).encode())
            return
        try:
            written = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        except ValueError:
            written = None
        if written != header:
            raise ScenarioError(
                "the folder belongs to another search, or to this one before it was changed",
                where=str(folder),
                expected="the same scenario, factors, goal, limits, method, seed and numbers of designs",
                fix="undo the change, or search into another folder",
            )
        if LINES in present:
            with plain_faults(folder / LINES, "read"):
                text = (folder / LINES).read_text(encoding="utf-8", errors="replace")
            self._known = dict(filter(None, map(_read, text.splitlines())))
            if text and not text.endswith("\n"):  # half a line of a process that was killed
                append_line(folder / LINES, "")

    def __len__(self) -> int:
        return len(self._known)

    def get(self, asked: Any) -> Any:
        """The answer to what was asked before; None if it was not."""
        return self._known.get(json.dumps(asked))

    def put(self, asked: Any, answer: Any) -> None:
        """Keep an answer, on the disk when this returns.

        Raises:
            StoreError: The disk is full.
        """
        key = json.dumps(asked)
        self._known[key] = answer
        if self.folder is not None:
            content = json.dumps([key, answer])
            line = json.dumps({"line": content, "sum": checksum(content.encode())[:16]})
            append_line(self.folder / LINES, line)


def _read(text: str) -> tuple[str, Any] | None:
    """A line; None if it is damaged."""
    try:
        outer = json.loads(text)
        if checksum(outer["line"].encode())[:16] != outer["sum"]:
            return None
        key, answer = json.loads(outer["line"])
        return key, answer
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
