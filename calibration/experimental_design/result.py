"""What a design found: the readings to take, how good they are, and how good any readings could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from calibration.experimental_design.candidates import KEYS, Candidates
from calibration.experimental_design.expected_gain import Gain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Design:
    """Readings to take.

    Args:
        name: Name of the problem.
        criterion: "D", "A", "E" or "information gain".
        interest: What the criterion counts: entries of the vector, or predictions.
        candidates: What there was to choose from.
        counts: How often each purchase is made.
        budget: What could be spent.
        value: The criterion (logarithm, mean over draws), or the gain [nat].
        bound: No affordable design has a higher criterion; for a gain, up to the Monte-Carlo error.
        efficiency: The criterion against its bound: at least this share of what the best design gives. For "D", "A" and
            "E" a share of readings, for a gain a share of the nats.
        now: The criterion of the readings at hand, -inf where they do not determine what is of interest.
        weights: Purchases of the best design with fractions, NaN for a gain.
        slopes: Derivative of the criterion in each purchase there, NaN for a gain.
        order: Purchases in the order in which they add most, with the criterion after each.
        standard_errors: Index: entries, or predictions; columns ``now`` (readings at hand and priors), ``after`` (with
            the design; instead of the readings at hand unless they were kept) and ``ratio``; estimation scale, medians
            over draws.
        curve: Candidate readings with ``prediction``, and its standard error ``sd_now`` and ``sd_after``; medians.
        readings: Readings at hand.
        kept: Whether these count.
        draws: Vectors that the criterion was averaged over.
        gain: Both estimates of the gain, for "information gain".
        units: Time unit, and unit of each observable.
        log: Remarks on the search.
    """

    name: str
    criterion: str
    interest: tuple[str, ...]
    candidates: Candidates
    counts: Float[np.ndarray, " item"]
    budget: float
    value: float
    bound: float
    efficiency: float
    now: float
    weights: Float[np.ndarray, " item"]
    slopes: Float[np.ndarray, " item"]
    order: pd.DataFrame
    standard_errors: pd.DataFrame
    curve: pd.DataFrame
    readings: pd.DataFrame
    kept: bool
    draws: int
    gain: Gain | None
    units: dict[str, str]
    log: tuple[str, ...] = ()

    @property
    def cost(self) -> float:
        """What the design costs."""
        return float(self.counts @ self.candidates.costs)

    @property
    def percent(self) -> float:
        """The efficiency in per cent, rounded down: "at least" must stay true."""
        return float(np.floor(1000 * self.efficiency) / 10)

    def table(self) -> pd.DataFrame:
        """The readings to take: experiment, subject, observable, time, count, cost and group."""
        count = self.counts[self.candidates.items].astype(int)
        chosen = self.candidates.table.assign(count=count)[count > 0]
        return chosen[[*KEYS, "count", "cost", "group"]].reset_index(drop=True)

    def measurements(self) -> pd.DataFrame:
        """The readings to take as rows of a table to be filled in, or for `Problem.at`; repeated ones repeated."""
        count = self.counts[self.candidates.items].astype(int)
        rows = self.candidates.table.loc[np.repeat(np.arange(len(count)), count)].reset_index(drop=True)
        return rows[list(KEYS)].assign(value=np.nan, noise=rows["noise"], censoring="")

    def to_dataset(self) -> xr.Dataset:
        """Candidates with counts, weights and predictions, and the standard errors."""
        items = self.candidates.items
        of_rows = {
            name: ("reading", self.candidates.table[name].to_numpy(dtype=float if name in ("time", "cost") else str))
            for name in (*KEYS, "cost", "group")
        }
        return xr.Dataset(
            {
                "purchase": ("reading", items),
                "prediction": ("reading", self.curve["prediction"].to_numpy()),
                "sd_now": ("reading", self.curve["sd_now"].to_numpy()),
                "sd_after": ("reading", self.curve["sd_after"].to_numpy()),
                "count": ("item", self.counts.astype(int)),
                "weight": ("item", self.weights),
                "slope": ("item", self.slopes),
                **{
                    f"standard_error_{name}": ("quantity", self.standard_errors[name].to_numpy())
                    for name in ("now", "after")
                },
            },
            coords={**of_rows, "quantity": [str(name) for name in self.standard_errors.index]},
            attrs={
                "problem": self.name, "criterion": self.criterion, "value": self.value, "bound": self.bound,
                "efficiency": self.efficiency, "budget": self.budget, "cost": self.cost, "draws": self.draws,
            },
        )  # fmt: skip

    def plot(self) -> Figure:
        """When to read: chosen times over the predicted curves with their uncertainty, and the gain per purchase.

        Returns:
            A figure that belongs to no window: ``figure.savefig("a.png")``.
        """
        from calibration.experimental_design.figure import draw_design

        return draw_design(self)

    def __repr__(self) -> str:
        return (
            f"Design({self.name!r}: {self.criterion}, {int(self.counts.sum())} purchases for {self.cost:g} of "
            f"{self.budget:g}, efficiency at least {self.percent:g} %)"
        )

    def summary(self) -> str:
        """The readings to take and how good they are, in words."""
        lines: list[str] = []
        unit = self.units.get("time", "")
        for key, rows in self.table().groupby(list(KEYS[:3]), sort=False):
            times = [
                f"{time:g}" + (f" (x{count})" if count > 1 else "")
                for time, count in zip(rows["time"], rows["count"], strict=True)
            ]
            names = np.atleast_1d(np.asarray(key, dtype=object))
            lines.append(f"{', '.join(map(str, names))}: {', '.join(times)} {unit}".rstrip())
        lines.append(f"cost {self.cost:g} of {self.budget:g}")
        if self.gain is not None:
            lines.append(
                f"expected information gain {self.gain.lower:.2f} to {self.gain.upper:.2f} nat "
                f"(standard error {self.gain.error:.2f}, {self.gain.draws} draws)"
            )
        where = f"mean over {self.draws} draws" if self.draws > 1 else "at one vector"
        what = "information gain" if self.gain is not None else f"{self.criterion}-efficiency"
        lines.append(f"{what} ({where}): at least {self.percent:g} % of the best affordable design")
        return "\n".join([*lines, *self.log])

    def __str__(self) -> str:
        return f"{self.summary()}\n{self.standard_errors.to_string(float_format='{:.3g}'.format)}"
