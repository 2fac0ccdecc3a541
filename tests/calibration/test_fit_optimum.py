"""Fits against closed-form optima, their curvature, their bookkeeping, and a published optimum."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration import Problem, fit
from calibration.optimise.lanes import CONVERGED, STUCK, Rules
from calibration.optimise.local import minimise
from calibration.optimise.objective import Evaluation, Look, Objective
from calibration.optimise.polish import polish, tighter
from calibration.optimise.starts import latin_hypercube
from calibration.optimise.trust_region import Same, first_regions, region_step
from twin import library
from twin.errors import SimulationError
from twin.model import Model
from twin.precision import float64
from twin.progress import Progress
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD = 0.2
DESIGN = np.stack([-TIMES, np.ones(6)], axis=1)
"""ln y = ln A0 - k t: linear in (k, ln A0)."""
K = Estimate("k", 0.01, 5.0, scale="lin")
A0 = Estimate("A0", 0.01, 100.0, scale="log")


@pytest.fixture(scope="module")
def table(table_of_rows: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    logarithm = np.log(2.0) - 0.5 * TIMES + SD * np.random.default_rng(2).normal(size=6)
    return table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])


def least_squares(table: pd.DataFrame, precision: np.ndarray, location: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Optimum and curvature of the linear problem with a normal prior."""
    curvature = DESIGN.T @ DESIGN / SD**2 + precision
    pull = DESIGN.T @ np.log(table["value"].to_numpy()) / SD**2 + precision @ location
    return np.linalg.solve(curvature, pull), curvature


def precise(model: Model, table: pd.DataFrame, estimates: list[Estimate], scale: float | str = SD) -> Problem:
    return Problem(model, table, estimates, Noise("log_normal", scale), rtol=1e-10, atol=1e-12)


def test_maximum_likelihood(decay: Model, table: pd.DataFrame) -> None:
    problem = precise(decay, table, [K, A0])
    result = fit(problem, starts=6, seed=1, quiet=True)
    optimum, curvature = least_squares(table, np.zeros((2, 2)), np.zeros(2))
    np.testing.assert_allclose(result.best, optimum, atol=1e-5)
    np.testing.assert_allclose(result.curvature, curvature, rtol=1e-6)
    assert result.nllh[0] == pytest.approx(-float(problem.log_likelihood(optimum)), abs=1e-7)
    assert result.objective[0] == pytest.approx(-float(problem.log_posterior(optimum)), abs=1e-7)
    assert result.hits == 6
    assert result.converged.all()
    assert (result.redrawn, result.failed, result.at_bound) == (0, 0, ())
    assert (np.diff(result.objective) >= 0).all()
    frame = result.to_frame()
    assert list(frame) == ["objective", "nllh", "converged", "k", "A0"]
    assert "found by 6 of 6 starts" in str(result)


def test_maximum_a_posteriori(decay: Model, table: pd.DataFrame) -> None:
    estimates = [replace(K, prior=Prior("normal", 0.9, 0.05)), replace(A0, prior=Prior("normal", 0.0, 0.1))]
    result = fit(precise(decay, table, estimates), starts=3, quiet=True)
    location = np.array([0.9, 0.0])
    optimum, curvature = least_squares(table, np.diag([1 / 0.05**2, 1 / 0.1**2]), location)
    assert np.abs(optimum - least_squares(table, np.zeros((2, 2)), location)[0]).max() > 0.05
    np.testing.assert_allclose(result.best, optimum, atol=1e-5)
    np.testing.assert_allclose(result.curvature, curvature, rtol=1e-6)


def test_bounds_that_hold_the_optimum(decay: Model, table: pd.DataFrame) -> None:
    result = fit(precise(decay, table, [Estimate("k", 1.0, 5.0, "lin", nominal=2.0), A0]), starts=4, quiet=True)
    assert result.at_bound == ("k",)
    assert result.best[0] == 1.0
    assert result.best[1] == pytest.approx(np.mean(np.log(table["value"]) + TIMES), abs=1e-5)
    assert "on a bound: k" in str(result)


