"""Stochastic approximation EM: the maximum of the marginal likelihood itself, without approximating its integral.

Each iteration draws the subjects' parameters phi and the deviations of their occasions from their conditional
distribution by Metropolis-Hastings, moves the averages of the complete data's sufficient statistics by the step gamma,
and maximises. gamma is 1 at first and falls as 1/k afterwards. The distribution of phi has its maximum in closed form,
and so have the spreads between occasions: the mean square of the drawn deviations. Shared parameters and the noise have
none in general: they take gamma times a Fisher scoring step of the same drawn data, with the averaged expected Hessian,
a recursion that has the same limit.

References:
    Delyon, Lavielle & Moulines (1999), doi:10.1214/aos/1018031103, for the steps; Kuhn & Lavielle (2005),
    doi:10.1016/j.csda.2004.07.002, for the chains per subject; Panhard & Samson (2009),
    doi:10.1093/biostatistics/kxn020, for occasions; Baey, Delattre,
    Kuhn, Leger & Lemler (2023), Efficient preconditioned stochastic gradient descent for estimation in latent variable
    models, ICML, for scoring steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from calibration.population.chains import Chains, Law
from calibration.population.distribution import covariance_of
from calibration.population.layout import Deviations, Groups
from calibration.population.marginal import MarginalLikelihood
from calibration.population.scoring import scoring_step
from calibration.scales import to_scale
from twin.errors import ProblemError, SimulationError

DRAWN_SUBJECTS = 50
"""Chains times subjects, at least (Kuhn & Lavielle 2005 take several chains where there are few subjects)."""
SLOWEST = 0.95
"""While gamma is 1 a variance shrinks by no more than this factor per iteration, so that chains keep moving."""
LEAST_SPREAD = 1e-4


@dataclass
class Averages:
    """What the averages of the complete data have become.

    Args:
        first: phi of each group.
        second: Sum of phi phi' over groups.
        away: Mean square of the occasions' deviations.
        information: Expected Hessian of the other entries.
    """

    first: Float[np.ndarray, "group parameter"]
    second: Float[np.ndarray, "parameter parameter"]
    away: Float[np.ndarray, " occasional"]
    information: Float[np.ndarray, "other other"]

    def move(self, chains: Chains, occasions: int, gamma: float) -> None:
        """Move towards the drawn parameters by a share gamma."""
        phi = chains.phi
        self.first += gamma * (phi.mean(axis=0) - self.first)
        self.second += gamma * (np.einsum("cgi,cgj->ij", phi, phi) / len(phi) - self.second)
        self.away += gamma * (np.sum(chains.away**2, axis=(0, 1, 2)) / (len(phi) * occasions) - self.away)


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
        taken = {*self._coefficients, *self._spreads.values(), *self._occasion_spreads.values()}
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
        self._occasion_spreads: dict[int, int] = {}
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
        for k, at in enumerate(self.groups.occasional):
            if self._slots[at].occasions_is_estimated:
                self._occasion_spreads[k] = self._at(int(self._slots[at].occasions))  # type: ignore[arg-type]
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
        for at in (*self._spreads.values(), *self._occasion_spreads.values()):
            theta[at] = max(theta[at], LEAST_SPREAD)
        centre = groups.centre(theta)
        chains = Chains.begin(groups, centre, self.chains)
        averages = Averages(
            centre.copy(),
            centre.T @ centre,
            np.zeros(len(groups.occasional)),
            np.zeros((len(self._other), len(self._other))),
        )
        typical = Deviations(np.zeros_like(chains.phi), np.zeros_like(chains.away))
        if not np.isfinite(groups.log_likelihood(theta, typical)).all():
            raise SimulationError(
                "the vector to begin with cannot be integrated", where="saem", fix="give nominal values near the truth"
            )
        path = []
        for iteration in range(burn + smooth):
            gamma = 1.0 if iteration < burn else 1.0 / (iteration - burn + 1)
            drawn = chains.draw(groups, self._law(theta), self.rng, adapt=iteration < burn)
            averages.move(chains, int(groups.has.sum()), gamma)
            others = self._score(theta, drawn, averages, gamma)
            theta = self._maximise(theta, averages, slowly=iteration < burn // 2)
            theta[self._other] = others
            path.append(theta.copy())
        return np.array(path)

    def _law(self, theta: np.ndarray) -> Law:
        """What the parameters are drawn from."""
        likelihood = self.likelihood
        whole = jnp.asarray(likelihood.whole(theta[None], np.zeros((1, len(likelihood.deviations))))[0])
        root = np.linalg.cholesky(np.asarray(covariance_of(likelihood.problem.parameters, whole)))
        spread = [float(self._slots[k].occasion_spread(whole)) for k in self.groups.occasional]
        return Law(theta, root, np.array(spread))

    def _score(self, theta: np.ndarray, drawn: Deviations, averages: Averages, gamma: float) -> np.ndarray:
        """Entries without deviations, after a step of the averaged score."""
        here, other = theta[self._other], self._other
        if not len(other):
            return here
        likelihood = self.likelihood
        flat = self.groups.flat(drawn)
        found = likelihood.objective(likelihood.whole(np.tile(theta, (len(flat), 1)), flat))
        good = np.isfinite(found.nllh)
        if not good.any():
            return here
        hessian = found.information[good][:, other][:, :, other].mean(axis=0)
        averages.information += gamma * (hessian - averages.information)
        width = (likelihood.upper - likelihood.lower)[other]
        gradient = found.slope[good][:, other].mean(axis=0)
        moved = here + gamma * scoring_step(averages.information, gradient, width)
        return np.clip(moved, likelihood.lower[other], likelihood.upper[other])

    def _maximise(self, theta: np.ndarray, averages: Averages, slowly: bool) -> np.ndarray:
        """Typical values, effects, spreads and correlations from the averages."""
        likelihood, theta = self.likelihood, theta.copy()
        root = self._law(theta).root
        weight = np.linalg.inv(root @ root.T)
        design = self._design
        normal = np.einsum("gia,ij,gjb->ab", design, weight, design)
        target = np.einsum("gia,ij,gj->a", design, weight, averages.first - self._offset)
        at = np.array(self._coefficients)
        theta[at] = np.clip(np.linalg.solve(normal, target), likelihood.lower[at], likelihood.upper[at])
        centre = self._offset + design @ theta[at]
        cross = averages.first.T @ centre
        covariance = (averages.second - cross - cross.T + centre.T @ centre) / len(centre)
        found = {place: covariance[k, k] for k, place in self._spreads.items()}
        found |= {place: averages.away[k] for k, place in self._occasion_spreads.items()}
        for place, variance in found.items():
            spread = np.sqrt(max(variance, 0.0))
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
