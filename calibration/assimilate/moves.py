"""Metropolis-Hastings moves of a whole population at once, in unbounded coordinates.

Half of the proposals are independent draws of a Student-t with the population's mean and covariance, which carry
particles far where the posterior is nearly normal; half are steps of a random walk with the population's covariance,
of three lengths, which work where it is not. Each leaves the target unchanged, and so does their mixture.

All particles are lanes of one solve, by the program that also weighs them: a second one, with the moves compiled into
it, took longer to compile than it saved. That is why the step of acceptance stands here, and not blackjax's.

References:
    Chopin, Biometrika 89:539-552 (2002), for independent proposals made from the population; Roberts & Rosenthal,
    Statistical Science 16:351-367 (2001), for 2.38 / sqrt(d).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import solve_triangular

from calibration.assimilate.likelihood import Likelihood, Rows

LENGTHS = (1.0, 0.4, 0.1)
"""Lengths of the random walk, in units of 2.38 / sqrt(d)."""
DF = 5.0
"""Degrees of freedom of independent proposals: their tails must be heavier than the target's."""
FLOOR = 1e-10


class Cloud(NamedTuple):
    """A population where it stands.

    Args:
        u: Particles, unbounded coordinates.
        prior: Log prior there.
        old: Log-likelihood of the old readings.
        new: Log-likelihood of the new ones.
    """

    u: Float[np.ndarray, "draw parameter"]
    prior: Float[np.ndarray, " draw"]
    old: Float[np.ndarray, " draw"]
    new: Float[np.ndarray, " draw"]

    def at(self, b: float) -> Float[np.ndarray, " draw"]:
        """Log density with a share (power) b of the new readings; minus infinity where the integration failed."""
        total = self.prior + self.old + b * self.new
        return np.where(np.isfinite(total), total, -np.inf)


class Shape(NamedTuple):
    """Mean of a population, and the Cholesky factor of its covariance."""

    centre: Float[np.ndarray, " parameter"]
    factor: Float[np.ndarray, "parameter parameter"]

    def log_heavy(self, u: Float[np.ndarray, "draw parameter"]) -> Float[np.ndarray, " draw"]:
        """Log density of the Student-t, without its constant."""
        white = solve_triangular(self.factor, (u - self.centre).T, lower=True)
        return -0.5 * (DF + u.shape[1]) * np.log1p(np.sum(white**2, axis=0) / DF)


def cloud_at(likelihood: Likelihood, u: Float[np.ndarray, "draw parameter"], rows: Rows) -> Cloud:
    """All parts of the density of a population."""
    found = likelihood.evaluate(likelihood.thetas(u), rows)
    return Cloud(u, likelihood.log_prior(u), np.asarray(found.old), np.asarray(found.new))


def move(
    likelihood: Likelihood, rng: np.random.Generator, cloud: Cloud, shape: Shape, b: float, rows: Rows
) -> tuple[Cloud, float, int]:
    """One move of all particles towards prior times old readings times a power of the new.

    Args:
        likelihood: Of the twin.
        rng: Generator; consumed.
        cloud: The population.
        shape: Its shape when it was resampled.
        b: Power of the new readings.
        rows: All readings.

    Returns:
        The population, the share of proposals accepted, and how many could not be integrated.
    """
    count, size = cloud.u.shape
    normal = rng.normal(size=(count, size))
    widths = rng.choice(LENGTHS, size=(count, 1)) * 2.38 / np.sqrt(size)
    walk = cloud.u + widths * (normal @ shape.factor.T)
    spread = np.sqrt(DF / rng.chisquare(DF, size=(count, 1)))
    far = shape.centre + (spread * normal) @ shape.factor.T
    independent = rng.uniform(size=count) < 0.5
    proposal = cloud_at(likelihood, np.where(independent[:, None], far, walk), rows)
    ratio = proposal.at(b) - cloud.at(b)
    ratio += np.where(independent, shape.log_heavy(cloud.u) - shape.log_heavy(proposal.u), 0.0)
    # A proposal that cannot be integrated has density 0, and is rejected.
    accept = np.log(rng.uniform(size=count)) < ratio
    pairs = zip(proposal, cloud, strict=True)
    moved = Cloud(*(np.where(accept.reshape(-1, *[1] * (x.ndim - 1)), x, y) for x, y in pairs))
    failed = int(np.sum(~np.isfinite(proposal.old + proposal.new)))
    return moved, float(accept.mean()), failed


def shape_of(u: Float[np.ndarray, "draw parameter"]) -> Shape:
    """The shape of a population, its covariance shrunk towards its diagonal if it is small."""
    count, size = u.shape
    covariance = np.atleast_2d(np.cov(u.T))
    trust = count / (count + 2.0 * (size + 2.0))
    shrunk = trust * covariance + (1 - trust) * np.diag(np.diag(covariance)) + FLOOR * np.eye(size)
    return Shape(u.mean(axis=0), np.linalg.cholesky(shrunk))
