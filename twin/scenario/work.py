"""The work on a chunk of patients in one arm: drawn, simulated, read off. It writes nothing, and may run anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float, Int

from twin.cohort.bands import Quantiles, pilot_size
from twin.cohort.chunks import Program, default_width
from twin.compile.system import compile_model
from twin.errors import ScenarioError, TwinError
from twin.experiment.actions import Actions, collect_actions
from twin.precision import in_float64
from twin.scenario.scenario import Scenario
from twin.simulation import expression_of, parameter_matrix, unit_of
from twin.solve import method_named
from twin.solve.nodes import OK


@dataclass(frozen=True)
class Result:
    """What comes of a chunk in an arm.

    Args:
        arrays: "values" (endpoint, patient), "status" (patient), "responder" (criterion, patient) and "parameters"
            (parameter, patient).
        failed: Number of patients by status, failed ones only.
        bands: Counts of these patients for the bands; empty where none are asked for.
    """

    arrays: Mapping[str, np.ndarray]
    failed: Mapping[str, int]
    bands: Mapping[str, np.ndarray]


class Work:
    """A scenario made ready to run.

    Args:
        scenario: The scenario.
        width: Patients of a chunk; None for what memory allows, at most 8192.

    Raises:
        ScenarioError: An experiment that does not fit the model; the arm is named.
    """

    @in_float64
    def __init__(self, scenario: Scenario, width: int | None = None) -> None:
        self.scenario = scenario
        system = compile_model(scenario.model)
        tolerance = scenario.tolerance
        expressions = tuple(expression_of(scenario.model, name) for name in scenario.variables)
        times = scenario.sampled
        if width is None:
            width = default_width(system, tolerance, len(expressions), len(times), scenario.cohort.size)
        self.width = min(int(width), scenario.cohort.size)
        # All arms are lined up together, so that those that differ in numbers only share one compiled program.
        actions = _all_actions(system, scenario, float(times[-1]))
        fixed = (system, method_named(scenario.solver), tolerance, expressions)
        self._programs = [Program(*fixed, one, times, self.width) for one in actions]
        self._marks: dict[int, Float[np.ndarray, "cell mark"]] = {}

    @in_float64
    def run(self, arm: int, chunk: int) -> Result:
        """Simulate the patients of a chunk in an arm and read off their endpoints."""
        scenario = self.scenario
        start = chunk * self.width
        columns = scenario.cohort.rows(start, min(start + self.width, scenario.cohort.size))
        outputs, status = self._simulate(arm, columns)
        values, responders = self._read_off(outputs)
        arrays = {
            "values": values,
            "status": status.astype(np.int8),
            "responder": responders,
            "parameters": np.stack([columns[name] for name in scenario.parameter_names]),
        }
        codes, counts = np.unique(status[status != OK], return_counts=True)
        failed = {str(code): int(count) for code, count in zip(codes, counts, strict=True)}
        return Result(arrays, failed, self._counts(arm, outputs[..., status == OK]))

    @in_float64
    def evaluate(
        self, arm: int, columns: Mapping[str, np.ndarray]
    ) -> tuple[Float[np.ndarray, "measure patient"], Int[np.ndarray, "criterion patient"], Int[np.ndarray, " patient"]]:
        """Endpoints (derived ones, too), answers to the criteria and status of any patients, however many."""
        size, parts = len(next(iter(columns.values()))), []
        for start in range(0, size, self.width):
            some = {name: values[start : start + self.width] for name, values in columns.items()}
            outputs, status = self._simulate(arm, some)
            parts.append((*self._read_off(outputs), status))
        values, responders, status = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        return values, responders, status

    def parameters(self, arm: int, chunk: int) -> dict[str, np.ndarray]:
        """Parameter values of a chunk in an arm, for a report."""
        start = chunk * self.width
        columns = self.scenario.cohort.rows(start, min(start + self.width, self.scenario.cohort.size))
        return self.scenario.with_levels(columns, self.scenario.all_arms[arm].levels)

    def _simulate(
        self, arm: int, columns: Mapping[str, np.ndarray]
    ) -> tuple[Float[np.ndarray, "output time patient"], Int[np.ndarray, " patient"]]:
        own = self.scenario.with_levels(columns, self.scenario.all_arms[arm].levels)
        p, draws = parameter_matrix(self.scenario.model, own)
        size = len(next(iter(columns.values())))
        return self._programs[arm].run(p if draws is not None else np.repeat(p, size, axis=1))

    def _read_off(self, outputs: Float[np.ndarray, "output time patient"]) -> tuple[np.ndarray, np.ndarray]:
        """Endpoints (measure, patient) and answers to the criteria (criterion, patient)."""
        found = self.scenario.read_off(outputs)
        return np.stack([found[name] for name in self.scenario.measure_names]), self.scenario.formulas.responders(found)

    def quantiles(self) -> Quantiles | None:
        """Bands without anybody in them; None where none are asked for."""
        bands = self.scenario.bands
        if bands is None:
            return None
        names = tuple(bands.variables or ())
        rows = [self.scenario.variables.index(name) for name in names]
        units = [unit_of(self.scenario.model, name) for name in names]
        return Quantiles(bands, names, units, rows, len(self.scenario.sampled))

    def _counts(self, arm: int, outputs: np.ndarray) -> dict[str, np.ndarray]:
        quantiles = self.quantiles()
        if quantiles is None:
            return {}
        quantiles.begin(np.zeros((len(self.scenario.variables), len(self.scenario.sampled), 0)))
        quantiles.marks = self.marks(arm)
        quantiles.below = np.zeros(quantiles.marks.shape, dtype=np.int64)
        quantiles.up_to = quantiles.below.copy()
        quantiles.update(outputs)
        return quantiles.state()

    @in_float64
    def marks(self, arm: int) -> Float[np.ndarray, "cell mark"]:
        """Values whose ranks are counted in an arm, from its pilot patients."""
        if arm not in self._marks:
            quantiles = self.quantiles()
            if quantiles is None:
                raise ScenarioError("no bands are asked for", where="bands")
            cohort, times = self.scenario.cohort, len(self.scenario.sampled)
            patients = cohort.source.pilot(pilot_size(quantiles.bands, len(quantiles.rows) * times), cohort.size)
            parts = []
            for start in range(0, len(patients), self.width):
                outputs, status = self._simulate(arm, cohort.rows_of(patients[start : start + self.width]))
                parts.append(outputs[..., status == OK])
            quantiles.begin(np.concatenate(parts, axis=-1))
            self._marks[arm] = quantiles.marks
        return self._marks[arm]


def _all_actions(system, scenario: Scenario, end: float) -> list[Actions]:
    experiments = [arm.experiment for arm in scenario.all_arms]
    try:
        together = collect_actions(system, experiments, [end] * len(experiments))
    except TwinError as error:
        for arm in scenario.all_arms:
            try:
                collect_actions(system, [arm.experiment], [end])
            except TwinError as own:
                where = f"experiment of the arm {arm.name!r}"
                raise ScenarioError(own.found, where=where, expected=own.expected, fix=own.fix) from own
        raise ScenarioError(error.found, where="experiment", expected=error.expected, fix=error.fix) from error
    # In every array of the actions the last axis is the experiment.
    return [jax.tree.map(lambda x, i=i: x[..., i : i + 1], together) for i in range(len(experiments))]
