"""Laws of every noise model: a density, its distribution function, its draws and its information belong together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from calibration.noise import NOISE_MODELS, NoiseModel
from twin.precision import float64
from twin.study import NoiseFamily

F, S = 3.0, 0.7
FAR = (-1e6, -1e3, -40.0)
NEAR = (-12.0, -3.0, -0.5, 0.0, 0.5, 3.0, 8.0)


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    with float64():
        yield


@pytest.fixture(params=sorted(NOISE_MODELS))
def model(request: pytest.FixtureRequest) -> NoiseModel:
    return NOISE_MODELS[request.param](df=4.0)


def at(model: NoiseModel, standard: np.ndarray) -> np.ndarray:
    """Readings that lie so many scales from the prediction."""
    return F * np.exp(S * standard) if model.positive else F + S * standard


def below_point(model: NoiseModel, standard: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes, as distances in scales, and weights over all readings below a point.

    A double-exponential grid of the distance: dense where a deep tail falls off, wide for heavy ones.
    """
    x = np.linspace(-8.0, 16.0, 4001)
    distance = np.exp(x - np.exp(-x))
    weight = distance * (1 + np.exp(-x)) * (x[1] - x[0])
    inside = distance < (200 if model.positive else np.inf)
    return standard - distance[inside], weight[inside]


