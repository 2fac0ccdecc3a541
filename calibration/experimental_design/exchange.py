"""Designs that can be bought: greedy purchases, then exchanges until none improves the criterion.

Fedorov's exchange [1] in the form of Cook & Nachtsheim [2]: every purchase is taken back in turn, and what is
affordable then is bought anew, the best first. Where costs differ, several cheap ones may take the place of one.

References:
    [1] Fedorov, V. V. (1972). Theory of Optimal Experiments. Academic Press, chapter 3.
    [2] Cook, R. D. & Nachtsheim, C. J. (1980). A comparison of algorithms for constructing exact D-optimal designs.
        Technometrics 22, 315-324.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from twin.progress import Progress

PASSES = 30
BETTER = 1e-9
"""A smaller gain is rounding."""
SLACK = 1e-9
"""Sums of costs are rounded, too."""


class Criterion(Protocol):
    """What the search asks of a criterion.

    Attributes:
        count: Purchases there are to choose from.
        most: How often each can be made.
    """

    count: int
    most: int

    def value(self, counts: Float[np.ndarray, " item"], /) -> float:
        """The criterion of a design, to be maximised."""
        ...

    def values_with(
        self, counts: Float[np.ndarray, " item"], items: Int[np.ndarray, " candidate"], /
    ) -> Float[np.ndarray, " candidate"]:
        """The criterion of a design with one of `items` more."""
        ...


class Search:
    """The best design of a criterion that a budget allows, as far as exchanges find it.

    Args:
        criterion: The criterion.
        costs: Cost of each purchase.
        budget: What can be spent.
    """

    def __init__(self, criterion: Criterion, costs: Float[np.ndarray, " item"], budget: float) -> None:
        self.criterion, self.costs, self.budget = criterion, costs, budget

    def best(
        self, first: list[Float[np.ndarray, " item"]], rng: np.random.Generator, restarts: int, line: Progress
    ) -> tuple[Float[np.ndarray, " item"], float]:
        """Exchange from several designs and keep the best.

        Args:
            first: Designs with counts to begin from, each within the budget; they are filled up.
            rng: Where random designs come from.
            restarts: How many random designs.
            line: Progress to update.
        """
        starts = [self._fill(np.zeros(len(self.costs)), per_cost=False)]
        if np.ptp(self.costs) > 0:
            starts.append(self._fill(np.zeros(len(self.costs)), per_cost=True))
        starts += [self._fill(counts) for counts in first]
        starts += [self._random(rng) for _ in range(restarts)]
        found, best = None, -np.inf
        for index, start in enumerate(starts):
            counts, value = self._exchange(start)
            if value > best + BETTER:
                found, best = counts, value
            line.update(index + 1)
        assert found is not None
        return found, best

    def order(self, counts: Float[np.ndarray, " item"]) -> tuple[list[int], list[float]]:
        """Purchases of a design in the order in which they add most, and the criterion after each."""
        left, bought = counts.copy(), np.zeros(len(counts))
        order, values = [], []
        while left.any():
            items = np.flatnonzero(left)
            gains = self.criterion.values_with(bought, items)
            chosen = int(items[np.argmax(gains)])
            bought[chosen] += 1
            left[chosen] -= 1
            order.append(chosen)
            values.append(float(gains.max()))
        return order, values

    def affordable(self, counts: Float[np.ndarray, " item"]) -> Int[np.ndarray, " candidate"]:
        """Purchases for which there is money left."""
        left = self.budget - float(self.costs @ counts)
        return np.flatnonzero((counts < self.criterion.most) & (self.costs <= left + SLACK * self.budget))

    def _fill(self, counts: Float[np.ndarray, " item"], per_cost: bool = False) -> Float[np.ndarray, " item"]:
        counts = counts.copy()
        value = self.criterion.value(counts)
        while len(items := self.affordable(counts)):
            values = self.criterion.values_with(counts, items)
            score = (values - value) / self.costs[items] if per_cost else values
            chosen = int(np.argmax(score))
            counts[items[chosen]] += 1
            value = float(values[chosen])
        return counts

    def _random(self, rng: np.random.Generator) -> Float[np.ndarray, " item"]:
        counts = np.zeros(len(self.costs))
        while len(items := self.affordable(counts)):
            counts[rng.choice(items)] += 1
        return counts

    def _exchange(self, counts: Float[np.ndarray, " item"]) -> tuple[Float[np.ndarray, " item"], float]:
        value = self.criterion.value(counts)
        for _ in range(PASSES):
            before = value
            for item in np.flatnonzero(counts):
                if not counts[item]:  # exchanged in this pass
                    continue
                fewer = counts.copy()
                fewer[item] -= 1
                tried = self._fill(fewer)
                if np.array_equal(tried, counts):
                    continue
                new = self.criterion.value(tried)
                if new > value + BETTER:
                    counts, value = tried, new
            if value <= before + BETTER:
                break
        return counts, value


def round_down(weights: Float[np.ndarray, " item"], costs: np.ndarray, budget: float) -> Float[np.ndarray, " item"]:
    """Whole counts near the weights of a relaxation: their whole parts, then the largest remainders that fit."""
    counts = np.floor(weights + 1e-6)
    rest = weights - counts
    for item in np.argsort(-rest, kind="stable"):
        if rest[item] > 0.3 and costs @ counts + costs[item] <= budget * (1 + SLACK):
            counts[item] += 1
    return counts