def test_estimated_noise(decay: Model, table: pd.DataFrame) -> None:
    """The maximum-likelihood variance is the mean square of the residuals; its information is 2 n / sd^2."""
    sd = Estimate("sd", 0.001, 5.0, scale="lin", nominal=0.3)
    result = fit(precise(decay, table, [K, A0, sd], "sd"), starts=6, quiet=True)
    optimum, _ = least_squares(table, np.zeros((2, 2)), np.zeros(2))
    spread = np.sqrt(np.mean((np.log(table["value"]) - DESIGN @ optimum) ** 2))
    np.testing.assert_allclose(result.best, [*optimum, spread], atol=1e-4)
    assert result.curvature[2, 2] == pytest.approx(12 / result.best[2] ** 2, rel=1e-6)
    assert np.abs(result.curvature[2, :2]).max() < 1e-8 * result.curvature[2, 2]


def test_only_the_noise_is_estimated(decay: Model, table: pd.DataFrame) -> None:
    problem = precise(decay, table, [Estimate("sd", 0.001, 5.0, nominal=0.3)], "sd")
    result = fit(problem, starts=2, quiet=True)
    spread = np.sqrt(np.mean((np.log(table["value"]) - DESIGN @ [0.5, np.log(2.0)]) ** 2))
    assert 10 ** result.best[0] == pytest.approx(spread, rel=1e-4)


def test_starts_that_fail_are_redrawn_and_counted(explosion: Model, table_of_rows: Callable[..., pd.DataFrame]) -> None:
    """x = 1 / (1 - k t) reaches t = 2 only for k < 0.5: half of the starts fail at first."""
    table = table_of_rows([("e", "1", "y", t, 1 / (1 - 0.2 * t)) for t in (1.0, 2.0)])
    problem = Problem(explosion, table, [Estimate("k", 0.05, 5.0)], Noise("normal", 0.05), max_steps=300)
    result = fit(problem, starts=10, seed=3, quiet=True)
    expected, bad = 0, latin_hypercube(problem.prior, 10, 3)[:, 0] > np.log10(0.5)
    attempt = 0
    while bad.any():
        attempt += 1
        expected += int(bad.sum())
        bad &= latin_hypercube(problem.prior, 10, 3 + 7919 * attempt)[:, 0] > np.log10(0.5)
    assert expected >= 5
    assert result.redrawn == expected
    assert result.failed == 0
    assert (result.starts < np.log10(0.5)).all()
    assert 10 ** result.best[0] == pytest.approx(0.2, rel=1e-4)
    assert f"{expected} starting points redrawn, 0 starts failed" in str(result)

    hopeless = Problem(explosion, table, [Estimate("k", 0.6, 5.0, nominal=1.0)], Noise("normal", 0.05), max_steps=300)
    with pytest.raises(SimulationError, match="none of 4 starting points could be integrated, nor any of 40 redrawn"):
        fit(hopeless, starts=4, quiet=True)


