"""Trying designs on patients: endpoints, measures, and how measures change with the design."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from twin.compile.system import compile_model
from twin.errors import ScenarioError, TwinError
from twin.experiment.actions import collect_actions
from twin.precision import in_float64
from twin.scenario.optimise.treatment import Treatment
from twin.simulation import expression_of, parameter_matrix, run_lanes
from twin.solve import Tolerance, method_named
from twin.solve.nodes import OK

LANES = 4096
"""Trajectories of one call, about: as many designs as that takes, at least one."""
MOST_FAILED = 0.05
"""Share of patients whose integration may fail before a design is refused."""


@dataclass(frozen=True)
class Tried:
    """What designs do to the patients.

    Args:
        measures: Goal, then limits; not a number where too many integrations failed.
        failed: Patients whose integration failed.
    """

    measures: Float[np.ndarray, "design measure"]
    failed: Int[np.ndarray, " design"]


class Trial:
    """Some patients on whom designs are tried.

    Args:
        treatment: What is sought.
        first: First patient of the cohort.
        last: One after the last.

    Raises:
        ScenarioError: An experiment that does not fit the model.
    """

    @in_float64
    def __init__(self, treatment: Treatment, first: int, last: int) -> None:
        self.treatment = treatment
        scenario = treatment.scenario
        self.system = compile_model(treatment.model)
        self.tolerance = Tolerance(float(scenario.rtol), float(scenario.atol), int(scenario.max_steps))
        self.method = method_named(scenario.solver)
        self.times = scenario.sampled
        self.variables = scenario.read_variables
        self.expressions = tuple(expression_of(scenario.model, name) for name in self.variables)
        try:
            self.actions = collect_actions(self.system, [treatment.experiment], [float(self.times[-1])])
        except TwinError as error:
            raise ScenarioError(error.found, where="experiment", expected=error.expected, fix=error.fix) from error
        self.patients = last - first
        self.base = self._parameters(first, last)
        self._rows = np.array([self.system.parameters.index(name) for name in treatment.factors])
        self._multiplies = np.array([item.multiply for item in treatment.factors.values()])
        self.together = max(1, LANES // self.patients)

    def _parameters(self, first: int, last: int) -> Float[np.ndarray, "parameter patient"]:
        scenario = self.treatment.scenario
        own = scenario.with_levels(scenario.cohort.rows(first, last), self.treatment.kept)
        p, draws = parameter_matrix(self.treatment.model, own)
        return p if draws is not None else np.repeat(p, last - first, axis=1)

    def _lanes(self, designs: Float[Array, "design factor"]) -> Float[Array, "parameter 1 lane"]:
        """Parameters of every patient under every design, the patients of a design side by side."""
        base = jnp.broadcast_to(jnp.asarray(self.base)[:, None, :], (len(self.base), len(designs), self.patients))
        levels = designs.T[:, :, None]
        own = jnp.where(self._multiplies[:, None, None], base[self._rows] * levels, levels)
        return base.at[self._rows].set(own).reshape(len(self.base), 1, -1)

    def _simulated(self, p: Float[Array, "parameter 1 lane"], directions: int | None = None):
        fixed = (self.system, self.method, self.tolerance, self.expressions, self.actions)
        outputs, status = run_lanes(*fixed, p, jnp.asarray(self.times)[:, None], directions=directions)
        return outputs[:, :, 0], status[0]

    def _endpoints(
        self, outputs: Float[Array, "output time lane"], ok: Bool[Array, " lane"]
    ) -> dict[str, Float[Array, " lane"]]:
        outputs = jnp.where(ok, outputs, 0.0)
        row = {name: place for place, name in enumerate(self.variables)}
        used = {name for item in self.treatment.formulated for name in item.endpoints}
        items = self.treatment.scenario.endpoints.items()
        return {name: item.traced(self.times, outputs[row[item.of]]) for name, item in items if name in used}

    def _measures(
        self,
        endpoints: dict[str, Float[Array, " patient"]],
        ok: Bool[Array, " patient"],
        design: Float[Array, " factor"],
    ) -> Float[Array, " measure"]:
        factors = dict(zip(self.treatment.factors, design, strict=True))
        return jnp.stack([item(endpoints, factors, ok) for item in self.treatment.formulated])

    @cached_property
    def _judged(self):
        def judge(outputs, status, designs):
            ok = status == OK
            shape = (len(designs), self.patients)
            endpoints = {name: x.reshape(shape) for name, x in self._endpoints(outputs, ok).items()}
            return jax.vmap(self._measures)(endpoints, ok.reshape(shape), designs)

        return jax.jit(judge)

    @cached_property
    def _judged_by_group(self):
        def judge(outputs, status, design, chosen):
            ok = status == OK
            endpoints = self._endpoints(outputs, ok)

            def of_group(rows):
                return self._measures({name: x[rows] for name, x in endpoints.items()}, ok[rows], design)

            return jax.lax.map(of_group, chosen, batch_size=64)

        return jax.jit(judge)

    @cached_property
    def _sloped(self):
        def judge(design, chosen):
            outputs, status = self._simulated(self._lanes(design[None]), len(self._rows))
            outputs, status = outputs[:, :, chosen], status[chosen]
            measures = self._measures(self._endpoints(outputs, status == OK), status == OK, design)
            return measures, (measures, status)

        return jax.jit(jax.jacfwd(judge, has_aux=True))

    @in_float64
    def measures(self, designs: Float[np.ndarray, "design factor"]) -> Tried:
        """Goal and limits of designs, on all patients."""
        parts, failed = [], []
        for start in range(0, len(designs), self.together):
            part = designs[start : start + self.together]
            # Filled up, so that all calls share one compiled program.
            padded = np.concatenate([part, np.repeat(part[-1:], self.together - len(part), axis=0)])
            outputs, status = self._simulated(self._lanes(jnp.asarray(padded)))
            parts.append(np.asarray(self._judged(outputs, status, jnp.asarray(padded)))[: len(part)])
            lost = (np.asarray(status) != OK).reshape(self.together, self.patients).sum(axis=1)
            failed.append(lost[: len(part)])
        found, lost = np.concatenate(parts), np.concatenate(failed)
        found[lost > MOST_FAILED * self.patients] = np.nan
        return Tried(found, lost)

    @in_float64
    def of_groups(
        self, designs: Float[np.ndarray, "design factor"], chosen: Int[np.ndarray, "group drawn"]
    ) -> Float[np.ndarray, "design group measure"]:
        """Goal and limits of designs on groups of the patients; not a number for a group that failed wholly.

        Args:
            designs: Levels.
            chosen: Patients of each group, repetitions among them.
        """
        found = []
        for design in designs:
            outputs, status = self._simulated(self._lanes(jnp.asarray(design)[None]))
            found.append(np.asarray(self._judged_by_group(outputs, status, jnp.asarray(design), jnp.asarray(chosen))))
        return np.stack(found)

    @in_float64
    def slopes(
        self, design: Float[np.ndarray, " factor"], chosen: Int[np.ndarray, " drawn"] | None = None
    ) -> tuple[Float[np.ndarray, " measure"], Float[np.ndarray, "measure factor"]]:
        """Goal and limits of a design and their derivatives in its levels.

        Args:
            design: Levels.
            chosen: Patients that count, repetitions among them, for a bootstrap; default: all.
        """
        chosen = np.arange(self.patients) if chosen is None else chosen
        slopes, (measures, status) = self._sloped(jnp.asarray(design), jnp.asarray(chosen))
        measures, slopes = np.array(measures), np.array(slopes)
        if (np.asarray(status) != OK).sum() > MOST_FAILED * self.patients:
            measures[:] = np.nan
        return measures, slopes

    @in_float64
    def endpoints(self, design: Float[np.ndarray, " factor"]) -> dict[str, Float[np.ndarray, " patient"]]:
        """All endpoints, derived ones among them, of each patient; not a number where the integration failed."""
        outputs, status = self._simulated(self._lanes(jnp.asarray(design)[None]))
        curves = np.array(outputs)
        curves[..., np.asarray(status) != OK] = np.nan
        return self.treatment.scenario.read_off(curves)
