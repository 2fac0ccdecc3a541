"""Outputs over times for many draws: of a model under distributions, or of a problem under its priors."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import ArrayLike, Float

from calibration.mechanism import names_in_use
from calibration.problem import Problem
from twin.cohort.distributions import AbstractDistribution, LogUniform, Uniform
from twin.errors import ExperimentError, ProblemError, SimulationError, TwinWarning, suggestion
from twin.experiment import Experiment
from twin.model import Model
from twin.precision import in_float64
from twin.progress import Progress
from twin.simulation import check_times, simulate, unit_of, variable_names
from twin.solve import numbers_per_sample

type Cube = Float[np.ndarray, "run parameter"]
type Distribution = AbstractDistribution | tuple[float, float]

MIDDLE = 0.99
"""Share of an unbounded distribution over which Morris' grid runs: its outermost levels would be infinite."""

DRAWS_PER_CALL = 4096
MEMORY_FOR_SAMPLES = 256 * 2**20


class AbstractOutputs(ABC):
    """What is computed for draws from the unit cube.

    Attributes:
        names: Parameters that vary.
        labels: Outputs.
        units: Their units.
        times: Sample times.
        time_unit: Their unit.
    """

    title: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    units: tuple[str, ...]
    times: Float[np.ndarray, " time"]
    time_unit: str

    @abstractmethod
    def run(self, cube: Cube, on_grid: bool, line: Progress) -> Float[np.ndarray, "run output time"]:
        """Outputs at points of the unit cube; NaN where a run failed.

        Args:
            cube: The points; every coordinate is the share of the distribution that lies below.
            on_grid: Whether coordinates may be 0 and 1, where unbounded distributions end.
            line: Progress to update.
        """


class ModelOutputs(AbstractOutputs):
    """Variables of a model at times of one experiment, its parameters from independent distributions.

    Args:
        model: The mechanism.
        ts: Sample times [model time unit].
        parameters: Distribution, or lower and upper bound of a uniform one, by name of a parameter.
        outputs: Names or expressions; default the observables, or the states where there are none.
        experiment: What is done.
        options: Options of `twin.simulate`.

    Raises:
        ProblemError: nothing varies, or something that is no distribution is given.
        ExperimentError: an unknown parameter, or times that make no sense.
    """

    def __init__(
        self,
        model: Model,
        ts: ArrayLike | None,
        parameters: Mapping[str, Distribution] | None,
        outputs: Sequence[str] | None,
        experiment: Experiment | None,
        options: Mapping[str, Any],
    ) -> None:
        if ts is None:
            raise ProblemError("there are no times", where="sensitivity", expected="ts, the sample times")
        self.model, self.experiment, self.options, self.title = model, experiment, dict(options), model.name
        self.times, self.time_unit = check_times(ts), model.time_unit or ""
        self._distributions = _distributions(model, parameters)
        self.names = tuple(self._distributions)
        self.labels = tuple(variable_names(model, outputs or model.observable_names or model.state_names))
        self.units = tuple(unit_of(model, name) for name in self.labels)

    def run(self, cube: Cube, on_grid: bool, line: Progress) -> Float[np.ndarray, "run output time"]:
        columns = zip(self._distributions.items(), cube.T, strict=True)
        values = {name: _quantile(each, share, on_grid) for (name, each), share in columns}
        parts = []
        size = min(DRAWS_PER_CALL, len(cube))
        for start in range(0, len(cube), size):
            part = {name: column[start : start + size] for name, column in values.items()}
            count = len(next(iter(part.values())))
            # The last call is filled up, so that one program serves all.
            padded = {name: np.pad(column, (0, size - count), mode="edge") for name, column in part.items()}
            parts.append(self._simulate(padded, size)[:count])
            line.update(start + count)
        return np.concatenate(parts)

    def _simulate(self, values: Mapping[str, np.ndarray], count: int) -> Float[np.ndarray, "run output time"]:
        with warnings.catch_warnings():
            # Failures are counted over all calls, and said once.
            warnings.filterwarnings("ignore", message=r".* draws failed", category=TwinWarning)
            try:
                ds = simulate(self.model, self.times, values, self.experiment, self.labels, **self.options)
            except SimulationError:  # all of them
                return np.full((count, len(self.labels), len(self.times)), np.nan)
        found = [ds[name] for name in self.labels]
        # What does not depend on the draw has no such dimension.
        wide = [each if "draw" in each.dims else each.expand_dims(draw=count) for each in found]
        return np.stack([each.transpose("draw", "time").to_numpy() for each in wide], axis=1)


