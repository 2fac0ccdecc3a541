"""Bands of an arm while they come to be: counts of finished chunks, kept on disk with the list of those chunks.

Counts are whole numbers and ranges are least and largest values, so the order of the chunks does not matter; the list
says which are in, so that a chunk that is computed twice is counted once.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twin.cohort.bands import Quantiles
from twin.errors import SimulationError
from twin.scenario.durable import write_whole


class ArmBands:
    """Counts of one arm.

    Args:
        folder: The folder of the run.
        arm: Index of the arm.
    """

    def __init__(self, folder: Path, arm: int) -> None:
        self._file = folder / f"bands-{arm}.npz"
        self.state: dict[str, np.ndarray] = {}
        self.chunks: set[int] = set()

    def load(self) -> None:
        """Go on from what is on disk; a damaged file counts as none."""
        try:
            with np.load(self._file, allow_pickle=False) as found:
                state = dict(found)
            self.chunks = set(state.pop("chunks").tolist())
            self.state = state
        except (FileNotFoundError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
            self.state, self.chunks = {}, set()

    def add(self, chunk: int, counts: Mapping[str, np.ndarray]) -> None:
        """Count the patients of a chunk, and keep the sum on disk.

        Raises:
            SimulationError: They were counted at other values than those before them.
            StoreError: It cannot be written.
        """
        if chunk in self.chunks:
            return
        if not self.state:
            self.state = {name: np.array(values) for name, values in counts.items()}
        else:
            if not np.array_equal(self.state["marks"], counts["marks"], equal_nan=True):
                raise SimulationError(
                    "two machines computed other digits for the same pilot patients",
                    where="bands",
                    fix="run on machines of one kind, or without bands",
                )
            for name in ("below", "up_to", "count"):
                self.state[name] = self.state[name] + counts[name]
            self.state["least"] = np.minimum(self.state["least"], counts["least"])
            self.state["most"] = np.maximum(self.state["most"], counts["most"])
        self.chunks.add(chunk)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, chunks=np.array(sorted(self.chunks)), **self.state)
        write_whole(self._file, content.getvalue())

    def into(self, quantiles: Quantiles) -> Quantiles:
        """The counts as bands."""
        quantiles.restore(self.state)
        return quantiles

    def discard(self) -> None:
        """Remove the file."""
        self._file.unlink(missing_ok=True)
