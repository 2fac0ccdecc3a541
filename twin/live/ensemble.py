"""The calibrated twin that lives: an ensemble with weights, the readings it has taken in, and where it comes from."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from jaxtyping import ArrayLike, Float

from twin.errors import TwinWarning
from twin.live import file, forecast
from twin.live.assimilators import assimilator, check_options
from twin.live.basis import Basis, Series
from twin.live.intake import Given, take_in

if TYPE_CHECKING:
    import xarray as xr

    from twin.experiment.experiment import Experiment
    from twin.model.model import Model

BASES = {"log": np.e, "log10": 10.0}


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Weighted draws of the parameters.

    Args:
        names: Entries of the vector, for instance ``"beta"`` or ``"beta[3]"``.
        scales: Estimation scale of each: "lin", "log" or "log10".
        theta: The particles, estimation scale.
        log_weights: Their weights; those of particles that are ruled out are minus infinity.
        values: What the particles mean for each series: value of each estimated parameter, linear scale.
    """

    names: tuple[str, ...]
    scales: tuple[str, ...]
    theta: Float[np.ndarray, "draw entry"]
    log_weights: Float[np.ndarray, " draw"]
    values: Mapping[str, Float[np.ndarray, "series draw"]]

    def __post_init__(self) -> None:
        for array in (self.theta, self.log_weights, *self.values.values()):
            array.flags.writeable = False

    @property
    def weights(self) -> Float[np.ndarray, " draw"]:
        """Weights that sum to 1."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return weights / weights.sum()

    @property
    def ess(self) -> float:
        """Effective number of particles, ``1 / sum of squared weights`` (Kong 1992)."""
        return float(1.0 / np.sum(self.weights**2))

    @property
    def linear(self) -> Float[np.ndarray, "draw entry"]:
        """The particles with every entry on its linear scale."""
        columns = [
            BASES[scale] ** column if scale in BASES else column
            for scale, column in zip(self.scales, self.theta.T, strict=True)
        ]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False, repr=False)
class Twin:
    """A calibrated model: posterior ensemble, current state, provenance. Simulates, is updated, answers what-if.

    Make one with `calibration.twin_of`, or read one with `Twin.load`. It never changes: `update` gives a new one.

    Args:
        basis: Model, experiments, estimates and noise.
        ensemble: The particles with their weights.
        readings: All readings so far, those of the calibration first; columns of `twin.Measurements`.
        log: What was done to it, oldest first: a record of its making, then one of every update.

    Example:
        >>> live = calibration.twin_of(problem, posterior)
        >>> live = live.update("today.csv")
        >>> bands = live.forecast(np.linspace(3, 7, 50), quantiles=(0.05, 0.5, 0.95))
        >>> live.save("patient.nc")
    """

    basis: Basis
    ensemble: Ensemble
    readings: pd.DataFrame
    log: tuple[Mapping[str, Any], ...]

    @property
    def model(self) -> Model:
        """The mechanism."""
        return self.basis.model

    @property
    def names(self) -> tuple[str, ...]:
        """Entries of the vector of estimates."""
        return self.ensemble.names

    @property
    def weights(self) -> Float[np.ndarray, " draw"]:
        """Weights of the particles, which sum to 1."""
        return self.ensemble.weights

    @property
    def ess(self) -> float:
        """Effective number of particles."""
        return self.ensemble.ess

    def __len__(self) -> int:
        """Number of particles."""
        return len(self.ensemble.theta)

    @property
    def times(self) -> dict[Series, float]:
        """Where each series stands: the time of its last reading, or the start of its experiment."""
        found = {series: float(self.basis.experiments[series[0]].t0) for series in self.basis.series}
        last = self.readings.groupby(["experiment", "subject"])["time"].max().to_dict()
        return {series: float(last.get(series, start)) for series, start in found.items()}

    def time(self, experiment: str | None = None, subject: str | None = None) -> float:
        """Where a series stands [time unit of the model]; see `times`."""
        return self.times[self.basis.series[self.basis.index(experiment, subject, "time")]]

    def summary(self) -> pd.DataFrame:
        """Weighted mean and standard deviation of every entry on its estimation scale, and quantiles on the linear one.

        Returns:
            A row per entry: scale, mean, sd, q05, median, q95.
        """
        theta, weights = self.ensemble.theta, self.weights
        mean = weights @ theta
        sd = np.sqrt(weights @ (theta - mean) ** 2)
        low, middle, high = forecast.weighted_quantiles(self.ensemble.linear, weights, (0.05, 0.5, 0.95))
        columns = {"scale": self.ensemble.scales, "mean": mean, "sd": sd, "q05": low, "median": middle, "q95": high}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="parameter"))

    def particles(self) -> xr.Dataset:
        """The particles on the linear scale, a variable per entry, with their weights as coordinate "weight"."""
        return forecast.particles(self)

    def update(self, readings: Given, method: str = "auto", *, seed: int | None = None, **options: Any) -> Twin:
        """The twin that also knows new readings.

        ============  ================================================================================================
        ``reweight``  exact: particles are weighted by the likelihood of the readings, and moved when few are left
        ``enkf``      an ensemble Kalman step: fast, exact only where everything is linear and normal
        ``particle``  for mechanisms with noise of their own, which this version does not describe: refused
        ============  ================================================================================================

        Args:
            readings: A table (`Measurements`, pandas) or the path of a CSV file; none may be earlier than the last one
                of its series. In a twin of one series the columns experiment and subject may be left out.
            method: "reweight", "enkf", "auto" (which is "reweight"), or one that another package offers.
            seed: Seed of resampling and moves; default the number of things done to the twin so far.
            options: Options of the method: see `docs/living_twins.md`.

        Returns:
            A new twin; this one stays as it is.

        Raises:
            MeasurementError: readings that are not numbers, of unknown series or observables, or from the past.
            UnitError: units that do not convert.
            ProblemError: an unknown method or option, or readings that the method cannot take.
            SimulationError: no particle can explain the readings.
        """
        way = assimilator(method)
        check_options(way, options)
        measurements = take_in(self, readings)
        seed = len(self.log) if seed is None else seed
        begin = time.perf_counter()
        done = way.assimilate(self, measurements, seed, **options)
        for remark in done.remarks:
            warnings.warn(remark, TwinWarning, stacklevel=2)
        table = measurements.table
        record = {
            "what": "update",
            "method": way.name,
            "seed": seed,
            "at": now(),
            "source": measurements.source,
            "sha256": measurements.sha256,
            "readings": len(table),
            "from": float(table["time"].min()),
            "to": float(table["time"].max()),
            "seconds": time.perf_counter() - begin,
            "cytotwin": version("cytotwin"),
            **done.facts,
        }
        joined = pd.concat([self.readings, table], ignore_index=True) if len(self.readings) else table
        joined["censoring"] = joined["censoring"].fillna("")
        return replace(self, ensemble=done.ensemble, readings=joined, log=(*self.log, record))

    def state(self, experiment: str | None = None, subject: str | None = None) -> xr.Dataset:
        """The states of every particle where a series stands, in the model's units."""
        return forecast.state(self, self.basis.index(experiment, subject, "state"))

    def forecast(
        self,
        times: ArrayLike,
        *,
        experiment: str | None = None,
        subject: str | None = None,
        variables: Sequence[str] | None = None,
        quantiles: Sequence[float] | None = None,
        noise: bool = False,
        seed: int = 0,
    ) -> xr.Dataset:
        """What the twin expects, if what is being done goes on.

        Args:
            times: Times [time unit of the model], ascending; past ones may be among them.
            experiment: Of which series; may be left out where there is only one.
            subject: Of which series.
            variables: Names or expressions as `twin.simulate` takes them; default the observables.
            quantiles: Give these quantiles of the ensemble instead of its draws.
            noise: Draw new readings, measurement noise included; variables are then observables.
            seed: Seed of that noise.

        Returns:
            Dimensions "draw" (with the coordinate "weight": draws are not equally likely) or "quantile", and "time";
            units in ``attrs["units"]`` of each variable. Draws that cannot be integrated are NaN, and left out of
            quantiles; their number is in ``attrs["failed"]``.

        Raises:
            ExperimentError: times, series, variables or quantiles that make no sense.
            SimulationError: no particle can be integrated.
        """
        series = self.basis.index(experiment, subject, "forecast")
        asked = forecast.Asked(times, variables, quantiles, noise, seed)
        return forecast.predict(self, series, self.basis.experiments[self.basis.series[series][0]], asked)

    def what_if(
        self,
        done: Experiment,
        times: ArrayLike,
        *,
        from_now: bool = False,
        experiment: str | None = None,
        subject: str | None = None,
        variables: Sequence[str] | None = None,
        quantiles: Sequence[float] | None = None,
        noise: bool = False,
        seed: int = 0,
    ) -> xr.Dataset:
        """What the twin expects if something else is done.

        Args:
            done: What is done instead, from the start on; with `from_now` what is done besides, from the time on at
                which the twin stands (a change without a start then begins there).
            times: Times [time unit of the model], ascending.
            from_now: Whether what has been done so far stands.
            experiment: Of which series; the particles mean different parameters for different series.
            subject: Of which series.
            variables: As for `forecast`; so are the others.
            quantiles: Quantiles instead of draws.
            noise: Draw new readings.
            seed: Seed of that noise.

        Raises:
            ExperimentError: what is done makes no sense, or would be done in the past.
            SimulationError: no particle can be integrated.
        """
        series = self.basis.index(experiment, subject, "what_if")
        name = self.basis.series[series]
        if from_now:
            done = forecast.continued(self.basis.experiments[name[0]], done, self.times[name])
        return forecast.predict(self, series, done, forecast.Asked(times, variables, quantiles, noise, seed))

    def save(self, path: str | PathLike[str]) -> str:
        """Write one netCDF file with everything, the mechanism included, and return the SHA-256 of its contents.

        Raises:
            ProblemError: the file cannot be written.
        """
        return file.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], model: Model | None = None) -> Self:
        """Read a twin.

        Args:
            path: What `save` wrote.
            model: The mechanism that it is believed to be of; another one is refused.

        Raises:
            ProblemError: it is no such file, it was changed, or it is of another (version of the) model.
        """
        basis, ensemble, readings, log = file.load(path, model)
        return cls(basis, Ensemble(**ensemble), readings, log)

    def __repr__(self) -> str:
        updates = sum(record["what"] == "update" for record in self.log)
        return (
            f"Twin({self.basis.name!r}: {len(self)} particles of {len(self.names)} entries, ESS {self.ess:.0f}; "
            f"{len(self.readings)} readings, {updates} update{'' if updates == 1 else 's'}; "
            f"at {max(self.times.values()):g} {self.model.time_unit})"
        )


def now() -> str:
    """The time by the clock of this machine, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