class ProblemOutputs(AbstractOutputs):
    """Predictions of a problem's observables at times of some experiments, the vector from its priors.

    Args:
        problem: The problem.
        ts: Sample times; default the distinct times of its readings.
        parameters: Entries of the vector that vary; default all that the predictions depend on. Others stay nominal.
        outputs: Observables; default all.
        experiment: Name of an experiment; default all. Of its subjects the first.

    Raises:
        ProblemError: an unknown name, or nothing that varies.
        ExperimentError: times that make no sense.
    """

    def __init__(
        self,
        problem: Problem,
        ts: ArrayLike | None,
        parameters: Sequence[str] | None,
        outputs: Sequence[str] | None,
        experiment: str | None,
    ) -> None:
        table = problem.measurements.table
        read = table["time"].to_numpy(dtype=float)
        self.times = check_times(np.unique(read[np.isfinite(read)]) if ts is None else ts)
        self.time_unit, self.title = problem.model.time_unit or "", problem.name
        grid, self.labels, observables = _grid(table, self.times, outputs, experiment)
        self.units = tuple(unit_of(problem.model, name) for name in observables)
        self.problem = problem.at(grid)
        self._nominal, self._prior = problem.nominal, problem.prior
        self._flat = np.array(
            [entry.prior.family in ("uniform", "log_uniform") for entry in problem.parameters.entries]
        )
        self._varies = np.array(_varying(self.problem, parameters))
        self.names = tuple(problem.names[i] for i in self._varies)

    @in_float64
    def run(self, cube: Cube, on_grid: bool, line: Progress) -> Float[np.ndarray, "run output time"]:
        share = np.full((len(cube), len(self._nominal)), 0.5)
        share[:, self._varies] = np.where(self._flat[self._varies] | (not on_grid), cube, _inner(cube))
        thetas = self._prior.quantile(share)
        held = np.setdiff1d(np.arange(len(self._nominal)), self._varies)
        thetas[:, held] = self._nominal[held]

        size, parts = min(self._chunk_size(), len(cube)), []
        for start in range(0, len(cube), size):
            part = thetas[start : start + size]
            padded = np.pad(part, ((0, size - len(part)), (0, 0)), mode="edge")
            value, _, ok = (np.asarray(x)[: len(part)] for x in self.problem.predict_many(padded))
            parts.append(np.where(ok, value, np.nan))
            line.update(start + len(part))
        return np.concatenate(parts).reshape(len(cube), len(self.labels), len(self.times))

    def _chunk_size(self) -> int:
        table = self.problem.bindings
        numbers = numbers_per_sample(table.system) * (len(table.times) + 1) * len(table.series)
        return max(1, min(DRAWS_PER_CALL, MEMORY_FOR_SAMPLES // (8 * numbers)))


def _distributions(model: Model, parameters: Mapping[str, Distribution] | None) -> dict[str, AbstractDistribution]:
    if not isinstance(parameters, Mapping) or not parameters:
        raise ProblemError(
            f"the parameters are {parameters!r:.80}",
            where="sensitivity",
            expected="a distribution, or (lower, upper), by name of a parameter",
        )
    found: dict[str, AbstractDistribution] = {}
    for name, given in parameters.items():
        if name not in model.parameter_names:
            raise ExperimentError(
                f"{name!r} is no parameter of the model {model.name!r}",
                where="sensitivity",
                fix=suggestion(name, model.parameter_names),
            )
        if isinstance(given, AbstractDistribution):
            found[name] = given
        elif isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
            found[name] = Uniform(*given)
        else:
            raise ProblemError(
                f"{name!r} has {given!r:.80}",
                where="sensitivity",
                expected="a distribution such as twin.LogUniform(0.1, 10), or (lower, upper)",
            )
    return found


def _quantile(distribution: AbstractDistribution, share: np.ndarray, on_grid: bool) -> np.ndarray:
    if on_grid and not isinstance(distribution, Uniform | LogUniform):
        share = _inner(share)
    # Sobol's sequence may hold 0 itself, where a normal distribution is infinite.
    return distribution.quantile(np.clip(share, 1e-12, 1.0 - 1e-12) if not on_grid else share)


def _inner(share: np.ndarray) -> np.ndarray:
    return 0.5 + MIDDLE * (share - 0.5)


def _grid(
    table: pd.DataFrame, times: np.ndarray, outputs: Sequence[str] | None, experiment: str | None
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """A table with all times of all outputs in all experiments, the labels of the outputs, and their observables."""
    pairs = table[["experiment", "subject", "observable"]].drop_duplicates()
    first = pairs.groupby("experiment", sort=False)["subject"].transform("first")
    pairs = pairs[pairs["subject"] == first]
    for what, given, column in (("experiment", experiment, "experiment"), ("observable", outputs, "observable")):
        chosen = [] if given is None else [given] if isinstance(given, str) else list(given)
        for name in chosen:
            if name not in set(pairs[column]):
                raise ProblemError(
                    f"there are no readings of the {what} {name!r}",
                    where="sensitivity",
                    fix=suggestion(name, map(str, pairs[column])),
                )
        if chosen:
            pairs = pairs[pairs[column].isin(chosen)]
    if pairs.empty:
        raise ProblemError("no experiment has readings of these outputs", where="sensitivity")
    grid = pairs.loc[pairs.index.repeat(len(times))].reset_index(drop=True)
    grid["time"] = np.tile(times, len(pairs))
    # No data: a value to fill the column, and a noise that no prediction depends on.
    grid = grid.assign(value=1.0, noise=1.0, censoring="")
    many = len(set(pairs["experiment"])) > 1
    observables = tuple(map(str, pairs["observable"]))
    of = zip(observables, pairs["experiment"], strict=True)
    return grid, tuple(f"{name} ({where})" if many else name for name, where in of), observables


def _varying(problem: Problem, wanted: Sequence[str] | None) -> list[int]:
    """Entries of the vector that predictions of these series can depend on, or those of them that are wanted."""
    if isinstance(wanted, Mapping):
        raise ProblemError(
            "the parameters are a mapping", where="sensitivity", expected="names; a problem has its priors"
        )
    model = problem.model
    used = names_in_use(model, problem.bindings.experiments) | _in_observables(problem)
    position = {key: index for index, key in enumerate(problem.parameters.series)}
    series = [position[key] for key in problem.bindings.series]
    found: set[int] = set()
    for name, slot in problem.parameters.slots.items():
        if name not in used:
            continue
        found |= slot.entries(series)
    if wanted is not None:
        for name in wanted:
            if name not in problem.names:
                raise ProblemError(f"{name!r} is no entry", where="sensitivity", fix=suggestion(name, problem.names))
            if problem.names.index(name) not in found:
                raise ProblemError(f"the outputs do not depend on {name!r}", where="sensitivity", fix="leave it out")
        found = {problem.names.index(name) for name in wanted}
    if not found:
        raise ProblemError("nothing varies", where="sensitivity", expected="at least one parameter")
    return sorted(found)


def _in_observables(problem: Problem) -> set[str]:
    """Names in the formulas of the observables, and the estimated ones that stand in for them in some readings."""
    names: set[str] = set()
    for observable in problem.bindings.observables:
        names |= {str(each) for each in problem.model.observable_expr(observable).free_symbols}
    if problem.by_reading is not None:
        for column in problem.by_reading.columns:
            if column in names:
                names |= {str(each) for each in problem.by_reading[column].to_list() if isinstance(each, str)}
    return names
