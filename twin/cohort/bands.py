"""Quantiles of more values than fit in memory: exact ranks of marks that some pilot subjects set.

The values of the pilot at evenly spaced ranks are the marks. Over all subjects we count, for every mark, how many
values lie below it and how many do not lie above it. These counts are exact, so for a level q of n values we know two
marks between which the quantile lies, and how many values lie between them: that share is the largest possible error in
rank, and it is reported. Inside we interpolate linearly. Values that many subjects share (a state at 0) fall on a mark
and are exact. With no more values than marks the result is that of ``numpy.quantile``.

Counts of integers do not depend on the order of the subjects, so a resumed run ends with the same digits. That is why
this is no sketch of Apache DataSketches: its KLL sketch draws random bits from the clock and cannot be seeded, and its
t-digest has no bound; both also took longer per value than the sort here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from twin.cohort.layout import Field
from twin.cohort.summaries import AbstractAccumulator, Bands, Outputs, State

PILOT = 4096
"""Subjects that set the marks: each of 512 marks stands for 8 of them, so shares between marks vary by a third."""
MEMORY_FOR_PILOT = 256 * 2**20
"""Bytes that the pilot's values may take; with very many variables and times fewer subjects set the marks."""


def pilot_size(bands: Bands, cells: int) -> int:
    """Number of pilot subjects for so many pairs of a variable and a time."""
    return max(bands.resolution, min(PILOT, MEMORY_FOR_PILOT // (8 * max(cells, 1))))


def memory(bands: Bands, cells: int) -> int:
    """Bytes that marks and counts take."""
    return 24 * bands.resolution * cells


class Quantiles(AbstractAccumulator):
    """The `Bands` of a run.

    Args:
        bands: Levels and resolution.
        names: Variables.
        units: Their units.
        rows: Their rows among the outputs.
        times: Number of sample times.
    """

    needs_pilot = True

    def __init__(
        self, bands: Bands, names: Sequence[str], units: Sequence[str], rows: Sequence[int], times: int
    ) -> None:
        self.bands, self.names, self.units, self.rows, self.times = bands, names, units, list(rows), times
        cells = len(self.rows) * times
        self.marks: Float[np.ndarray, "cell mark"] = np.zeros((cells, 0))
        self.below: Int[np.ndarray, "cell mark"] = np.zeros((cells, 0), dtype=np.int64)
        self.up_to = self.below.copy()
        self.count = np.zeros(cells, dtype=np.int64)
        self.least, self.most = np.full(cells, np.inf), np.full(cells, -np.inf)

    def _cells(self, outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
        """Values of each cell ascending, and how many there are; what is not a number comes last and does not count."""
        values = np.sort(outputs[self.rows].reshape(len(self.count), -1), axis=1)
        return values, values.shape[1] - np.isnan(values).sum(axis=1)

    def begin(self, pilot: Outputs) -> None:
        values, found = self._cells(pilot)
        number = min(self.bands.resolution, values.shape[1])
        places = np.linspace(0.0, 1.0, number)[None, :] * np.maximum(found - 1, 0)[:, None]
        # A cell without any value gets marks that are not numbers; nothing is counted at them.
        self.marks = np.take_along_axis(values, np.rint(places).astype(np.int64), axis=1)
        self.below = np.zeros(self.marks.shape, dtype=np.int64)
        self.up_to = self.below.copy()

    def update(self, outputs: Outputs) -> None:
        values, found = self._cells(outputs)
        for cell in np.flatnonzero(found):
            column = values[cell, : found[cell]]
            self.below[cell] += np.searchsorted(column, self.marks[cell], side="left")
            self.up_to[cell] += np.searchsorted(column, self.marks[cell], side="right")
            self.least[cell] = min(self.least[cell], column[0])
            self.most[cell] = max(self.most[cell], column[-1])
        self.count += found

    def state(self) -> State:
        return {
            "marks": self.marks,
            "below": self.below,
            "up_to": self.up_to,
            "count": self.count,
            "least": self.least,
            "most": self.most,
        }

    def restore(self, state: State) -> None:
        for name, values in state.items():
            setattr(self, name, values.copy())

    def fields(self) -> list[Field]:
        levels = np.array(self.bands.levels)
        found = [Field("quantile", ("quantile",), np.float64, {}, levels, is_coordinate=True)]
        for name, unit in zip(self.names, self.units, strict=True):
            attrs = {"units": unit} if unit else {}
            attrs |= {"long_name": f"quantiles of {name} over subjects", "ancillary_variables": f"{name}_rank_error"}
            about = {"long_name": "largest possible error of the share of subjects below the quantile"}
            found.append(Field(f"{name}_quantile", ("quantile", "time"), np.float64, attrs))
            found.append(Field(f"{name}_rank_error", ("quantile", "time"), np.float64, about))
        return found

    def results(self) -> Mapping[str, np.ndarray]:
        levels = np.array(self.bands.levels)
        values = np.full((len(self.count), len(levels)), np.nan)
        errors = values.copy()
        for cell in np.flatnonzero(self.count):
            values[cell], errors[cell] = self._at(cell, levels)
        shape = (len(self.rows), self.times, len(levels))
        values, errors = (x.reshape(shape).transpose(0, 2, 1) for x in (values, errors))
        found = {f"{name}_quantile": each for name, each in zip(self.names, values, strict=True)}
        return found | {f"{name}_rank_error": each for name, each in zip(self.names, errors, strict=True)}

    def _at(self, cell: int, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Quantiles of one cell, and their largest error in rank."""
        total = int(self.count[cell])
        below, up_to, marks = self.below[cell], self.up_to[cell], self.marks[cell]
        # Ranks (from 0) that are known: the least and the largest value, and the first and the last value equal to
        # each mark. A mark that no value equals (the pilot ran in another batch, and rounded otherwise) lies between
        # two ranks.
        met = up_to > below
        first, last = np.where(met, below, below - 0.5), np.where(met, up_to - 1, below - 0.5)
        inner = met | ((below > 0) & (below < total))
        ranks = np.concatenate([[0], np.stack([first[inner], last[inner]], axis=1).ravel(), [total - 1]])
        known = np.concatenate([[self.least[cell]], np.repeat(marks[inner], 2), [self.most[cell]]])
        wanted = levels * (total - 1)
        after = np.clip(np.searchsorted(ranks, wanted, side="left"), 0, len(ranks) - 1)
        before = np.where(ranks[after] == wanted, after, np.maximum(after - 1, 0))
        gap = ranks[after] - ranks[before]
        share = np.where(gap > 0, (wanted - ranks[before]) / np.where(gap > 0, gap, 1.0), 0.0)
        low, high = known[before], known[after]
        with np.errstate(invalid="ignore"):
            between = high - low
            inside = low + share * between
        # Between infinite values there is nothing to interpolate.
        values = np.where(np.isfinite(between), inside, np.where(share < 0.5, low, high))
        unknown = np.where(low == high, 0, np.ceil(ranks[after]) - np.floor(ranks[before]) - 1)
        return values, np.maximum(unknown, 0) / total