def test_the_objective_has_the_slope_of_its_values(oral: Model, table_of_rows: Callable[..., pd.DataFrame]) -> None:
    """With censoring, a noise formula and every kind of entry of the vector."""
    from twin import Bolus, Experiment

    rows = [("e", s, "concentration", t, v) for s in "ab" for t, v in ((0.5, 3.0), (3.0, 5.0), (9.0, 2.5), (20.0, 0.4))]
    problem = Problem(
        oral,
        table_of_rows(rows, below=0.5),
        [
            Estimate("ka", 0.1, 10.0, prior=Prior("laplace", 0.5, 0.5)),
            Estimate("ke", 0.01, 2.0, per="subject", between=Prior("half_normal", 0.0, 0.3)),
            Estimate("sd", 0.01, 2.0, nominal=0.3),
        ],
        Noise("student_t", "sd + 0.1 * concentration"),
        experiments={"e": Experiment(doses=(Bolus("gut", 60.0),))},
        rtol=1e-9,
        atol=1e-11,
    )
    theta = np.array([0.1, -0.6, 0.2, 0.7, -0.3, -0.4])
    with float64():
        shifted = theta + 1e-5 * np.concatenate([np.zeros((1, 6)), np.eye(6), -np.eye(6)])
        at = Objective(problem)(shifted)
        assert at.value[0] == pytest.approx(-float(problem.log_posterior(theta)), rel=1e-10)
        assert at.nllh[0] == pytest.approx(-float(problem.log_likelihood(theta)), rel=1e-10)
    np.testing.assert_allclose(at.gradient[0], (at.value[1:7] - at.value[7:]) / 2e-5, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(at.curvature[0], at.curvature[0].T, rtol=1e-12)
    assert np.linalg.eigvalsh(at.curvature[0]).min() > 0


class Rosenbrock:
    """Half the sum of squares of (1 - x, 10 (y - x^2)), with its Gauss-Newton curvature."""

    def residual(self, theta: np.ndarray) -> np.ndarray:
        x, y = theta.T
        return np.stack([1 - x, 10 * (y - x**2)], axis=1)

    def look(self, theta: np.ndarray) -> Look:
        residual = self.residual(theta)
        return Look(0.5 * np.sum(residual**2, axis=1), residual)

    def __call__(self, theta: np.ndarray) -> Evaluation:
        x = theta[:, 0]
        value, residual = self.look(theta)
        jacobian = np.stack([np.stack([-np.ones_like(x), 0 * x], 1), np.stack([-20 * x, 10 + 0 * x], 1)], axis=1)
        gradient = np.einsum("sr,srp->sp", residual, jacobian)
        curvature = np.einsum("srp,srq->spq", jacobian, jacobian)
        return Evaluation(value, value.copy(), gradient, curvature, residual, np.ones_like(residual), jacobian)


rosenbrock = Rosenbrock()


@pytest.mark.parametrize(("upper", "optimum"), [((2.0, 2.0), (1.0, 1.0)), ((0.5, 2.0), (0.5, 0.25))])
def test_a_curved_valley(upper: tuple[float, float], optimum: tuple[float, float]) -> None:
    """Rosenbrock's function, free and with its optimum cut off by a bound."""
    starts = np.array([[-1.2, 1.0], [0.4, -1.5], [-1.9, 1.9], [0.3, 0.3]])
    run = minimise(
        rosenbrock,
        starts,
        rosenbrock(starts),
        np.array([-2.0, -2.0]),
        np.array(upper),
        iterations=300,
        tolerance=1e-10,
        line=Progress("", 1, quiet=True),
    )
    np.testing.assert_allclose(run.theta, [optimum] * 4, atol=1e-4)
    assert run.converged.all()
    assert (run.iterations < 300).all()


def test_starts_near_the_best_are_polished_and_others_stay() -> None:
    """Two starts ended in Rosenbrock's valley, within 2 of the best; the third did not come near."""
    starts = np.array([[0.0, 0.0], [-0.4, 0.2], [-1.9, -1.9]])
    rules = Rules(np.array([-2.0, -2.0]), np.array([2.0, 2.0]), 300, 1e-4)
    ended = replace(first_regions(starts, rosenbrock(starts)), status=np.full(3, STUCK))
    *_, polished = polish(lambda part: region_step(Same(rosenbrock), part, tighter(rules)), ended, rules)
    np.testing.assert_allclose(polished.theta[:2], 1.0, atol=1e-3)
    assert (polished.status[:2] == CONVERGED).all()
    assert (polished.evaluations[:2] > ended.evaluations[:2]).all()
    np.testing.assert_array_equal(polished.theta[2], starts[2])
    assert (polished.status[2], polished.evaluations[2]) == (STUCK, ended.evaluations[2])


@pytest.mark.slow
def test_published_optimum_of_boehm() -> None:
    """The best known negative log-likelihood of Boehm_JProteomeRes2014 is 138.222 (PEtab benchmark collection)."""
    study = library.study("stat5_boehm2014")
    wide = [
        Estimate(estimate.name, 1e-5, 1e5, nominal=1.0 if estimate.nominal is None else estimate.nominal)
        for estimate in study.estimates
    ]
    problem = Problem.from_study(replace(study, estimates=wide), fixed={"ratio": 0.693, "specC17": 0.107})
    result = fit(problem, starts=24, seed=0, quiet=True)
    sys.stdout.write(str(result))
    assert result.nllh[0] == pytest.approx(138.222, abs=0.02)
    assert result.hits >= 2
