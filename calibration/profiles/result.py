"""What profiling found: curves, intervals and flags, as tables, datasets and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from calibration import scales
from calibration.profiles.curve import Curve
from twin.errors import ProblemError, suggestion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from twin.study import Scale


def linear(values: Float[np.ndarray, "*shape"] | float, scale: Scale) -> np.ndarray:
    """Numbers of the estimation scale on the linear scale; infinite ends stay ends of the axis."""
    with np.errstate(over="ignore"):
        return np.asarray(scales.linear(np.asarray(values, dtype=float), scale))


@dataclass(frozen=True, repr=False)
class Profiles:
    """Profile likelihoods of parameters.

    Args:
        names: Profiled entries.
        entries: All entries of the vector.
        scales: Their estimation scales.
        lower: Their lower bounds, estimation scale.
        upper: Their upper bounds, estimation scale.
        curves: A curve per profiled entry.
        flags: "identifiable", "practically non-identifiable", "structurally non-identifiable" or "undecided", per
            profiled entry.
        along: Entries that move along with a structurally non-identifiable one and compensate for it.
        best: Vector at the optimum from which the walks began, estimation scale.
        objective: Objective there: the negative log-likelihood, or log-posterior with `with_prior`.
        better: A vector with a lower objective that the walks came upon; None if the fit stood.
        better_objective: Its objective.
        level: Confidence level.
        with_prior: Whether the log-prior was added.
        evaluations: Trial points at which the objective was looked at, summed over lanes.
        seconds: Wall time.
    """

    names: tuple[str, ...]
    entries: tuple[str, ...]
    scales: tuple[Scale, ...]
    lower: Float[np.ndarray, " parameter"]
    upper: Float[np.ndarray, " parameter"]
    curves: tuple[Curve, ...]
    flags: tuple[str, ...]
    along: tuple[tuple[str, ...], ...]
    best: Float[np.ndarray, " parameter"]
    objective: float
    better: Float[np.ndarray, " parameter"] | None
    better_objective: float | None
    level: float
    with_prior: bool
    evaluations: int
    seconds: float

    def __getitem__(self, name: str) -> Curve:
        """The curve of one entry, estimation scale."""
        return self.curves[self._place(name)]

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise ProblemError(f"{name!r} was not profiled", where="profiles", fix=suggestion(name, self.names))
        return self.names.index(name)

    @property
    def threshold(self) -> float:
        """Rise of -2 log L at the ends of the intervals."""
        return self.curves[0].threshold

    def flag(self, name: str) -> str:
        """The flag of one entry."""
        return self.flags[self._place(name)]

    def scale(self, name: str) -> Scale:
        """The estimation scale of one entry."""
        return self.scales[self.entries.index(name)]

    def interval(self, name: str) -> tuple[float, float]:
        """Confidence interval of one entry, linear scale.

        A side on which the profile does not reach the threshold is open: 0 or minus infinity below, infinity above.
        """
        low, high = linear(np.array(self[name].interval), self.scale(name))
        return float(low), float(high)

    def table(self) -> pd.DataFrame:
        """One row per parameter, linear scale; open sides as in `interval`, and why each side ended."""
        rows = []
        for name, curve, flag, along in zip(self.names, self.curves, self.flags, self.along, strict=True):
            low, high = self.interval(name)
            rows.append(
                {
                    "parameter": name,
                    "estimate": float(linear(curve.optimum, self.scale(name))),
                    "lower": low,
                    "upper": high,
                    "flag": flag,
                    "moves_along": ", ".join(along),
                    "lower_end": curve.ends[0],
                    "upper_end": curve.ends[1],
                    "highest_rise_below": _highest(curve, curve.position <= curve.optimum),
                    "highest_rise_above": _highest(curve, curve.position >= curve.optimum),
                    "points": len(curve.position),
                    "not_converged": int(np.sum(~curve.converged)),
                }
            )
        return pd.DataFrame(rows).set_index("parameter")

    def to_dataset(self) -> xr.Dataset:
        """All curves, padded with NaN to one length; positions and vectors on the estimation scale."""
        longest = max(len(curve.position) for curve in self.curves)

        def padded(values: list[np.ndarray]) -> np.ndarray:
            out = np.full((len(values), longest, *values[0].shape[1:]), np.nan)
            for row, each in zip(out, values, strict=True):
                row[: len(each)] = each
            return out

        curves = self.curves
        ends = np.array([curve.interval for curve in curves])
        what = "-2 log posterior" if self.with_prior else "-2 log likelihood"
        return xr.Dataset(
            {
                "position": (("parameter", "point"), padded([c.position for c in curves])),
                "rise": (("parameter", "point"), padded([c.rise for c in curves]), {"long_name": f"rise of {what}"}),
                "theta": (("parameter", "point", "entry"), padded([c.theta for c in curves])),
                "optimum": ("parameter", np.array([c.optimum for c in curves])),
                "lower": ("parameter", ends[:, 0]),
                "upper": ("parameter", ends[:, 1]),
                "flag": ("parameter", np.array(self.flags)),
                "moves_along": ("parameter", np.array([", ".join(names) for names in self.along])),
            },
            {
                "parameter": list(self.names),
                "entry": list(self.entries),
                "scale": ("parameter", [self.scale(name) for name in self.names]),
            },
            {"level": self.level, "threshold": self.threshold, "with_prior": int(self.with_prior)},
        )

    def plot(self) -> Figure:
        """A panel per parameter: curve, threshold, interval and optimum.

        Returns:
            A figure that belongs to no window: ``figure.savefig("a.png")``.
        """
        from calibration.profiles.figure import draw_profiles

        return draw_profiles(self)

    def __repr__(self) -> str:
        counts = {flag: self.flags.count(flag) for flag in dict.fromkeys(self.flags)}
        said = ", ".join(f"{count} {flag}" for flag, count in counts.items())
        lines = [f"Profiles({len(self.names)} parameters, {100 * self.level:g} % intervals: {said})"]
        wide = max(len(name) for name in self.names)
        for name, curve, flag, along in zip(self.names, self.curves, self.flags, self.along, strict=True):
            low, high = self.interval(name)
            ends = "".join(
                ("(" if not np.isfinite(curve.interval[0]) else "[", f"{low:.4g}, {high:.4g}",
                 ")" if not np.isfinite(curve.interval[1]) else "]")
            )  # fmt: skip
            value = float(linear(curve.optimum, self.scale(name)))
            note = f" (with {', '.join(along)})" if along else ""
            lines.append(f"  {name:<{wide}}  {value:<10.4g}  {ends:<26}  {flag}{note}")
        if self.better_objective is not None:
            lines.append(f"  a better optimum was found: {self.better_objective:.4f} against {self.objective:.4f}")
        return "\n".join(lines)


def _highest(curve: Curve, rows: np.ndarray) -> float:
    return float(np.max(curve.rise[rows], initial=0.0))
