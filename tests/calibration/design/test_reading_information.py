"""Information of readings before they are taken, with and without detection limits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from calibration import Problem, fisher_information
from calibration.experimental_design.limits import expected_information
from calibration.experimental_design.reading_rows import information_of_readings, reading_rows
from calibration.noise import NOISE_MODELS
from twin.precision import float64
from twin.study import Estimate, Noise

FAMILIES = sorted(NOISE_MODELS)
VALUE, SCALE = 2.0, 0.4
PARTS = ((0, 0), (0, 1), (1, 1))


def information(family: str, limit: float) -> tuple[float, float, float]:
    with float64():
        found = expected_information(
            NOISE_MODELS[family](), jnp.array([[VALUE]]), jnp.array([[SCALE]]), np.array([limit])
        )
        return tuple(float(x[0, 0]) for x in found)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("limit", [0.9, 2.0, 2.7])
def test_limits_against_the_trapezoidal_rule(family: str, limit: float) -> None:
    """Scores by differences of the model's densities, integrals on a fine grid above the limit."""
    model, step = NOISE_MODELS[family](), 1e-5
    far = 60.0 if model.positive else 1e4
    with float64():
        away = np.concatenate([[0.0], np.geomspace(1e-9, far, 400_000)])
        place = float(model.centre(jnp.array(limit))) + away
        y = jnp.asarray(np.exp(place) if model.positive else place)
        at = jnp.array(limit)

        def slopes(density) -> tuple[np.ndarray, np.ndarray]:
            by_f = density(VALUE + step, SCALE) - density(VALUE - step, SCALE)
            by_s = density(VALUE, SCALE + step) - density(VALUE, SCALE - step)
            return np.asarray(by_f) / (2 * step), np.asarray(by_s) / (2 * step)

        seen = slopes(lambda f, s: model.log_density(y, jnp.array(f), jnp.array(s)))
        unseen = slopes(lambda f, s: model.log_below(at, jnp.array(f), jnp.array(s)))
        density = np.exp(np.asarray(model.log_density(y, jnp.array(VALUE), jnp.array(SCALE))))
        missed = float(jnp.exp(model.log_below(at, jnp.array(VALUE), jnp.array(SCALE))))
    weight = density * (np.asarray(y) if model.positive else 1.0)
    expected = [np.trapezoid(weight * seen[a] * seen[b], place) + missed * unseen[a] * unseen[b] for a, b in PARTS]
    # At the kink of a Laplace density the rule is exact to its spacing there, 1e-4, times the density.
    assert information(family, limit) == pytest.approx(expected, rel=3e-4, abs=3e-4 * max(np.abs(expected)))


@pytest.mark.parametrize("family", FAMILIES)
def test_far_limits(family: str) -> None:
    """Far below the prediction a limit does not matter; far above, a reading says nothing of the prediction."""
    free = information(family, np.nan)
    low, high = (1e-6, 1e3) if NOISE_MODELS[family].positive else (-1e3, 1e3)
    near = information(family, low)
    # Student-t densities have tails of probability 1e-12 beyond the limit.
    assert near == pytest.approx(free, rel=1e-6, abs=1e-6 * free[0])
    assert information(family, high)[0] < 1e-6 * free[0]


def test_limit_of_normal_noise_in_closed_form() -> None:
    """I_f s^2 = 1 - Phi(z) + z phi(z) + phi(z)^2 / Phi(z) for the limit z standard deviations above the prediction."""
    for z in (-2.0, 0.0, 1.5):
        phi, below = stats.norm.pdf(z), stats.norm.cdf(z)
        expected = (1 - below + z * phi + phi**2 / below) / SCALE**2
        assert information("normal", VALUE + z * SCALE)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_add_up_to_the_fisher_information(family: str, decay, table_of_rows) -> None:
    """At several vectors; a noise scale that is a formula of the prediction counts, too."""
    table = table_of_rows([("e", "1", "y", t, 2 * np.exp(-0.5 * t)) for t in (0.0, 0.5, 1.0, 2.0, 4.0)])
    estimates = [Estimate("k", 0.01, 5.0), Estimate("A0", 0.01, 100.0, scale="lin"), Estimate("sd", 0.01, 1.0)]
    scale = "sd" if family.startswith("log") else "sd * (1 + y)"
    problem = Problem(decay, table, estimates, Noise(family, scale))
    thetas = problem.nominal + np.array([[0.0, 0.0, 0.0], [0.2, -0.4, 0.1]])
    found = reading_rows(problem, thetas, np.full(5, np.nan))
    flat = found.rows.reshape(2, -1, 3)
    expected = np.stack([fisher_information(problem, theta).matrix for theta in thetas])
    assert np.swapaxes(flat, 1, 2) @ flat == pytest.approx(expected, rel=1e-8, abs=1e-8 * np.abs(expected).max())
    assert information_of_readings(problem, thetas) == pytest.approx(expected, rel=1e-8)
