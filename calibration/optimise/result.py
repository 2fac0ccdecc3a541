"""What a multi-start fit found: optima, how often each was reached, tables, pictures, a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from calibration.notebook import fit_html
from calibration.optimise.archive import read_archive, write_archive
from twin.errors import ProblemError

if TYPE_CHECKING:
    from jaxtyping import Bool
    from matplotlib.figure import Figure

SAME_OPTIMUM = 0.1
"""Starts within this of the best objective count as having found it (a tenth of a log-likelihood unit)."""

KIND = "cytotwin fit"


@dataclass(frozen=True)
class Fit:
    """Result of a multi-start fit, best start first.

    Args:
        names: Entries of the vector.
        theta: Optimum of each start, estimation scale.
        objective: Negative log-posterior there, ascending. Without informative priors it is `nllh` up to a constant.
        nllh: Negative log-likelihood there.
        starts: Where each start began; entries that are optimised inside are NaN.
        converged: Whether each start met the tolerance.
        redrawn: Starting points whose integration failed and that were drawn anew.
        failed: Starts that never became finite; they are at the end, with infinite objective.
        at_bound: Entries of the best vector that lie on a bound.
        seconds: Wall time; that of all parts of a fit that was resumed or extended.
        curvature: Expected Hessian of the objective at the best vector.
        evaluations: Evaluations with derivatives spent on each start.
        outcome: How each start ended: "converged", "stuck" (no step lowers the objective any more), "retired" (ended
            early as hopeless), "iterations used up", "interrupted" or "never finite".
        lower: Lower bounds of the vector.
        upper: Upper bounds of the vector.
        settings: Method, seed and what else the numbers depend on.
    """

    names: tuple[str, ...]
    theta: Float[np.ndarray, "start parameter"]
    objective: Float[np.ndarray, " start"]
    nllh: Float[np.ndarray, " start"]
    starts: Float[np.ndarray, "start parameter"]
    converged: Bool[np.ndarray, " start"]
    redrawn: int
    failed: int
    at_bound: tuple[str, ...]
    seconds: float
    curvature: Float[np.ndarray, "parameter parameter"]
    evaluations: Int[np.ndarray, " start"] | None = None
    outcome: tuple[str, ...] = ()
    lower: Float[np.ndarray, " parameter"] | None = None
    upper: Float[np.ndarray, " parameter"] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> Float[np.ndarray, " parameter"]:
        """The best vector, estimation scale."""
        return self.theta[0]

    @property
    def hits(self) -> int:
        """How many starts reached the best objective."""
        return int(np.sum(self.objective <= self.objective[0] + SAME_OPTIMUM))

    @property
    def interrupted(self) -> bool:
        """Whether starts were still running when the fit was stopped."""
        return "interrupted" in self.outcome

    def to_frame(self) -> pd.DataFrame:
        """One row per start."""
        frame = pd.DataFrame(self.theta, columns=list(self.names))
        frame.insert(0, "objective", self.objective)
        frame.insert(1, "nllh", self.nllh)
        frame.insert(2, "converged", self.converged)
        return frame

    def _repr_html_(self) -> str:
        return fit_html(self)

    def to_dataset(self) -> xr.Dataset:
        """Everything, with dimensions "start" and "parameter"."""
        names = list(self.names)
        size = np.full(len(names), np.nan)
        ds = xr.Dataset(
            {
                "theta": (("start", "parameter"), self.theta),
                "objective": ("start", self.objective),
                "nllh": ("start", self.nllh),
                "began": (("start", "parameter"), self.starts),
                "converged": ("start", self.converged.astype(np.int8)),
                "curvature": (("parameter", "other_parameter"), self.curvature),
                "lower": ("parameter", size if self.lower is None else self.lower),
                "upper": ("parameter", size if self.upper is None else self.upper),
                "on_bound": ("parameter", np.isin(names, self.at_bound).astype(np.int8)),
            },
            {"parameter": names, "other_parameter": names},
            {"kind": KIND, "redrawn": self.redrawn, "failed": self.failed, "seconds": self.seconds}
            | {"settings": json.dumps(self.settings)},
        )
        if self.evaluations is not None:
            ds["evaluations"] = ("start", self.evaluations)
        if self.outcome:
            ds["outcome"] = ("start", list(self.outcome))
        return ds

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to a netCDF file, whole or not at all."""
        write_archive(self.to_dataset(), path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Fit:
        """A fit from the file that `save` wrote.

        Raises:
            ProblemError: the file cannot be read, or holds no fit.
        """
        ds = read_archive(path, KIND)
        names = tuple(map(str, ds["parameter"].to_numpy()))
        lower, upper = ds["lower"].to_numpy(), ds["upper"].to_numpy()
        known = not np.isnan(lower).any()
        on_bound = ds["on_bound"].to_numpy().astype(bool)
        try:
            settings = json.loads(ds.attrs["settings"])
        except ValueError as error:
            raise ProblemError("its settings are no JSON", where=str(path), expected="a file of Fit.save") from error
        return cls(
            names=names,
            theta=ds["theta"].to_numpy(),
            objective=ds["objective"].to_numpy(),
            nllh=ds["nllh"].to_numpy(),
            starts=ds["began"].to_numpy(),
            converged=ds["converged"].to_numpy().astype(bool),
            redrawn=int(ds.attrs["redrawn"]),
            failed=int(ds.attrs["failed"]),
            at_bound=tuple(name for name, here in zip(names, on_bound, strict=True) if here),
            seconds=float(ds.attrs["seconds"]),
            curvature=ds["curvature"].to_numpy(),
            evaluations=ds["evaluations"].to_numpy() if "evaluations" in ds else None,
            outcome=tuple(map(str, ds["outcome"].to_numpy())) if "outcome" in ds else (),
            lower=lower if known else None,
            upper=upper if known else None,
            settings=settings,
        )

    def plot_waterfall(self, path: str | PathLike[str] | None = None) -> Figure:
        """Objective of every start above the best, sorted: plateaus are optima that were found several times.

        Args:
            path: Where the picture is written, if anywhere; its ending says the format.
        """
        from calibration.optimise.figure import draw_waterfall

        return _written(draw_waterfall(self), path)

    def plot_parameters(self, path: str | PathLike[str] | None = None, *, most: int = 20) -> Figure:
        """The vectors of the starts between their bounds; those at the best objective stand out.

        Args:
            path: Where the picture is written, if anywhere.
            most: Starts beyond that many are left out, the worst first.
        """
        from calibration.optimise.figure import draw_parameters

        return _written(draw_parameters(self, most), path)

    def __str__(self) -> str:
        lines = [
            f"best objective {self.objective[0]:.4f} (negative log-likelihood {self.nllh[0]:.4f}), "
            f"found by {self.hits} of {len(self.objective)} starts in {self.seconds:.1f} s"
        ]
        if self.redrawn or self.failed:
            lines.append(f"{self.redrawn} starting points redrawn, {self.failed} starts failed")
        ended = {name: self.outcome.count(name) for name in dict.fromkeys(self.outcome)}
        if set(ended) - {"converged"}:
            lines.append(", ".join(f"{count} {name}" for name, count in ended.items()))
        if self.at_bound:
            lines.append(f"on a bound: {', '.join(self.at_bound)}")
        return "\n".join(lines)


def _written(figure: Figure, path: str | PathLike[str] | None) -> Figure:
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
