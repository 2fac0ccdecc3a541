"""Laws of every prior family, truncated to bounds in its middle, on one side, and far out in a tail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args, get_type_hints

import jax
import numpy as np
import pytest
from scipy import stats

from calibration.optimise.starts import latin_hypercube
from calibration.prior_families import distribution
from calibration.priors import STUDENT_DF, PriorDensity
from twin.errors import ProblemError
from twin.precision import float64
from twin.study import Prior, Scale

FAMILIES = get_args(get_type_hints(Prior)["family"])
BOUNDS = ((-2.0, 4.0), (0.7, 1.9), (5.0, 9.0), (-40.0, 30.0))
SCIPY = {
    "normal": stats.norm,
    "laplace": stats.laplace,
    "student_t": lambda loc, scale: stats.t(STUDENT_DF, loc, scale),
    "half_normal": stats.halfnorm,
    "cauchy": stats.cauchy,
    "exponential": lambda loc, scale: stats.expon(scale=scale),
    "gamma": lambda loc, scale: stats.gamma(SHAPE, scale=scale),
    "rayleigh": lambda loc, scale: stats.rayleigh(scale=scale),
    "log_normal": lambda loc, scale: stats.lognorm(scale, scale=np.exp(loc)),
    "log_laplace": lambda loc, scale: stats.loglaplace(1 / scale, scale=np.exp(loc)),
}
SHAPE = 2.5
KINKS = [0.0, np.exp(0.4), 0.4 / np.log(10)]
"""Where densities have a kink or begin; the last two on a linear and on a decadic axis."""
U = np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 1 - 1e-6])


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    with float64():
        yield


@pytest.fixture(params=[(f, b) for f in FAMILIES for b in BOUNDS if b[0] > 0 or not f.startswith("log_")], ids=str)
def prior(request: pytest.FixtureRequest) -> PriorDensity:
    family, (low, high) = request.param
    return PriorDensity([Prior(family, 0.4, 0.6, shape=SHAPE)], np.array([low]), np.array([high]))


def density(prior: PriorDensity, theta: np.ndarray) -> np.ndarray:
    return np.exp(np.asarray(prior.log_density(theta[:, None])))


def probability(prior: PriorDensity, low: float, high: float) -> float:
    """Integral of the density by Gauss-Legendre pieces that meet at the kink of some families."""
    node, weight = np.polynomial.legendre.leggauss(60)
    # Pieces outside have length zero: arrays of one shape, so that JAX compiles once.
    edges = np.sort(np.clip(np.concatenate([0.4 + 0.6 * np.linspace(-70, 70, 141), KINKS, [low, high]]), low, high))
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    points = (middle[:, None] + half[:, None] * node).ravel()
    return float(np.sum(density(prior, points) * (half[:, None] * weight).ravel()))


def test_density_integrates_to_one(prior: PriorDensity) -> None:
    assert probability(prior, prior.lower[0], prior.upper[0]) == pytest.approx(1.0, rel=1e-9)


def test_quantile_inverts_the_distribution_function(prior: PriorDensity) -> None:
    for u, quantile in zip(U, prior.quantile(U[:, None])[:, 0], strict=True):
        assert probability(prior, prior.lower[0], quantile) == pytest.approx(u, rel=1e-6)


def test_draws_and_starts_lie_within_the_bounds(prior: PriorDensity) -> None:
    rng = np.random.default_rng(0)
    for points in (prior.draw(rng, 2000), latin_hypercube(prior, 2000, seed=0)):
        assert points.shape == (2000, 1)
        assert (points >= prior.lower).all()
        assert (points <= prior.upper).all()
        share = [probability(prior, prior.lower[0], point) for point in points[:50, 0]]
        assert stats.kstest(share, "uniform").pvalue > 1e-3


def test_a_hypercube_has_one_point_per_slice(prior: PriorDensity) -> None:
    points = np.sort(latin_hypercube(prior, 50, seed=1)[:, 0])
    edges = prior.quantile(np.linspace(0, 1, 51)[:, None])[:, 0]
    assert (points >= edges[:-1]).all()
    assert (points <= edges[1:]).all()


def test_density_is_scipys_over_the_mass_between_the_bounds(prior: PriorDensity) -> None:
    family, (low, high) = FAMILIES[prior.family[0]], (prior.lower[0], prior.upper[0])
    theta = np.linspace(low, high, 23)
    if family == "uniform":
        expected = np.full(23, 1 / (high - low))
    elif family == "log_uniform":
        expected = 1 / theta / np.log(high / low)
    else:
        frozen = SCIPY[family](0.4, 0.6)
        mass = frozen.sf(low) - frozen.sf(high) if low > 0.4 else frozen.cdf(high) - frozen.cdf(low)
        expected = frozen.pdf(theta) / mass
    np.testing.assert_allclose(density(prior, theta), expected, rtol=1e-10)


def test_outside_the_bounds_there_is_nothing(prior: PriorDensity) -> None:
    outside = np.array([[prior.lower[0] - 1e-9], [prior.upper[0] + 1e-9]])
    np.testing.assert_array_equal(prior.log_density(outside), -np.inf)


def test_gradient_is_the_slope_of_the_log_density(prior: PriorDensity) -> None:
    theta = np.array([0.83])
    theta = np.clip(theta, prior.lower + 0.1, prior.upper - 0.1)
    gradient = jax.grad(lambda x: prior.log_density(x))(theta)
    ahead, behind = float(prior.log_density(theta + 1e-6)), float(prior.log_density(theta - 1e-6))
    assert float(gradient[0]) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6, abs=1e-8)


def test_entries_are_independent() -> None:
    priors = [Prior("uniform"), Prior("normal", 1.0, 2.0), Prior("half_normal", 0.0, 0.5)]
    prior = PriorDensity(priors, np.array([-1.0, -9.0, 0.0]), np.array([3.0, 9.0, 2.5]))
    theta = np.array([[0.0, 2.0, 0.3], [1.0, -4.0, 1.1]])
    expected = np.log(1 / 4) + stats.truncnorm(-5, 4, 1.0, 2.0).logpdf(theta[:, 1])
    expected += stats.halfnorm(0, 0.5).logpdf(theta[:, 2]) - stats.halfnorm(0, 0.5).logcdf(2.5)
    np.testing.assert_allclose(prior.log_density(theta), expected, rtol=1e-12)
    np.testing.assert_allclose(prior.precision, [0.0, 1 / 4, 4.0])


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Prior("beta"), "no prior family 'beta'"),  # type: ignore[arg-type]
        (Prior("gamma", shape=0.0), "the shape 0"),
        (Prior("log_uniform"), "the lower bound 0 has no logarithm"),
        (Prior("normal", 0.0, 0.0), "the scale 0"),
        (Prior("normal", np.nan, 1.0), "the location is nan"),
        (Prior("normal", 1000.0, 1.0), "no probability between the bounds 0 and 1"),
    ],
)
def test_nonsense_is_refused(prior: Prior, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        PriorDensity([prior], np.array([0.0]), np.array([1.0]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", ["lin", "log", "log10"])
def test_a_prior_on_the_parameter_itself_is_a_density_of_the_vector(family: str, scale: Scale) -> None:
    base = {"lin": None, "log": np.e, "log10": 10.0}[scale]
    low, high = 0.7, 1.9

    def on_scale(value: float) -> float:
        return value if base is None else np.log(value) / np.log(base)

    prior = PriorDensity(
        [Prior(family, 0.4, 0.6, shape=SHAPE, linear=True)],  # type: ignore[arg-type]
        np.array([on_scale(low)]),
        np.array([on_scale(high)]),
        [scale],
    )
    plain = PriorDensity([Prior(family, 0.4, 0.6, shape=SHAPE)], np.array([low]), np.array([high]))  # type: ignore[arg-type]
    assert probability(prior, prior.lower[0], prior.upper[0]) == pytest.approx(1.0, rel=1e-7)
    linear = plain.quantile(U[:, None])
    np.testing.assert_allclose(prior.quantile(U[:, None]), on_scale(linear), rtol=1e-9)
    slope = 1.0 if base is None else linear[:, 0] * np.log(base)
    np.testing.assert_allclose(density(prior, on_scale(linear)[:, 0]), density(plain, linear[:, 0]) * slope, rtol=1e-9)
    assert (prior.precision >= 0).all()


def test_the_normal_of_its_own_is_that_of_scipy() -> None:
    own, other = distribution(Prior("normal", 0.3, 2.0), -np.inf, np.inf), stats.norm(0.3, 2.0)
    x, u = (
        np.concatenate([np.linspace(-80, 80, 41), [-np.inf, np.inf]]),
        np.array([0.0, 1e-300, 1e-9, 0.3, 1 - 1e-12, 1]),
    )
    for function, at in (("cdf", x), ("sf", x), ("ppf", u), ("isf", u)):
        np.testing.assert_allclose(
            getattr(own, function)(at), getattr(other, function)(at), rtol=1e-13, err_msg=function
        )
