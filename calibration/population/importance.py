"""The marginal likelihood by importance sampling, with its Monte-Carlo error: no approximation of the integral.

Each subject's integral over its deviations, those of its occasions included, is the mean of ``p(y | eta) p(eta) /
q(eta)`` over draws of a multivariate t density q with 5 degrees of freedom around the most probable deviations, whose
tails are heavier.

References:
    Kuhn & Lavielle (2005), doi:10.1016/j.csda.2004.07.002, section 4; Kloek & van Dijk (1978), doi:10.2307/1913641.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.special import logsumexp

from calibration.population.estimate import PopulationFit
from calibration.population.layout import Groups
from calibration.population.marginal import MarginalLikelihood, Modes
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
    proposals = _proposals(likelihood, modes, groups)
    largest, rng = max(len(proposal.at) for proposal in proposals), np.random.default_rng([seed, 13])
    weights = []
    for _ in range(-(-draws // LANES)):
        flat, against = np.zeros((LANES, len(likelihood.deviations))), []
        normal = rng.standard_normal((LANES, len(proposals), largest))
        tails = np.sqrt(rng.chisquare(TAILS, (LANES, len(proposals), 1)) / TAILS)
        for group, proposal in enumerate(proposals):
            flat[:, proposal.at], log_density = proposal.at_draws(normal[:, group] / tails[:, group])
            prior = -0.5 * np.sum(flat[:, proposal.at] ** 2 + np.log(2 * np.pi), axis=1)
            against.append(prior - log_density)
        of_occasions = groups.log_likelihood(fit.theta, groups.at(flat))
        weights.append(of_occasions.sum(axis=2) + np.stack(against, axis=1))
    log_weight = np.concatenate(weights)
    count = len(log_weight)
    of_group = logsumexp(log_weight, axis=0) - np.log(count)
    relative = np.exp(log_weight - of_group)  # mean 1
    error = np.sqrt(np.sum(relative.var(axis=0, ddof=1) / count))
    return ImportanceSampled(-2.0 * float(of_group.sum()), 2.0 * float(error), count / (relative**2).mean(axis=0))


def _proposals(likelihood: MarginalLikelihood, modes: Modes, groups: Groups) -> list[_Proposal]:
    """One for each group, in the order of `groups`."""
    objective, covariance = likelihood.objective, np.linalg.inv(modes.curvature[0])
    rows = [int(np.flatnonzero((objective.place == eta[0]).any(axis=1))[0]) for eta in groups.eta]
    made = []
    for row in rows:
        own = objective.place[row][objective.filled[row]]
        made.append(_Proposal(own, modes.eta[0][own], covariance[row][: len(own), : len(own)]))
    return made


class _Proposal:
    """A multivariate t density around a group's most probable deviations, which stand `at` these positions."""

    def __init__(self, at: Int[np.ndarray, " deviation"], mode: np.ndarray, covariance: np.ndarray) -> None:
        self.at, self._centre, self._root = at, mode, np.linalg.cholesky(covariance)
        self._log_det = float(np.log(np.diagonal(self._root)).sum())
        self._density = stats.multivariate_t(np.zeros(len(at)), np.eye(len(at)), df=TAILS)

    def at_draws(
        self, t: Float[np.ndarray, "draw largest"]
    ) -> tuple[Float[np.ndarray, "draw deviation"], Float[np.ndarray, " draw"]]:
        """Deviations and their log densities, from draws of a standard t in as many directions or more."""
        t = t[:, : len(self.at)]
        return self._centre + t @ self._root.T, self._density.logpdf(t) - self._log_det
