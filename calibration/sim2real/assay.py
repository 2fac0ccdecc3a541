"""What an assay cannot tell apart: below a detection limit, above an upper limit, and within intervals.

The limits are properties of the assay, so they hold for every reading of an observable, censored or not. Forecasts and
readings are both mapped through one non-decreasing function v of the value before they are scored: clamped at the
limits, and put at the middle of an interval wherever in it they lie. That keeps every score proper, because v does not
depend on the outcome (mapping only the readings that turned out censored would reward a forecaster according to it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd
from jaxtyping import Float

from twin.errors import ProblemError

#: Lower end, upper end and middle of each interval.
Bins = Float[np.ndarray, "bin 3"]


@dataclass(frozen=True, eq=False)
class AssayLimits:
    """What is not told apart, for every row of a table.

    Args:
        lower: Detection limits; minus infinity where there is none.
        upper: Upper limits; infinity where there is none.
        bins: Intervals by observable, apart from each other, in order.
    """

    lower: Float[np.ndarray, " reading"]
    upper: Float[np.ndarray, " reading"]
    bins: Mapping[str, Bins] = field(default_factory=lambda: MappingProxyType({}))

    def __getitem__(self, rows: object) -> AssayLimits:
        """The limits of some rows."""
        return AssayLimits(self.lower[rows], self.upper[rows], self.bins)  # type: ignore[index]

    def on_scale(self, transform: Callable[[Float[np.ndarray, "..."], str], Float[np.ndarray, "..."]]) -> AssayLimits:
        """The intervals on another scale, by a function of (values, observable); limits stay as they are."""
        return AssayLimits(self.lower, self.upper, {name: transform(each, name) for name, each in self.bins.items()})

    def map(
        self, values: Float[np.ndarray, "*draw reading"], observable: Float[np.ndarray, " reading"]
    ) -> Float[np.ndarray, "*draw reading"]:
        """The function v: clamp at the limits, then put what lies in an interval at its middle."""
        mapped = np.clip(values, self.lower, self.upper)
        for name, bins in self.bins.items():
            rows = np.flatnonzero(observable == name)
            mapped[..., rows] = _to_middles(mapped[..., rows], bins)
        return mapped


def assay_limits(table: pd.DataFrame) -> AssayLimits:
    """The limits of every row of a measurements table, natural scale.

    Of several detection limits of one observable the highest counts for all its readings, of several upper limits the
    lowest: that throws information away but keeps scores proper. Compute this on the full table, then take the rows
    you score, so that training and test agree.

    Raises:
        ProblemError: Intervals of one observable overlap without being equal.
    """

    def of_kind(word: str, choose: str, otherwise: float) -> Float[np.ndarray, " reading"]:
        found = table.loc[table["censoring"] == word].groupby("observable")["value"].agg(choose)
        return table["observable"].map(found).astype(float).fillna(otherwise).to_numpy()

    bins = {}
    between = table.loc[table["censoring"] == "interval"]
    for name, rows in between.groupby("observable"):
        ends = np.unique(rows[["value", "upper"]].to_numpy(dtype=float), axis=0)
        if np.any(overlap := ends[1:, 0] < ends[:-1, 1]):
            (a, b), (c, d) = ends[np.flatnonzero(overlap)[0]], ends[np.flatnonzero(overlap)[0] + 1]
            raise ProblemError(
                f"the intervals from {a:g} to {b:g} and from {c:g} to {d:g} overlap",
                where=f"readings of {name!r}",
                expected="intervals that are equal or apart, so that one score is proper for all readings",
                fix="score readings with overlapping intervals by their log-likelihood (ELPD, calibration.loo) only",
            )
        bins[str(name)] = np.column_stack([ends, ends.mean(axis=1)])
    return AssayLimits(of_kind("left", "max", -np.inf), of_kind("right", "min", np.inf), bins)


def as_limits(given: AssayLimits | Float[np.ndarray, " reading"] | None, table: pd.DataFrame) -> AssayLimits:
    """Limits as given, detection limits alone, or those of the table."""
    if given is None:
        return assay_limits(table)
    if isinstance(given, AssayLimits):
        return given
    lower = np.asarray(given, dtype=float)
    return AssayLimits(lower, np.full(lower.shape, np.inf))


def _to_middles(values: Float[np.ndarray, "..."], bins: Bins) -> Float[np.ndarray, "..."]:
    place = np.searchsorted(bins[:, 0], values, side="right") - 1
    inside = (place >= 0) & (values < bins[place, 1])
    return np.where(inside, bins[place, 2], values)
