"""Parts of a long computation on disk, so that one which was killed goes on: an archive of arrays per part.

A part's name holds the fingerprint of what was asked, so that parts of another question are never taken. An archive
that is damaged is computed again; arrays are read as numbers, and nothing in them is unpickled.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from twin.scenario.durable import plain_faults, write_whole

_DAMAGED = (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile)

type Arrays = tuple[np.ndarray, ...]


class KeptParts:
    """A folder of parts.

    Args:
        folder: Where they are; made with the first part.
        key: Fingerprint of what was asked, hexadecimal.

    Attributes:
        found: How many parts were there already.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.found = folder, 0
        self._key = key[:24]

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """A part from the folder, or computed and kept.

        Args:
            name: Of the part: letters, digits and "-".
            compute: Computes it.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        path = self.folder / f"{self._key}-{name}.npz"
        if (kept := _read(path)) is not None:
            self.found += 1
            return kept
        computed = compute()
        content = io.BytesIO()
        np.savez(content, *computed)
        with plain_faults(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue())
        return computed

    def clear(self) -> None:
        """Remove the parts of this question, and the folder if nothing else is in it."""
        for path in self.folder.glob(f"{self._key}-*"):
            path.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def _read(path: Path) -> Arrays | None:
    """The arrays in their order; None if there is no whole archive."""
    if not path.is_file():
        return None
    try:
        # From memory: of a damaged file NumPy would leave the handle open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return tuple(archive[f"arr_{index}"] for index in range(len(archive.files)))
    except _DAMAGED:
        return None
