"""The path of densities that tempering follows, from one that can be drawn from to the posterior.

With a normalised reference density q and the unnormalised posterior f = prior times likelihood, both in unbounded
coordinates u, the density at the inverse temperature b is q^(1 - b) f^b wherever f is positive. The integral of f is
the evidence. The reference is the prior, or a mixture of the prior with heavy-tailed densities around the optima of a
fit. Where the integration fails f is zero at every temperature, so the reference is drawn conditional on success, and
the probability of success is a factor of the evidence.

References:
    Neal, Statistics and Computing 11:125-139 (2001), section 2, for the geometric path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy import stats

from calibration.optimise import Fit
from calibration.optimise.objective import Objective
from calibration.problem import Problem
from calibration.sampling.whitening import logistic, to_unbounded, whiten
from twin.errors import SimulationError

type Vector = Float[Array, " parameter"]

PRIOR_SHARE = 0.2
"""Share of the prior in a reference around fits: modes that the fit missed can still be found."""
REFERENCE_DF = 5.0
WIDENING = 1.5
"""Degrees of freedom and widening of the densities around optima: tails beyond the posterior's keep weights bounded."""
FAR = 15.0
"""Optima that are worse than the best one by more log units have no density of their own in the reference."""
NEAR = 1.0
"""Optima closer than this, in widths of the better one's density, are one."""
TRIES = 40
BATCH = 512


class Path(NamedTuple):
    """The two ends of the path.

    Args:
        reference: Log density of the reference at one u, normalised.
        target: Log of prior times likelihood at one u, given the data argument; minus infinity where it fails.
        draw: Draws of the reference, given a generator and a count; not yet conditional on success.
    """

    reference: Callable[[Vector], Float[Array, ""]]
    target: Callable[[Vector, Any], Float[Array, ""]]
    draw: Callable[[np.random.Generator, int], Float[np.ndarray, "draw parameter"]]

    def between(self, u: Vector, inverse_temperature: Float[Array, ""], data: Any) -> Float[Array, ""]:
        """Log density at an inverse temperature."""
        target, b = self.target(u, data), inverse_temperature
        return jnp.where(jnp.isfinite(target), (1.0 - b) * self.reference(u) + b * target, -jnp.inf)

    def ratio(self, u: Vector, data: Any) -> Float[Array, ""]:
        """Log of target over reference, the derivative of the log density in the inverse temperature."""
        return self.target(u, data) - self.reference(u)


def path_of(problem: Problem, initial: Fit | None = None) -> Path:
    """The path to a problem's posterior.

    Args:
        problem: The problem.
        initial: A fit whose optima the reference surrounds; without it the reference is the prior.
    """
    bare = logistic(problem.lower, problem.upper)

    def prior(u: Vector) -> Float[Array, ""]:
        return problem.log_prior(bare.theta(u)) + bare.log_volume(u)

    def target(u: Vector, data: Any) -> Float[Array, ""]:
        return prior(u) + problem.log_likelihood(bare.theta(u))

    def draw_prior(rng: np.random.Generator, count: int) -> np.ndarray:
        return to_unbounded(problem.prior.draw(rng, count), problem.lower, problem.upper)

    if initial is None:
        return Path(prior, target, draw_prior)
    centres, factors = _optima(problem, initial)
    shares = np.array([PRIOR_SHARE, *[(1 - PRIOR_SHARE) / len(centres)] * len(centres)])

    def reference(u: Vector) -> Float[Array, ""]:
        # As sums of products: a solve has no lowering from single precision, which a caller's jit may ask for.
        standard = jnp.einsum("kij,kj->ki", np.linalg.inv(factors), u - centres)
        size, df = u.shape[0], REFERENCE_DF
        constant = stats.multivariate_t(np.zeros(size), np.eye(size), df).logpdf(np.zeros(size))
        volume = np.log(np.abs(np.linalg.det(factors)))
        around = constant - volume - 0.5 * (df + size) * jnp.log1p(jnp.sum(standard**2, axis=1) / df)
        return jax.nn.logsumexp(jnp.append(prior(u), around) + np.log(shares))

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        which = rng.choice(len(shares), size=count, p=shares) - 1
        u = draw_prior(rng, count)
        size = u.shape[1]
        t = rng.normal(size=(count, size)) / np.sqrt(rng.chisquare(REFERENCE_DF, size=(count, 1)) / REFERENCE_DF)
        around = centres[which] + np.einsum("nij,nj->ni", factors[which], t)
        return np.where(which[:, None] < 0, u, around)

    return Path(reference, target, draw)


def _optima(problem: Problem, initial: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Centres and Cholesky factors of the densities around the distinct optima of a fit, in u."""
    good = initial.theta[initial.objective <= initial.objective[0] + FAR]
    curvature = Objective(problem)(good).curvature
    centres: list[np.ndarray] = []
    factors: list[np.ndarray] = []
    for theta, matrix in zip(good, curvature, strict=True):
        found = whiten(theta, matrix, problem.lower, problem.upper)
        away = [np.linalg.norm(np.linalg.solve(f, found.centre - c)) for c, f in zip(centres, factors, strict=True)]
        if not away or min(away) > NEAR:
            centres.append(found.centre)
            factors.append(WIDENING * found.factor)
    return np.stack(centres), np.stack(factors)


class ReferenceDraws(NamedTuple):
    """Draws of the reference at which the target is positive.

    Args:
        u: The draws.
        tried: How many were made.
        succeeded: How many of them had a positive target; at least as many as are kept.
    """

    u: Float[np.ndarray, "draw parameter"]
    tried: int
    succeeded: int

    @property
    def log_share(self) -> float:
        """Log of the probability of success, a factor of the evidence."""
        return float(np.log(self.succeeded / self.tried))


def draw_reference(path: Path, count: int, rng: np.random.Generator, name: str, data: Any = ()) -> ReferenceDraws:
    """Draws of the reference, until enough of them can be integrated.

    Args:
        path: The path.
        count: Draws wanted.
        rng: Generator; consumed.
        name: Name of the problem, for the error.
        data: Data argument of the target.

    Raises:
        SimulationError: too few of many draws can be integrated.
    """
    size = min(BATCH, count)
    target = jax.jit(lambda u: jax.vmap(lambda each: path.target(each, data))(u))
    kept: list[np.ndarray] = []
    tried = succeeded = 0
    for _ in range(TRIES * -(-count // size)):
        u = path.draw(rng, size)
        good = np.isfinite(np.asarray(target(jnp.asarray(u))))
        tried, succeeded = tried + size, succeeded + int(good.sum())
        kept.extend(u[good])
        if len(kept) >= count:
            return ReferenceDraws(np.stack(kept[:count]), tried, succeeded)
    raise SimulationError(
        f"only {succeeded} of {tried} vectors drawn from the prior could be integrated",
        where=name,
        fix="narrow the priors, raise max_steps, or begin from a fit",
    )
