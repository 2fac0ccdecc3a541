"""The best design if readings could be taken in fractions: its weights, and a bound on every design that one can buy.

The criterion is concave in the counts n, so for any n and any affordable m

    criterion(m) <= criterion(n) + sum_i g_i (m_i - n_i),    g the derivatives at n.

The right-hand side is largest for the m that spends the budget where g per cost is highest, which is the general
equivalence theorem [1] with costs and with limits on the counts. The bound holds at any n; at the optimum it is tight.
The optimum is approached by the multiplicative algorithm: counts are multiplied by a power of g per cost, scaled to the
budget and cut off at their limits [2, 3]. For E the criterion is replaced by Kiefer's of a high power, which bounds it.

References:
    [1] Kiefer, J. & Wolfowitz, J. (1960). The equivalence of two extremum problems. Canad. J. Math. 12, 363-366;
        Whittle, P. (1973). J. R. Statist. Soc. B 35, 123-130.
    [2] Silvey, S. D., Titterington, D. M. & Torsney, B. (1978). An algorithm for optimal designs on a finite design
        space. Communications in Statistics A 7, 1379-1389.
    [3] Yu, Y. (2010). Monotonic convergence of a general algorithm for computing optimal designs. Annals of Statistics
        38, 1593-1606 (the power 1 / (p + 1) for Kiefer's criteria).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from calibration.experimental_design.criteria import Information

POWERS = {"D": 0.0, "A": 1.0, "E": 40.0}
"""For E the smooth criterion lies above it by log(k) / 40 at most: 4 % for five parameters."""
GAP = 1e-3
"""The iteration ends where the bound is a thousandth above the criterion: a tenth of a per cent of efficiency."""
ITERATIONS = 400
FASTER = 1.2
"""The power 1 / (p + 1), with which the criterion never falls, is slow: larger ones are tried, halved when it falls."""


@dataclass(frozen=True)
class Relaxation:
    """Weights and a bound.

    Args:
        weights: How much of each purchase the best design with fractions takes, nearly.
        slopes: Derivative of the criterion in each count there.
        bound: No design within the budget has a higher criterion.
    """

    weights: Float[np.ndarray, " item"]
    slopes: Float[np.ndarray, " item"]
    bound: float


def relax(information: Information, costs: Float[np.ndarray, " item"], budget: float) -> Relaxation:
    """Approach the best design with fractions of readings.

    Args:
        information: The candidates.
        costs: Cost of each purchase.
        budget: What can be spent.
    """
    power = POWERS[information.letter]
    most = np.full(information.count, float(information.most))
    weights = _scaled(np.ones(information.count), most, costs, budget)
    value, slopes = information.smooth(weights, power)
    bound, exponent = np.inf, 1.0
    for _ in range(ITERATIONS):
        bound = min(bound, value + _most_gained(slopes, most, costs, budget) - float(slopes @ weights))
        if bound - value < GAP or np.all(weights >= most) or exponent < 1e-4:
            break
        factors = slopes / costs / np.max(slopes / costs)
        tried = _scaled(weights * factors**exponent, most, costs, budget)
        new, new_slopes = information.smooth(tried, power)
        if new > value:
            weights, value, slopes, exponent = tried, new, new_slopes, FASTER * exponent
        else:
            exponent /= 2
    return Relaxation(weights, slopes, bound)


def _scaled(
    weights: Float[np.ndarray, " item"],
    most: Float[np.ndarray, " item"],
    costs: Float[np.ndarray, " item"],
    budget: float,
) -> Float[np.ndarray, " item"]:
    """Weights times a factor, cut off at their limits, so that they cost the budget (or everything)."""
    capped = np.zeros(len(weights), dtype=bool)
    while True:
        left = budget - float(costs[capped] @ most[capped])
        free = float(costs[~capped] @ weights[~capped])
        if free <= 0 or capped.all():
            return np.where(capped, most, 0.0)
        scaled = weights * (left / free)
        above = ~capped & (scaled >= most)
        if not above.any():
            return np.where(capped, most, scaled)
        capped |= above


def _most_gained(
    gains: Float[np.ndarray, " item"],
    most: Float[np.ndarray, " item"],
    costs: Float[np.ndarray, " item"],
    budget: float,
) -> float:
    """The largest sum of gains for the budget, where fractions can be bought."""
    order = np.argsort(-gains / costs, kind="stable")
    spent = np.concatenate([[0.0], np.cumsum((costs * most)[order])])[:-1]
    bought = np.clip((budget - spent) / (costs * most)[order], 0.0, 1.0)
    return float(np.sum(bought * (gains * most)[order]))


def top_sum(gains: np.ndarray, most: int, costs: np.ndarray, budget: float) -> float:
    """`_most_gained` for one limit of all counts; negative gains are left out."""
    return _most_gained(np.maximum(gains, 0.0), np.full(len(gains), float(most)), costs, budget)