def as_readings(model: NoiseModel, standard: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights over readings from those over distances in scales."""
    reading = at(model, standard)
    return reading, S * weight * (reading if model.positive else 1.0)


def grid(model: NoiseModel) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights over all readings; two halves meet at the prediction, where some densities have a kink."""
    standard, weight = below_point(model, 0.0)
    return as_readings(model, np.concatenate([standard, -standard]), np.concatenate([weight, weight]))


def density(model: NoiseModel, reading: np.ndarray) -> np.ndarray:
    return np.asarray(model.log_density(jnp.asarray(reading), jnp.asarray(F), jnp.asarray(S)))


def below(model: NoiseModel, limit: np.ndarray) -> np.ndarray:
    return np.asarray(model.log_below(jnp.asarray(limit), jnp.asarray(F), jnp.asarray(S)))


@functools.cache
def with_derivatives(family: str, law: str) -> Callable:
    """A law's value, slope and curvature in f and slope in s at (f, s, limits), compiled once for all points."""
    of = {
        "below": lambda model, f, s, limit: model.log_below(limit, f, s),
        "above": lambda model, f, s, limit: model.log_above(limit, f, s),
        "between": lambda model, f, s, *ends: model.log_between(*ends, f, s),
    }[law]
    value = functools.partial(of, NOISE_MODELS[family](df=4.0))
    slope = jax.grad(value)
    derivatives = (value, slope, jax.grad(slope), jax.grad(value, argnums=1))
    return jax.jit(lambda *at: tuple(each(*at) for each in derivatives))


@functools.cache
def slope_in_limit(family: str) -> Callable:
    return jax.jit(
        jax.grad(lambda limit: NOISE_MODELS[family](df=4.0).log_below(limit, jnp.asarray(F), jnp.asarray(S)))
    )


def test_the_registry_holds_what_studies_may_name() -> None:
    assert set(NOISE_MODELS) == set(get_args(NoiseFamily))
    assert all(name == model.family for name, model in NOISE_MODELS.items())


def test_density_integrates_to_one(model: NoiseModel) -> None:
    reading, weight = grid(model)
    assert np.sum(np.exp(density(model, reading)) * weight) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("standard", [-30.0, *NEAR])
def test_probability_below_is_the_integral_of_the_density(model: NoiseModel, standard: float) -> None:
    nodes, weights = below_point(model, min(standard, 0.0))
    if standard > 0:
        x, w = np.polynomial.legendre.leggauss(80)
        nodes = np.concatenate([nodes, standard * (x + 1) / 2])
        weights = np.concatenate([weights, standard * w / 2])
    reading, jacobian = as_readings(model, nodes, weights)
    expected = logsumexp(density(model, reading), b=jacobian)
    assert below(model, at(model, np.asarray(standard))) == pytest.approx(expected, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("standard", NEAR)
def test_slope_of_the_probability_is_density_over_probability(model: NoiseModel, standard: float) -> None:
    limit = at(model, np.asarray(standard))
    slope = slope_in_limit(model.family)(jnp.asarray(limit))
    assert slope == pytest.approx(np.exp(density(model, limit) - below(model, limit)), rel=1e-8)


@pytest.mark.parametrize("standard", [*FAR, *NEAR, 40.0])
def test_tails_have_finite_values_and_derivatives(model: NoiseModel, standard: float) -> None:
    """Also the second derivative, which is the curvature of censored readings in a fit."""
    if model.positive and standard < -900:
        pytest.skip("such a reading is below the smallest float")
    limit = jnp.asarray(at(model, np.asarray(standard)))
    value, slope, curvature, by_scale = with_derivatives(model.family, "below")(jnp.asarray(F), jnp.asarray(S), limit)
    assert np.isfinite([value, slope, curvature, by_scale]).all()
    assert value <= 0
    assert slope <= 0


def above(model: NoiseModel, limit: np.ndarray) -> np.ndarray:
    return np.asarray(model.log_above(jnp.asarray(limit), jnp.asarray(F), jnp.asarray(S)))


def between(model: NoiseModel, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    ends = jnp.asarray(lower), jnp.asarray(upper)
    return np.asarray(model.log_between(*ends, jnp.asarray(F), jnp.asarray(S)))


INTERVALS = ((-12.0, 8.0), (-3.0, -0.5), (-0.04, 0.03), (-0.5, 3.0), (0.0, 0.5), (3.0, 8.0), (2.0, 2.001))


@pytest.mark.parametrize(("first", "last"), INTERVALS)
def test_probabilities_below_between_and_above_add_to_one(model: NoiseModel, first: float, last: float) -> None:
    ends = at(model, np.asarray(first)), at(model, np.asarray(last))
    parts = np.array([below(model, ends[0]), between(model, *ends), above(model, ends[1])])
    assert np.exp(parts).sum() == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(("first", "last"), [*INTERVALS, (-40.0, -39.0), (39.0, 39.5), (30.0, 30.0 + 1e-6)])
def test_probability_between_is_the_integral_of_the_density(model: NoiseModel, first: float, last: float) -> None:
    """Also far out in both tails, where one minus the distribution function has no digits left."""
    x, w = np.polynomial.legendre.leggauss(200)
    meet = np.clip(0.0, first, last)
    halves = [(start, stop) for start, stop in ((first, meet), (meet, last)) if stop > start]
    nodes = np.concatenate([start + (stop - start) * (x + 1) / 2 for start, stop in halves])
    weights = np.concatenate([(stop - start) * w / 2 for start, stop in halves])
    reading, jacobian = as_readings(model, nodes, weights)
    expected = logsumexp(density(model, reading), b=jacobian)
    found = between(model, at(model, np.asarray(first)), at(model, np.asarray(last)))
    # Limits and nodes are rounded: in the tail of a normal a distance of eps * 40 changes the log density by
    # eps * 1600. A narrow interval is known to eps * 40 over its width.
    rounding = 8 * np.finfo(float).eps * (1600 + (1 + abs(first)) / (last - first))
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12 + rounding)


@pytest.mark.parametrize("standard", [-30.0, *NEAR, 30.0])
def test_probability_above_is_that_below_a_mirrored_limit(model: NoiseModel, standard: float) -> None:
    mirror = below(model, at(model, np.asarray(-standard)))
    assert above(model, at(model, np.asarray(standard))) == pytest.approx(mirror, rel=1e-12)


@pytest.mark.parametrize("standard", [-30.0, *NEAR, 30.0])
def test_a_shrinking_interval_tends_to_the_density(model: NoiseModel, standard: float) -> None:
    width = 1e-6
    ends = [at(model, np.asarray(standard + side * width / 2)) for side in (-1, 1)]
    slope = between(model, *ends) - np.log(ends[1] - ends[0])
    # By symmetry the error is of the square of the width, but for the kink of a Laplace density: width / 4.
    assert slope == pytest.approx(density(model, at(model, np.asarray(standard))), abs=width)


# No end lies at zero, where the slope of a Laplace law has a kink that differences would straddle.
@pytest.mark.parametrize(("first", "last"), [(first or 0.05, last) for first, last in (*INTERVALS, (-40.0, -39.0))])
def test_slopes_of_censored_probabilities_agree_with_differences(model: NoiseModel, first: float, last: float) -> None:
    lower, upper = (jnp.asarray(at(model, np.asarray(end))) for end in (first, last))
    for law, ends in (("between", (lower, upper)), ("above", (upper,))):
        of = with_derivatives(model.family, law)
        _, by_value, curvature, by_scale = of(jnp.asarray(F), jnp.asarray(S), *ends)
        for slope, by in zip((by_value, by_scale), ((1e-5, 0.0), (0.0, 1e-5)), strict=True):
            forward, back = (
                of(jnp.asarray(F + sign * by[0]), jnp.asarray(S + sign * by[1]), *ends)[0] for sign in (1, -1)
            )
            # Rounding of the logarithms over the step, and third derivatives, which grow with the distance.
            size = 1 + max(abs(first), abs(last))
            assert slope == pytest.approx((forward - back) / 2e-5, rel=1e-6, abs=1e-9 * size**2)
        assert np.isfinite(curvature)


def test_draws_follow_the_distribution_function(model: NoiseModel) -> None:
    draws = np.asarray(model.draw(jax.random.key(5), jnp.full(20_000, F), jnp.full(20_000, S)))
    assert stats.kstest(draws, lambda x: np.exp(below(model, x))).pvalue > 1e-3
    assert not model.positive or draws.min() > 0
    error = 1.2533 / np.sqrt(len(draws))  # of a median, in standard deviations
    assert np.median(draws) == pytest.approx(F, abs=4 * error * S * (F if model.positive else 1.0))


def test_information_is_the_mean_square_of_the_score(model: NoiseModel) -> None:
    reading, weight = grid(model)
    probability = np.exp(density(model, reading)) * weight
    y = jnp.asarray(reading)

    def score(argument: int) -> np.ndarray:
        def total(f: jax.Array, s: jax.Array) -> jax.Array:
            return model.log_density(y, f, s)

        return np.asarray(jax.jacfwd(total, argnums=argument)(jnp.asarray(F), jnp.asarray(S)))

    by_value, by_scale = model.information(jnp.asarray(F), jnp.asarray(S))
    assert by_value == pytest.approx(np.sum(score(0) ** 2 * probability), rel=1e-8)
    assert by_scale == pytest.approx(np.sum(score(1) ** 2 * probability), rel=1e-8)


def test_spread_is_the_standard_deviation_of_draws(model: NoiseModel) -> None:
    model = NOISE_MODELS[model.family](df=12.0)  # with a fourth moment, so that the estimate has an error
    draws = np.asarray(model.draw(jax.random.key(3), jnp.full(200_000, F), jnp.asarray(S)))
    distance = np.asarray(model.centre(jnp.asarray(draws)) - model.centre(jnp.asarray(F)))
    # The excess kurtosis is at most 3 (Laplace): a relative error of sqrt((2 + 3) / (4 n)).
    assert np.std(distance) / S == pytest.approx(model.spread, rel=4 * np.sqrt(5 / 800_000))
    assert NOISE_MODELS["student_t"](df=2.0).spread == np.inf


def test_log_normal_survives_predictions_that_are_not_positive() -> None:
    """Integration error leaves small negative numbers: improbable, but no NaN, and no information."""
    model = NOISE_MODELS["log_normal"]()
    f = jnp.asarray([0.0, -1e-12])
    value = model.log_density(jnp.asarray(2.0), f, jnp.asarray(0.5))
    slope = jax.grad(lambda f: jnp.sum(model.log_density(jnp.asarray(2.0), f, jnp.asarray(0.5))))(f)
    information, _ = model.information(f, jnp.asarray(0.5))
    assert np.isfinite(value).all()
    assert (np.asarray(value) < -1e4).all()
    np.testing.assert_array_equal(slope, 0.0)
    np.testing.assert_array_equal(information, 0.0)
