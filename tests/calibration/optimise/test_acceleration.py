"""Steps that bend with the predictions, and how few derivatives they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float

import twin
from calibration.optimise.acceleration import is_small, pull_of_the_bend
from calibration.optimise.lanes import CONVERGED, Rules, iterate
from calibration.optimise.objective import Evaluation, Look, Objective, without_readings
from calibration.optimise.trust_region import Same, TrustRegions, first_regions, region_step
from calibration.problem import Problem
from twin.precision import float64
from twin.study import Estimate, Noise

LOWER, UPPER = np.array([-2.0, -2.0]), np.array([2.0, 2.0])


class Valley:
    """Half the sum of squares of (1 - x, 10 (y - x^2)); it counts what it is asked.

    Args:
        told: Whether evaluations tell the predictions, without which steps do not bend.
    """

    def __init__(self, *, told: bool) -> None:
        self.told, self.names, self.lower, self.upper = told, ("x", "y"), LOWER, UPPER
        self.looks, self.evaluations = 0, 0

    def residual(self, theta: np.ndarray) -> Float[np.ndarray, "start reading"]:
        x, y = theta.T
        return np.stack([1 - x, 10 * (y - x**2)], axis=1)

    def look(self, theta: np.ndarray) -> Look:
        self.looks += len(theta)
        residual = self.residual(theta)
        return Look(0.5 * np.sum(residual**2, axis=1), residual if self.told else residual[:, :0])

    def __call__(self, theta: np.ndarray) -> Evaluation:
        self.evaluations += len(theta)
        x, residual = theta[:, 0], self.residual(theta)
        slopes = np.stack([np.stack([-np.ones_like(x), 0 * x], 1), np.stack([-20 * x, 10 + 0 * x], 1)], axis=1)
        value = 0.5 * np.sum(residual**2, axis=1)
        gradient = np.einsum("sr,srp->sp", residual, slopes)
        curvature = np.einsum("srp,srq->spq", slopes, slopes)
        readings = (residual, np.ones_like(residual), slopes) if self.told else without_readings(gradient)
        return Evaluation(value, value.copy(), gradient, curvature, *readings)


def followed(valley: Valley, starts: np.ndarray) -> TrustRegions:
    surface, rules = Same(valley), Rules(LOWER, UPPER, 300, 1e-8, retire=False)  # type: ignore[arg-type]
    first = first_regions(starts, valley(starts))
    *_, (_, ended) = iterate(lambda part: region_step(surface, part, rules), first, rules)
    return ended


def test_the_pull_is_that_of_the_second_derivative() -> None:
    """Exactly so for quadratic predictions."""
    valley = Valley(told=True)
    theta, moved = np.array([[0.3, -0.7], [1.1, 0.2]]), np.array([[0.2, 0.1], [-0.4, 0.3]])
    at = first_regions(theta, valley(theta))
    weight = np.array([[2.0, 0.5], [1.0, 3.0]])
    at = TrustRegions(**{**vars(at), "information": weight})
    bend = np.stack([np.zeros(2), -20 * moved[:, 0] ** 2], axis=1)
    exact = 0.5 * np.einsum("srp,sr,sr->sp", at.slopes, weight, bend)
    everyone = np.ones(2, dtype=bool)
    found = pull_of_the_bend(Same(valley).look, at, moved, everyone)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, exact, rtol=1e-10)
    some = pull_of_the_bend(Same(valley).look, at, moved, np.array([False, True]))  # type: ignore[arg-type]
    np.testing.assert_allclose(some, [[0.0, 0.0], exact[1]], rtol=1e-10)


def test_what_cannot_be_predicted_pulls_at_nothing() -> None:
    valley = Valley(told=True)
    theta = np.zeros((1, 2))
    at = first_regions(theta, valley(theta))
    moved, wanted = np.full((1, 2), 0.5), np.ones(1, dtype=bool)
    failed = lambda x, _: Look(np.full(len(x), np.inf), np.full((len(x), 2), np.nan))  # noqa: E731
    np.testing.assert_array_equal(pull_of_the_bend(failed, at, moved, wanted), 0.0)
    silent = Valley(told=False)
    at = first_regions(theta, silent(theta))
    np.testing.assert_array_equal(pull_of_the_bend(Same(silent).look, at, moved, wanted), 0.0)  # type: ignore[arg-type]
    assert silent.looks == 0


def test_large_corrections_are_not_believed() -> None:
    straight = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    corrected = np.array([[1.0, 0.3], [1.0, 0.5], [0.0, 0.1]])
    np.testing.assert_array_equal(is_small(straight, corrected), [True, False, False])


def test_bent_steps_need_fewer_derivatives_in_a_valley() -> None:
    """And rejected trials need none: every evaluation after the first is a step that went down."""
    starts = np.random.default_rng(0).uniform(-1.9, 1.9, (30, 2))
    bent, straight = Valley(told=True), Valley(told=False)
    for valley in (bent, straight):
        ended = followed(valley, starts)
        assert (ended.status == CONVERGED).all()
        np.testing.assert_allclose(ended.theta, 1.0, atol=1e-3)
        assert valley.evaluations < ended.evaluations.sum()
        assert valley.looks > valley.evaluations
    assert bent.evaluations < straight.evaluations


@pytest.mark.parametrize("family", ["normal", "log_normal", "laplace"])
def test_a_look_agrees_with_an_evaluation(family: str) -> None:
    """Value and predictions; slopes are those of the predictions where noise is additive."""
    model = twin.Model(
        name="decay",
        states=[twin.State("A", 1.0)],
        parameters=[twin.Parameter("k", 0.7), twin.Parameter("gain", 2.0)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "gain * A")],
    )
    times = np.linspace(0.2, 3.0, 6)
    values = 2.2 * np.exp(-0.6 * times) * np.exp(0.1 * np.random.default_rng(1).normal(size=6))
    table = pd.DataFrame({"observable": "y", "time": times, "value": values})
    noise = Noise(family, "sd")  # type: ignore[arg-type]
    estimates = [Estimate("k", 0.1, 5.0), Estimate("gain", 0.1, 10.0), Estimate("sd", 1e-2, 1.0)]
    problem = Problem(model, table, estimates, noise, rtol=1e-10, atol=1e-12)
    theta = np.array([[np.log10(0.7), np.log10(2.0), -0.5], [-0.3, 0.2, -1.0]])
    with float64():
        objective = Objective(problem)
        at, look = objective(theta), objective.look(theta)
        ahead = [objective.look(theta + 1e-5 * sign * np.eye(3)[0]).additive for sign in (1, -1)]
    np.testing.assert_allclose(look.value, at.value, rtol=1e-9)
    np.testing.assert_allclose(look.additive, at.additive, rtol=1e-8)
    exact = problem.predict_many(theta).value
    np.testing.assert_allclose(look.additive, np.log(exact) if family == "log_normal" else exact, rtol=1e-9)
    np.testing.assert_allclose(at.slopes[:, :, 0], (ahead[0] - ahead[1]) / 2e-5, rtol=1e-4)
    weighted = np.einsum("srp,sr,srq->spq", at.slopes, at.information, at.slopes)[:, :2, :2]
    np.testing.assert_allclose(weighted, at.curvature[:, :2, :2], rtol=1e-5)
