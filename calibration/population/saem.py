"""Stochastic approximation EM: the maximum of the marginal likelihood itself, without approximating its integral.

Each iteration draws the subjects' parameters phi from their conditional distribution by Metropolis-Hastings, moves the
averages of the complete data's sufficient statistics by the step gamma, and maximises. gamma is 1 at first and falls as
1/k afterwards. The distribution of phi has its maximum in closed form. Shared parameters and the noise have none in
general: they take gamma times a Fisher scoring step of the same drawn data, with the averaged expected Hessian, a
recursion that has the same limit.

References:
    Delyon, Lavielle & Moulines (1999), doi:10.1214/aos/1018031103, for the steps; Kuhn & Lavielle (2005),
    doi:10.1016/j.csda.2004.07.002, for the Metropolis kernels and the chains per subject; Baey, Delattre,
    Kuhn, Leger & Lemler (2023), Efficient preconditioned stochastic gradient descent for estimation in latent variable
    models, ICML, for scoring steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from calibration.optimise.objective import Objective
from calibration.population.distribution import covariance_of
from calibration.population.layout import Groups
from calibration.population.marginal import MarginalLikelihood
from calibration.population.scoring import scoring_step
from calibration.scales import to_scale
from twin.errors import ProblemError, SimulationError

DRAWN_SUBJECTS = 50
"""Chains times subjects, at least (Kuhn & Lavielle 2005 take several chains where there are few subjects)."""
SWEEPS = 2
"""Rounds of all Metropolis kernels per iteration."""
ACCEPTANCE = 0.4
"""Share of accepted steps that the random walks adapt to (Roberts & Rosenthal 2001, doi:10.1214/ss/1015346320)."""
SLOWEST = 0.95
"""While gamma is 1 a variance shrinks by no more than this factor per iteration, so that chains keep moving."""
LEAST_SPREAD = 1e-4


@dataclass
class Chains:
    """Drawn parameters and what the averages have become.

    Args:
        phi: Parameters of each chain and group, estimation scale.
        walk: Scale of the random walk of each group and parameter, in spreads.
        first: Averaged phi of each group.
        second: Averaged sum of phi phi' over groups.
        information: Averaged expected Hessian of the other entries.
    """

    phi: Float[np.ndarray, "chain group parameter"]
    walk: Float[np.ndarray, "group parameter"]
    first: Float[np.ndarray, "group parameter"]
    second: Float[np.ndarray, "parameter parameter"]
    information: Float[np.ndarray, "other other"]


class Saem:
    """Stochastic approximation EM of a population.

    Args:
        likelihood: The population.
        seed: Seed.

    Raises:
        ProblemError: a spread in a block of correlated deviations is held, or parameters vary at different levels.
    """

    def __init__(self, likelihood: MarginalLikelihood, seed: int) -> None:
        self.likelihood, self.groups = likelihood, Groups(likelihood)
        self.rng = np.random.default_rng([seed, 14])
        problem, groups = likelihood.problem, self.groups
        self._objective = Objective(problem, with_prior=False)
        self._place = {name: index for index, name in enumerate(likelihood.names)}
        self._slots = [problem.parameters.slots[name] for name in groups.names]
        for name, slot in zip(groups.names, self._slots, strict=True):
            if slot.block is not None and not slot.between_is_estimated:
                raise ProblemError(
                    f"the spread of {name!r} is held, and {name!r} belongs to the block {slot.block.name!r}",
                    where="saem",
                    fix="let the spread be estimated, or use method='focei'",
                )
        self._linear_terms()
        taken = {*self._coefficients, *self._spreads.values()}
        for block in problem.parameters.blocks.values():
            taken |= {self._at(entry) for row in block.partial for entry in row}
        self._other = np.array([i for i in range(len(likelihood.names)) if i not in taken], dtype=int)
        self.chains = max(2, -(-DRAWN_SUBJECTS // len(groups.series)))

    def _at(self, entry: int) -> int:
        """Place of an entry of the problem's vector in that of the population."""
        return self._place[self.likelihood.problem.names[entry]]

    def _linear_terms(self) -> None:
        """Coefficients of which the typical values are linear functions: design [group, parameter, coefficient]."""
        series, columns = self.groups.series, []
        self._coefficients: list[int] = []
        self._spreads: dict[int, int] = {}
        shape = (len(series), len(self._slots))
        self._offset = np.zeros(shape)
        for k, slot in enumerate(self._slots):
            terms = [(int(slot.value[series[0]]), np.ones(len(series)))]
            for shift in slot.shifts:
                if shift.estimated:
                    terms.append((int(shift.coefficient), shift.values[series]))
                else:
                    self._offset[:, k] += shift.coefficient * shift.values[series]
            for entry, values in terms:
                column = np.zeros(shape)
                column[:, k] = values
                columns.append(column)
                self._coefficients.append(self._at(entry))
            if slot.between_is_estimated:
                self._spreads[k] = self._at(int(slot.between))  # type: ignore[arg-type]
        self._design = np.stack(columns, axis=2)

    def run(
        self, begin: Float[np.ndarray, " parameter"], burn: int, smooth: int
    ) -> Float[np.ndarray, "iteration parameter"]:
        """The population's vector after every iteration.

        Args:
            begin: Where to begin.
            burn: Iterations with gamma = 1.
            smooth: Iterations with gamma = 1, 1/2, 1/3, ...

        Raises:
            SimulationError: the vector to begin with cannot be integrated.
        """
        theta, groups = begin.copy(), self.groups
        for at in self._spreads.values():
            theta[at] = max(theta[at], LEAST_SPREAD)
        centre = groups.centre(theta)
        chains = Chains(
            np.tile(centre, (self.chains, 1, 1)),
            np.full(centre.shape, 0.5),
            centre.copy(),
            centre.T @ centre,
            np.zeros((len(self._other), len(self._other))),
        )
        if not np.isfinite(groups.log_likelihood(theta, np.zeros((self.chains, *centre.shape)))).all():
            raise SimulationError(
                "the vector to begin with cannot be integrated", where="saem", fix="give nominal values near the truth"
            )
        path = []
        for iteration in range(burn + smooth):
            gamma = 1.0 if iteration < burn else 1.0 / (iteration - burn + 1)
            eta = self._draw(theta, chains, adapt=iteration < burn)
            mean = chains.phi.mean(axis=0)
            outer = np.einsum("cgi,cgj->ij", chains.phi, chains.phi) / self.chains
            chains.first += gamma * (mean - chains.first)
            chains.second += gamma * (outer - chains.second)
            others = self._score(theta, eta, chains, gamma)
            theta = self._maximise(theta, chains, slowly=iteration < burn // 2)
            theta[self._other] = others
            path.append(theta.copy())
        return np.array(path)

    def _root(self, theta: np.ndarray) -> np.ndarray:
        """Cholesky factor of the covariance of the deviations."""
        likelihood = self.likelihood
        whole = likelihood.whole(theta[None], np.zeros((1, len(likelihood.deviations))))[0]
        return np.linalg.cholesky(np.asarray(covariance_of(likelihood.problem.parameters, jnp.asarray(whole))))

    def _draw(self, theta: np.ndarray, chains: Chains, adapt: bool) -> np.ndarray:
        """Metropolis-Hastings for all chains and groups; returns the standardised deviations."""
        root, centre, rng = self._root(theta), self.groups.centre(theta), self.rng
        eta = np.linalg.solve(root, (chains.phi - centre).transpose(0, 2, 1).reshape(-1, len(root), len(centre)))
        eta = eta.transpose(0, 2, 1)
        now = self.groups.log_likelihood(theta, eta)

        def step(tried: np.ndarray, with_prior: bool) -> np.ndarray:
            nonlocal eta, now
            then = self.groups.log_likelihood(theta, tried)
            gain = then - now
            if with_prior:
                gain -= 0.5 * (np.sum(tried**2, axis=2) - np.sum(eta**2, axis=2))
            taken = np.log(rng.uniform(size=gain.shape)) < gain
            eta, now = np.where(taken[:, :, None], tried, eta), np.where(taken, then, now)
            return taken.mean(axis=0)

        for _ in range(SWEEPS):
            step(rng.standard_normal(eta.shape), with_prior=False)
            for k in range(eta.shape[2]):
                tried = eta.copy()
                tried[:, :, k] += chains.walk[:, k] * rng.standard_normal(tried.shape[:2])
                accepted = step(tried, with_prior=True)
                if adapt:
                    chains.walk[:, k] *= np.exp(0.4 * (accepted - ACCEPTANCE))
            joint = eta + 0.6 * chains.walk * rng.standard_normal(eta.shape)
            step(joint, with_prior=True)
        chains.phi = centre + np.einsum("ij,cgj->cgi", root, eta)
        return eta

    def _score(self, theta: np.ndarray, eta: np.ndarray, chains: Chains, gamma: float) -> np.ndarray:
        """Entries without deviations, after a step of the averaged score."""
        here, other = theta[self._other], self._other
        if not len(other):
            return here
        likelihood = self.likelihood
        flat = np.empty((len(eta), len(likelihood.deviations)))
        flat[:, self.groups.eta] = eta
        found = self._objective(likelihood.whole(np.tile(theta, (len(eta), 1)), flat))
        good = np.isfinite(found.nllh)
        if not good.any():
            return here
        at = likelihood.positions[other]
        chains.information += gamma * (found.curvature[good][:, at][:, :, at].mean(axis=0) - chains.information)
        width = (likelihood.upper - likelihood.lower)[other]
        moved = here + gamma * scoring_step(chains.information, found.gradient[good][:, at].mean(axis=0), width)
        return np.clip(moved, likelihood.lower[other], likelihood.upper[other])

    def _maximise(self, theta: np.ndarray, chains: Chains, slowly: bool) -> np.ndarray:
        """Typical values, effects, spreads and correlations from the averages."""
        likelihood, theta = self.likelihood, theta.copy()
        root = self._root(theta)
        weight = np.linalg.inv(root @ root.T)
        design = self._design
        normal = np.einsum("gia,ij,gjb->ab", design, weight, design)
        target = np.einsum("gia,ij,gj->a", design, weight, chains.first - self._offset)
        at = np.array(self._coefficients)
        theta[at] = np.clip(np.linalg.solve(normal, target), likelihood.lower[at], likelihood.upper[at])
        centre = self._offset + design @ theta[at]
        cross = chains.first.T @ centre
        covariance = (chains.second - cross - cross.T + centre.T @ centre) / len(centre)
        for k, place in self._spreads.items():
            spread = np.sqrt(max(covariance[k, k], 0.0))
            if slowly:
                spread = max(spread, np.sqrt(SLOWEST) * theta[place])
            theta[place] = np.clip(spread, max(LEAST_SPREAD, likelihood.lower[place]), likelihood.upper[place])
        for block in likelihood.problem.parameters.blocks.values():
            rows = np.array([self.groups.names.index(name) for name in block.members])
            part = covariance[np.ix_(rows, rows)]
            scale = np.sqrt(np.maximum(np.diag(part), LEAST_SPREAD**2))
            factor = np.linalg.cholesky(part / np.outer(scale, scale) + 1e-9 * np.eye(len(rows)))
            for k, entries in enumerate(block.partial):
                left = 1.0
                for j, entry in enumerate(entries):
                    r = factor[k, j] / left
                    left *= np.sqrt(max(1.0 - r**2, 1e-12))
                    place = self._at(entry)
                    ends = likelihood.lower[place], likelihood.upper[place]
                    theta[place] = np.clip(to_scale(np.clip(r, -0.9999, 0.9999), "atanh"), *ends)
        return theta
