"""Solves the inner problems of all lanes at given trajectories."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from calibration.inner.breakpoints import Breakpoints
from calibration.inner.first_guess import first_guesses
from calibration.inner.layout import Flat, Layout, Read, coefficients
from calibration.inner.newton import GroupNewton, Penalty
from calibration.inner.structure import LOGARITHMIC, NOTHING, Structure, is_flat
from calibration.inner.trajectories import Solved, TrajectoryPredictor
from calibration.optimise.objective import reading_weights
from calibration.prediction import Prediction
from calibration.priors import PriorDensity
from calibration.problem import Problem

BEYOND = 1e-9
"""Part of a bound by which a prior reaches beyond it."""

_BASE = {"lin": None, "log": np.e, "log10": 10.0}


class InnerSolver:
    """From trajectories to the best inner entries.

    Scalings and offsets are found on the scale on which noise is additive, where predictions are affine in them: their
    logarithms for multiplicative noise, themselves otherwise. Noise scales are found as they are.

    Args:
        problem: The problem.
        structure: Its inner entries.
        predictor: Its predictions.
    """

    def __init__(self, problem: Problem, structure: Structure, predictor: TrajectoryPredictor) -> None:
        self.problem, self.structure, self.predictor = problem, structure, predictor
        entries = structure.entries
        self._index = np.array([entry.index for entry in entries])
        self._logarithmic = np.array([entry.logarithmic for entry in entries])
        self._noise = np.array([entry.role == "noise" for entry in entries])
        self._rate = np.array([_rate(problem.parameters.entries[index].scale) for index in self._index])
        self.lower, self.upper = (self._natural(x[self._index]) for x in (problem.lower, problem.upper))
        families = np.empty((len(problem.bindings.value), 1), dtype=object)
        for name, rows in problem.bindings.rows_of.items():
            families[rows, 0] = problem.noise[name].family
        self._logarithmic_readings = np.isin(families.astype(str), LOGARITHMIC)
        place = {index: k for k, index in enumerate(self._index)}
        of_method = {"newton": [], "breakpoints": []}
        for number, group in enumerate(structure.groups):
            of_method[group.method].append(number)
        members = [[place[index] for index in group.members] for group in structure.groups]
        self._newton = self._layout(of_method["newton"], members) if of_method["newton"] else None
        self._several = not all(structure.groups[number].single for number in of_method["newton"])
        self._breakpoints = None
        if of_method["breakpoints"]:
            exact = of_method["breakpoints"]
            renumbered = np.full(len(structure.groups) + 1, NOTHING)
            renumbered[exact] = np.arange(len(exact))
            known = np.full(len(problem.names) + 1, NOTHING)
            known[self._index] = np.arange(len(self._index))
            self._breakpoints = Breakpoints(
                known[structure.affine],
                known[structure.sigma],
                renumbered[structure.group],
                [members[number] for number in exact],
                self.lower,
                self.upper,
            )

    def _layout(self, numbers: list[int], members: list[list[int]]) -> tuple[Layout, np.ndarray]:
        """Blocks of the groups that Newton's method solves, and their entries among the inner ones."""
        chosen = np.array(sorted(entry for number in numbers for entry in members[number]))
        place = {entry: k for k, entry in enumerate(chosen)}
        renumbered = np.full(len(members) + 1, NOTHING)
        renumbered[numbers] = np.arange(len(numbers))
        groups = [[place[entry] for entry in members[number]] for number in numbers]
        return Layout(groups, renumbered[self.structure.group]), chosen

    def _natural(self, x: np.ndarray) -> np.ndarray:
        """From the estimation scale to the scale on which an entry is solved for."""
        scaled = np.isfinite(self._rate)
        exponent = np.where(scaled, x * np.where(scaled, self._rate, 0.0), 0.0)
        logarithm = np.where(scaled, exponent, np.log(np.where(self._logarithmic & ~scaled, x, 1.0)))
        return np.where(self._logarithmic, logarithm, np.where(scaled, np.exp(exponent), x))

    def _linear(self, natural: Flat) -> Flat:
        log = self._logarithmic[:, None]
        return jnp.where(log, jnp.exp(jnp.where(log, natural, 0.0)), natural)

    def _rescaled(self, natural: Flat) -> Flat:
        """From the scale on which entries are solved for to the estimation scale."""
        rate, log = self._rate[:, None], self._logarithmic[:, None]
        logarithm = jnp.where(log, natural, jnp.log(jnp.where(natural > 0, natural, 1.0)))
        return jnp.where(np.isfinite(rate), logarithm / np.where(np.isfinite(rate), rate, 1.0), self._linear(natural))

    def _estimation(self, natural: Flat) -> Float[Array, "draw inner"]:
        """The same inside the bounds."""
        scaled = self._rescaled(natural)
        at_low, at_high = natural <= self.lower[:, None], natural >= self.upper[:, None]
        low, high = self.problem.lower[self._index][:, None], self.problem.upper[self._index][:, None]
        return jnp.where(at_low, low, jnp.where(at_high, high, jnp.clip(scaled, low, high))).T

    def __call__(
        self, solved: Solved, thetas: Float[Array, "draw parameter"]
    ) -> tuple[Float[Array, "draw inner"], Bool[Array, "draw reading"] | None]:
        """The best inner entries on the estimation scale, and which readings lie on a kink of the objective."""
        values, draws = self.predictor.values(thetas), len(thetas)
        ok = solved.ok

        def read(natural: Flat) -> tuple[Array, Array]:
            value, scale = self.predictor.read(solved.trajectory, values, self._linear(natural))
            return value, scale

        start = jnp.where(jnp.asarray(self._noise)[:, None], 1.0, 0.0) * jnp.ones((1, draws))
        result, on_kink = start, None
        if self._newton is not None:
            result = self._by_newton(*self._newton, read, ok, result)
        if self._breakpoints is not None:
            result, on_kink = self._by_breakpoints(read, result)
            on_kink = on_kink.T
        return self._estimation(result), on_kink

    def _centred(self, value: Array) -> Array:
        """Predictions on the scale on which noise is additive."""
        table = self.problem.bindings
        rows = np.concatenate(list(table.rows_of.values()))
        parts = [self.problem.noise_models[name].centre(value[here]) for name, here in table.rows_of.items()]
        return jnp.concatenate(parts)[np.argsort(rows, kind="stable")]

    def _by_newton(self, layout: Layout, chosen: np.ndarray, read: Read, ok: Array, start: Flat) -> Flat:
        problem, logarithmic = self.problem, self._logarithmic_readings

        def of_chosen(x: Flat) -> tuple[Array, Array]:
            value, scale = read(start.at[chosen].set(x))
            return self._centred(value), scale

        def values(centre: Array) -> Array:
            return jnp.where(logarithmic, jnp.exp(jnp.where(logarithmic, centre, 0.0)), centre)

        def nllh(centre: Array, scale: Array) -> Array:
            return -problem.pointwise(Prediction(values(centre).T, scale.T, ok.T)).T

        def information(centre: Array, scale: Array) -> tuple[Array, Array]:
            value = values(centre)
            weights = reading_weights(problem, value.T, scale.T, ok.T)
            return weights[2].T * jnp.where(logarithmic, value, 1.0) ** 2, weights[3].T

        of_readings = coefficients(layout, of_chosen, start.shape[1], bends=self.structure.bends)
        target = self._centred(jnp.asarray(problem.bindings.value))
        lower, upper = self.lower[chosen], self.upper[chosen]
        guesses = first_guesses(layout, of_readings, target, self._noise[chosen], lower, several=self._several)
        newton = GroupNewton(layout, of_readings, nllh, information, self._penalty(chosen, start), lower, upper)
        if len(guesses) == 1:
            return start.at[chosen].set(newton.minimise(guesses[0])[0])
        found, reached = jax.vmap(newton.minimise)(guesses)
        best = jnp.argmin(jnp.where(jnp.isfinite(reached), reached, jnp.inf), axis=0)
        return start.at[chosen].set(jnp.take_along_axis(found, best[layout.group][None], axis=0)[0])

    def _penalty(self, chosen: np.ndarray, start: Flat) -> Penalty | None:
        """The priors of some inner entries on the estimation scale, as functions of what is solved for."""
        entries = [self.problem.parameters.entries[index] for index in self._index[chosen]]
        if all(map(is_flat, entries)):
            return None
        # Bounds are those of the solver; a rounding error beyond them must not make the density vanish.
        lower, upper = (np.array([getattr(entry, side) for entry in entries]) for side in ("lower", "upper"))
        lower, upper = lower - BEYOND * np.abs(lower), upper + BEYOND * np.abs(upper)
        prior = PriorDensity([e.prior for e in entries], lower, upper, [e.scale for e in entries])

        def penalty(x: Flat) -> Flat:
            return -prior.log_density_each(self._rescaled(start.at[chosen].set(x))[chosen].T).T

        return penalty

    def _by_breakpoints(self, read: Read, start: Flat) -> tuple[Flat, Array]:
        assert self._breakpoints is not None
        affine = ~self._noise[:, None]
        # Other groups stay as they are: derivatives and origins are those of these groups alone.
        value, scale = read(start)
        here = jnp.asarray(self._breakpoints.members[:, None] & affine)
        along = jnp.where(here, 1.0, 0.0) * jnp.ones_like(start)
        slope = jax.jvp(lambda x: self._centred(read(x)[0]), (start,), (along,))[1]
        target = self._centred(jnp.asarray(self.problem.bindings.value))[:, None]
        return self._breakpoints.minimise(target - self._centred(value), slope, scale, start)


def _rate(scale: str) -> float:
    """The logarithm of the base of an estimation scale; NaN for the linear one."""
    base = _BASE[scale]
    return float(np.log(base)) if base else np.nan
