"""The drawing step of SAEM: Metropolis-Hastings on the parameters of all subjects and occasions, chains side by side.

The likelihood of a subject's readings does not change when its own deviation is moved one way and those of all its
occasions the other. Along that direction the deviations are drawn anew from their normal distribution given the sums
psi = phi + (deviation of the occasion), which needs no integration:

    phi_a | psi, phi_b ~ N(P^-1 r, P^-1),    P = W_aa + n / gamma^2,
    r = W_aa c_a - W_ab (phi_b - c_b) + sum(psi) / gamma^2,

with the inverse covariance W of the subjects' parameters, their typical values c, the spreads gamma between the n
occasions, a the parameters that have occasions, b the others.

References:
    Kuhn & Lavielle (2005), doi:10.1016/j.csda.2004.07.002, for the Metropolis kernels; Panhard & Samson (2009),
    doi:10.1093/biostatistics/kxn020, for two levels of deviations in SAEM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from calibration.population.layout import Deviations, Groups

SWEEPS = 2
"""Rounds of all Metropolis kernels per iteration."""
ACCEPTANCE = 0.4
"""Share of accepted steps that the random walks adapt to (Roberts & Rosenthal 2001, doi:10.1214/ss/1015346320)."""


class Law(NamedTuple):
    """The distribution that the parameters are drawn from before the readings count.

    Args:
        theta: The population's vector.
        root: Cholesky factor of the covariance of the subjects' parameters.
        spread: Spreads between occasions.
    """

    theta: Float[np.ndarray, " parameter"]
    root: Float[np.ndarray, "parameter parameter"]
    spread: Float[np.ndarray, " occasional"]


@dataclass
class Chains:
    """Drawn parameters, and how far their random walks go.

    Args:
        phi: Parameters of each chain and group, estimation scale.
        away: Deviations of the occasions from them; 0 where a group has fewer.
        walk: Scale of the random walk of each group and parameter, in spreads.
        walk_away: The same of each occasion.
    """

    phi: Float[np.ndarray, "chain group parameter"]
    away: Float[np.ndarray, "chain group occasion occasional"]
    walk: Float[np.ndarray, "group parameter"]
    walk_away: Float[np.ndarray, "group occasion occasional"]

    @classmethod
    def begin(cls, groups: Groups, centre: Float[np.ndarray, "group parameter"], chains: int) -> Chains:
        """Chains at the typical values."""
        return cls(
            np.tile(centre, (chains, 1, 1)),
            np.zeros((chains, *groups.kappa.shape)),
            np.full(centre.shape, 0.5),
            np.full(groups.kappa.shape, 0.5),
        )

    def draw(self, groups: Groups, law: Law, rng: np.random.Generator, adapt: bool) -> Deviations:
        """Draw all parameters anew.

        Args:
            groups: Whose parameters.
            law: Their distribution.
            rng: Consumed.
            adapt: Whether the random walks change their lengths.

        Returns:
            The standardised deviations.
        """
        centre = groups.centre(law.theta)
        flat = (self.phi - centre).transpose(0, 2, 1).reshape(-1, len(law.root), len(centre))
        eta = np.linalg.solve(law.root, flat).transpose(0, 2, 1)
        at = _Walkers(groups, law, rng, Deviations(eta, self.away / law.spread))
        for _ in range(SWEEPS):
            self._of_groups(at, adapt)
            if groups.occasional:
                self._of_occasions(at, adapt)
                at.share_out(centre)
        self.phi = centre + np.einsum("ij,cgj->cgi", law.root, at.now.eta)
        self.away = at.now.kappa * law.spread
        return at.now

    def _of_groups(self, at: _Walkers, adapt: bool) -> None:
        rng, walk = at.rng, self.walk
        at.step_groups(rng.standard_normal(at.now.eta.shape), with_prior=False)
        for k in range(walk.shape[1]):
            tried = at.now.eta.copy()
            tried[:, :, k] += walk[:, k] * rng.standard_normal(tried.shape[:2])
            accepted = at.step_groups(tried, with_prior=True)
            if adapt:
                walk[:, k] *= np.exp(0.4 * (accepted - ACCEPTANCE))
        at.step_groups(at.now.eta + 0.6 * walk * rng.standard_normal(at.now.eta.shape), with_prior=True)

    def _of_occasions(self, at: _Walkers, adapt: bool) -> None:
        """The same kernels; the occasions of a group are independent given its own parameters."""
        rng, walk = at.rng, self.walk_away
        at.step_occasions(rng.standard_normal(at.now.kappa.shape), with_prior=False)
        for k in range(walk.shape[2]):
            tried = at.now.kappa.copy()
            tried[..., k] += walk[..., k] * rng.standard_normal(tried.shape[:3])
            accepted = at.step_occasions(tried, with_prior=True)
            if adapt:
                walk[..., k] *= np.exp(0.4 * (accepted - ACCEPTANCE))
        if walk.shape[2] > 1:
            at.step_occasions(at.now.kappa + 0.6 * walk * rng.standard_normal(at.now.kappa.shape), with_prior=True)


class _Walkers:
    """Where the chains stand, and the log-likelihood there."""

    def __init__(self, groups: Groups, law: Law, rng: np.random.Generator, begin: Deviations) -> None:
        self.groups, self.law, self.rng, self.now = groups, law, rng, begin
        self.value = groups.log_likelihood(law.theta, begin)

    def step_groups(self, eta: np.ndarray, with_prior: bool) -> np.ndarray:
        """Accept or reject for each group; returns the shares accepted."""
        then = self.groups.log_likelihood(self.law.theta, self.now._replace(eta=eta))
        gain = then.sum(axis=2) - self.value.sum(axis=2)
        if with_prior:
            gain -= 0.5 * (np.sum(eta**2, axis=2) - np.sum(self.now.eta**2, axis=2))
        taken = np.log(self.rng.uniform(size=gain.shape)) < gain
        self.now = self.now._replace(eta=np.where(taken[..., None], eta, self.now.eta))
        self.value = np.where(taken[..., None], then, self.value)
        return taken.mean(axis=0)

    def step_occasions(self, kappa: np.ndarray, with_prior: bool) -> np.ndarray:
        """Accept or reject for each occasion; returns the shares accepted."""
        kappa = np.where(self.groups.has[:, :, None], kappa, 0.0)
        then = self.groups.log_likelihood(self.law.theta, self.now._replace(kappa=kappa))
        gain = then - self.value
        if with_prior:
            gain -= 0.5 * (np.sum(kappa**2, axis=3) - np.sum(self.now.kappa**2, axis=3))
        taken = np.log(self.rng.uniform(size=gain.shape)) < gain
        self.now = self.now._replace(kappa=np.where(taken[..., None], kappa, self.now.kappa))
        self.value = np.where(taken, then, self.value)
        return taken.mean(axis=0)

    def share_out(self, centre: Float[np.ndarray, "group parameter"]) -> None:
        """Draw what is due to the group and what to its occasions, given their sums; see the top of this file."""
        law, has, own = self.law, self.groups.has, self.groups.occasional
        phi = centre + np.einsum("ij,cgj->cgi", law.root, self.now.eta)
        psi = (phi[:, :, None, own] + self.now.kappa * law.spread) * has[:, :, None]
        others = [k for k in range(len(law.root)) if k not in own]
        weight = np.linalg.inv(law.root @ law.root.T)
        of_own = weight[np.ix_(own, own)]
        count = has.sum(axis=1)
        precision = of_own + count[:, None, None] * np.diag(law.spread**-2.0)
        right = centre[:, own] @ of_own + psi.sum(axis=2) / law.spread**2
        right -= (phi[:, :, others] - centre[:, others]) @ weight[np.ix_(others, own)]
        factor = np.linalg.cholesky(precision)
        mean = np.linalg.solve(precision, right[..., None])[..., 0]
        noise = self.rng.standard_normal(right.shape)
        new = mean + np.linalg.solve(factor.transpose(0, 2, 1), noise[..., None])[..., 0]
        phi[:, :, own] = new
        flat = (phi - centre).transpose(0, 2, 1)
        eta = np.linalg.solve(law.root, flat).transpose(0, 2, 1)
        self.now = Deviations(eta, np.where(has[:, :, None], (psi - new[:, :, None]) / law.spread, 0.0))
