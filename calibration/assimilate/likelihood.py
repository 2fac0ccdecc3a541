"""The likelihood of a twin's readings, compiled once for readings that come later.

A `Problem` has its readings built in, and a new reading would compile a new program. Here times, values, limits and
noise are arguments: each series has so many places per observable, and places without a reading have weight 0. When
the places run out their number doubles, so that a twin compiles a few programs in its life.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float, Int

from calibration.noise.censoring import Censoring, kinds_of, upper_of
from calibration.prediction import Prediction
from calibration.problem import Problem
from calibration.reading_density import reading_density
from calibration.sampling.whitening import Whitening, logistic
from twin.errors import MeasurementError, TwinWarning
from twin.experiment import Experiment
from twin.experiment.actions import Actions, collect_actions
from twin.live.basis import Basis
from twin.measurements import Measurements
from twin.precision import in_float64

LEAST_PLACES = 8
KEYS = ["experiment", "subject", "observable", "time"]


class Rows(NamedTuple):
    """Readings in their places.

    Args:
        times: Time of each place; that of an empty one is the start.
        value: Readings, or limits of censored ones.
        upper: Upper limits of interval-censored ones.
        noise: Noise given with the reading.
        kind: How each is censored.
        old: 1 where the reading was known before, 0 elsewhere.
        new: 1 where it is new, 0 elsewhere.
        actions: What is done until the last reading.
    """

    times: Float[np.ndarray, "place series"]
    value: Float[np.ndarray, " row"]
    upper: Float[np.ndarray, " row"]
    noise: Float[np.ndarray, " row"]
    kind: Int[np.ndarray, " row"]
    old: Float[np.ndarray, " row"]
    new: Float[np.ndarray, " row"]
    actions: Actions


class Evaluated(NamedTuple):
    """What there is to know of many vectors.

    Args:
        old: Log-likelihood of the old readings; minus infinity where the integration fails.
        new: Log-likelihood of the new ones.
        ok: Whether the series of the new ones could be integrated.
        value: Predictions of all places.
        scale: Their noise scales.
    """

    old: Float[Array, " draw"]
    new: Float[Array, " draw"]
    ok: Bool[Array, " draw"]
    value: Float[Array, "draw row"]
    scale: Float[Array, "draw row"]


class Likelihood:
    """Log-likelihoods of many vectors for any readings of a twin.

    Args:
        basis: What the twin was calibrated with.
        places: Readings per series and observable.
        kinds: Kinds of censoring that occur.
    """

    def __init__(self, basis: Basis, places: int, kinds: tuple[int, ...]) -> None:
        self.basis, self.places = basis, places
        self.observables = tuple(basis.noise)
        self.problem = problem_of(basis, places)
        count = len(self.problem.measurements)
        # Only which kinds occur is read from here.
        self._bindings = replace(
            self.problem.bindings,
            kind=np.full(count, int(Censoring.NONE)),
            lane=np.repeat(np.arange(len(basis.series)), places * len(self.observables)),
            sample=np.tile(np.arange(places * len(self.observables)), len(basis.series)),
        )
        self._kinds = kinds
        self.bare: Whitening = logistic(self.problem.lower, self.problem.upper)
        self.evaluate = in_float64(jax.jit(self._evaluate))
        density = lambda x: self.problem.prior.log_density(self.bare.theta(x)) + self.bare.log_volume(x)  # noqa: E731
        self._log_prior, self._thetas = jax.jit(jax.vmap(density)), jax.jit(jax.vmap(self.bare.theta))

    def rows(self, old: pd.DataFrame, new: pd.DataFrame) -> Rows:
        """Readings in their places."""
        basis, width = self.basis, self.places * len(self.observables)
        starts = np.array([basis.experiments[name].t0 for name, _ in basis.series], dtype=float)
        count = width * len(basis.series)
        table = pd.concat([old, new], ignore_index=True) if len(old) else new.reset_index(drop=True)
        is_new = np.arange(len(table)) >= len(old)
        place = self._places(table)
        filled: dict[str, np.ndarray] = {}
        for name, values, empty in (
            ("value", table["value"], 1.0),
            ("upper", upper_of(table), 2.0),
            ("noise", table["noise"], 1.0),
            ("kind", kinds_of(table), int(Censoring.NONE)),
            ("old", ~is_new, 0.0),
            ("new", is_new, 0.0),
        ):
            column = np.full(count, empty, dtype=int if name == "kind" else float)
            column[place] = np.asarray(values)
            filled[name] = column
        times = np.repeat(starts, width)
        times[place] = table["time"].to_numpy(dtype=float)
        times = times.reshape(len(basis.series), width).T
        experiments = [basis.experiments[name] for name, _ in basis.series]
        actions = collect_actions(self.problem.bindings.system, experiments, list(times.max(axis=0)))
        return Rows(times, **filled, actions=actions)

    def _places(self, table: pd.DataFrame) -> Int[np.ndarray, " reading"]:
        """Where each reading goes: series, then observable, then the order in which they came."""
        series = {key: index for index, key in enumerate(self.basis.series)}
        group = [
            series[experiment, subject] * len(self.observables) + self.observables.index(observable)
            for experiment, subject, observable in table[["experiment", "subject", "observable"]].itertuples(
                index=False
            )
        ]
        return np.array(group, dtype=int) * self.places + pd.Series(group).groupby(group).cumcount().to_numpy()

    # jax-traceable

    def prediction(self, thetas: Float[Array, "draw parameter"], rows: Rows) -> Prediction:
        """Predictions of all places."""
        bindings = replace(self._bindings, times=rows.times, noise=rows.noise, actions=rows.actions)
        predictor = copy.copy(self.problem.predictor)
        predictor.bindings, predictor.readout = bindings, copy.copy(predictor.readout)
        predictor.readout.bindings = bindings
        return predictor(jnp.asarray(thetas))

    def pointwise(self, prediction: Prediction, rows: Rows) -> Float[Array, "draw row"]:
        """Log density of what stands in every place; without meaning in empty ones."""
        # Kinds that do not occur are not computed: which do is a fact of the program, not of its arguments.
        table = replace(self._bindings, upper=rows.upper, kind=np.resize(self._kinds, len(rows.value)))
        return reading_density(table, self.problem.noise_groups, prediction, rows.value[None], rows.kind[None])

    def _evaluate(self, thetas: Float[Array, "draw parameter"], rows: Rows) -> Evaluated:
        prediction = self.prediction(thetas, rows)
        each = self.pointwise(prediction, rows)
        old, new = (jnp.sum(jnp.where(which > 0, each, 0.0), axis=1) for which in (rows.old, rows.new))
        ok = jnp.all(prediction.ok | (rows.new == 0), axis=1)
        return Evaluated(old, new, ok, prediction.value, prediction.scale)

    # of arrays

    @in_float64
    def log_prior(self, u: Float[np.ndarray, "draw parameter"]) -> Float[np.ndarray, " draw"]:
        """Log prior density in unbounded coordinates."""
        return np.asarray(self._log_prior(u))

    @in_float64
    def thetas(self, u: Float[np.ndarray, "draw parameter"]) -> Float[np.ndarray, "draw parameter"]:
        """Vectors on the estimation scale."""
        return np.array(self._thetas(u))

    @in_float64
    def values(self, theta: Float[np.ndarray, "draw parameter"]) -> dict[str, Float[np.ndarray, "series draw"]]:
        """Value of each estimated parameter in every series of the twin, linear scale."""
        found = self.problem.parameters.values(jnp.asarray(theta.T), np.arange(len(self.basis.series)))
        return {name: np.array(value) for name, value in found.items()}


def problem_of(basis: Basis, places: int) -> Problem:
    """The problem of a twin, with so many readings of every observable that say nothing."""
    rows = [
        (experiment, subject, observable, float(basis.experiments[experiment].t0))
        for experiment, subject in basis.series
        for observable in basis.noise
        for _ in range(places)
    ]
    return problem_with(basis, pd.DataFrame(rows, columns=KEYS), basis.experiments)


def problem_with(basis: Basis, places: pd.DataFrame, experiments: Mapping[str, Experiment]) -> Problem:
    """The problem of a twin with readings that say nothing, at places of one's own.

    Args:
        basis: What the twin was calibrated with.
        places: Columns experiment, subject, observable, time.
        experiments: What is done, by the names in `places`.
    """
    units = {name: basis.model.unit(name) for name in basis.noise}
    table = places.assign(value=1.0, noise=1.0, censoring="")
    with warnings.catch_warnings():
        # Few readings for many numbers: these are none.
        warnings.simplefilter("ignore", TwinWarning)
        return Problem(
            basis.model,
            Measurements(table, time_unit=basis.model.time_unit, units=units),
            basis.estimates,
            basis.noise,
            experiments=experiments,
            fixed=basis.fixed,
            name=basis.name,
            solver=basis.solver,
            rtol=basis.rtol,
            atol=basis.atol,
            max_steps=basis.max_steps,
        )


_kept: Callable[[Basis, int, tuple[int, ...]], Likelihood] = lru_cache(maxsize=8)(Likelihood)


def likelihood_for(basis: Basis, old: pd.DataFrame, new: pd.DataFrame) -> tuple[Likelihood, Rows]:
    """The compiled likelihood that has a place for all readings, and the readings in their places.

    Raises:
        MeasurementError: a reading that its noise model cannot have.
    """
    keys = ["experiment", "subject", "observable"]
    most = int(pd.concat([old[keys], new[keys]]).groupby(keys).size().max())
    places = max(LEAST_PLACES, 1 << (most - 1).bit_length())
    kinds = tuple(sorted({0, *kinds_of(old), *kinds_of(new)})) if len(old) else tuple(sorted({0, *kinds_of(new)}))
    found = _kept(basis, places, tuple(map(int, kinds)))
    _check_positive(found.problem, new)
    return found, found.rows(old, new)


def _check_positive(problem: Problem, table: pd.DataFrame) -> None:
    for row, (name, value) in enumerate(zip(table["observable"], table["value"], strict=True), 1):
        if problem.noise_models[name].positive and not value > 0:
            raise MeasurementError(
                f"a reading of {name!r} is {value:g}",
                where=f"reading {row}",
                expected=f"positive readings, since the noise is {problem.noise[name].family}",
                fix="mark readings below the detection limit as left-censored, with the limit as value",
            )
