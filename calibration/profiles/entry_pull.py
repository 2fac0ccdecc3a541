"""An objective with one entry of each lane's vector pulled towards a target, w (theta_i - target)^2 / 2.

Where the sum has its minimum the objective is minimal among all vectors with the same theta_i: the entry lags behind
its target, and what is found is an exact point of the profile at the value that it reached. A vector never has to be
moved to where nothing can be integrated, as happens when an entry is held beside solutions that blow up.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.optimise.objective import Evaluation, Look, RegionObjective
from calibration.profiles.walk import pulling_weight


class EntryPull:
    """The surface that each lane minimises.

    Args:
        objective: The objective.
        which: The entry of each lane.
        targets: Where it is pulled.
        pulled: Lanes for which it is; the others minimise the objective itself.
        steps: How far the targets lie from where the entries are; counts for lanes that are pulled.
    """

    def __init__(
        self,
        objective: RegionObjective,
        which: Int[np.ndarray, " lane"],
        targets: Float[np.ndarray, " lane"],
        pulled: Bool[np.ndarray, " lane"],
        steps: Float[np.ndarray, " lane"],
    ) -> None:
        self.objective, self.which, self.targets = objective, which, targets
        self.weight = np.where(pulled, pulling_weight(np.where(pulled, steps, 1.0)), 0.0)

    def look(self, thetas: Float[np.ndarray, "some parameter"], lanes: Int[np.ndarray, " some"]) -> Look:
        """Values and predictions."""
        found = self.objective.look(thetas)
        return found._replace(value=found.value + 0.5 * self.weight[lanes] * self._off(thetas, lanes) ** 2)

    def evaluate(self, thetas: Float[np.ndarray, "some parameter"], lanes: Int[np.ndarray, " some"]) -> Evaluation:
        """Values with derivatives."""
        return self._plus(self.objective(thetas), thetas, lanes, 1.0)

    def without(self, at: Evaluation, thetas: Float[np.ndarray, "lane parameter"]) -> Evaluation:
        """An evaluation of all lanes less the pull."""
        return self._plus(at, thetas, np.arange(len(thetas)), -1.0)

    def _off(self, thetas: np.ndarray, lanes: np.ndarray) -> Float[np.ndarray, " some"]:
        return thetas[np.arange(len(lanes)), self.which[lanes]] - self.targets[lanes]

    def _plus(self, at: Evaluation, thetas: np.ndarray, lanes: np.ndarray, sign: float) -> Evaluation:
        rows, entry, weight = np.arange(len(lanes)), self.which[lanes], sign * self.weight[lanes]
        off = self._off(thetas, lanes)
        gradient, curvature = at.gradient.copy(), at.curvature.copy()
        gradient[rows, entry] += weight * off
        curvature[rows, entry, entry] += weight
        return at._replace(value=at.value + 0.5 * weight * off**2, gradient=gradient, curvature=curvature)
