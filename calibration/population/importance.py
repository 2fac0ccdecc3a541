"""The marginal likelihood by importance sampling, with its Monte-Carlo error: no approximation of the integral.

Each subject's integral over its deviations is the mean of ``p(y | eta) p(eta) / q(eta)`` over draws of a multivariate t
density q with 5 degrees of freedom around the most probable deviations, whose tails are heavier.

References:
    Kuhn & Lavielle (2005), doi:10.1016/j.csda.2004.07.002, section 4; Kloek & van Dijk (1978), doi:10.2307/1913641.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats
from scipy.special import logsumexp

from calibration.population.estimate import PopulationFit
from calibration.population.layout import Groups
from twin.errors import ProblemError
from twin.precision import in_float64

TAILS = 5.0
LANES = 50
"""Draws of all subjects that are integrated at once."""


class ImportanceSampled(NamedTuple):
    """The marginal likelihood of a fit.

    Args:
        objective: Minus twice its logarithm, constants included.
        error: Monte-Carlo standard error of that number.
        effective: Effective number of draws of each subject, (sum w)^2 / sum w^2.
    """

    objective: float
    error: float
    effective: Float[np.ndarray, " group"]


@in_float64
def importance_sampling(fit: PopulationFit, *, draws: int = 1000, seed: int = 0) -> ImportanceSampled:
    """Minus twice the log of the marginal likelihood at a fit, by importance sampling.

    Args:
        fit: A fit, by whichever method.
        draws: Draws per subject, rounded up to a multiple of 50.
        seed: Seed.

    Raises:
        ProblemError: fewer than 50 draws, or parameters that vary at different levels.
    """
    if draws < LANES:
        raise ProblemError(f"there are {draws} draws", where="importance sampling", expected=f"at least {LANES}")
    groups, likelihood = Groups(fit.likelihood), fit.likelihood
    modes = likelihood.modes(fit.theta[None], fit.eta[None])
    covariance = np.linalg.inv(modes.curvature[0])
    centre, size = modes.eta[0][groups.eta], groups.eta.shape[1]
    roots = np.linalg.cholesky(covariance[groups.eta[:, :, None], groups.eta[:, None, :]])
    log_det = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    density = stats.multivariate_t(np.zeros(size), np.eye(size), df=TAILS)
    rng = np.random.default_rng([seed, 13])
    weights = []
    for _ in range(-(-draws // LANES)):
        t = rng.standard_normal((LANES, len(centre), size))
        t /= np.sqrt(rng.chisquare(TAILS, (LANES, len(centre), 1)) / TAILS)
        eta = centre + np.einsum("gij,cgj->cgi", roots, t)
        prior = -0.5 * np.sum(eta**2, axis=2) - 0.5 * size * np.log(2 * np.pi)
        proposal = np.reshape(density.logpdf(t.reshape(-1, size)), t.shape[:2]) - log_det
        weights.append(groups.log_likelihood(fit.theta, eta) + prior - proposal)
    log_weight = np.concatenate(weights)
    count = len(log_weight)
    of_group = logsumexp(log_weight, axis=0) - np.log(count)
    relative = np.exp(log_weight - of_group)  # mean 1
    error = np.sqrt(np.sum(relative.var(axis=0, ddof=1) / count))
    return ImportanceSampled(-2.0 * float(of_group.sum()), 2.0 * float(error), count / (relative**2).mean(axis=0))
