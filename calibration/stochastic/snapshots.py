"""Numbers of transcripts in cells that are looked at once: the law of the two-state gene at steady state.

A gene switches on and off at random and is transcribed while on. At steady state the number of transcripts is Poisson
with a mean ``k_tx / gamma * B``, where B, the share of the recent past in which the gene was on, is distributed as
Beta(k_on / gamma, k_off / gamma) (Peccoud & Ycart 1995). Only ratios of rates to gamma show in such numbers.

References:
    Peccoud & Ycart (1995), doi:10.1006/tpbi.1995.1027.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.special import gammaln, logsumexp, roots_jacobi

from twin.errors import ProblemError

NODES = 120
"""Nodes of the Gauss-Jacobi rule: enough for means of some hundred transcripts (tested against the generator)."""


def two_state_log_pmf(
    counts: ArrayLike, k_on: float, k_off: float, k_tx: float, gamma: float
) -> Float[np.ndarray, " cell"]:
    """Log probability of numbers of transcripts per cell.

    Args:
        counts: Whole numbers.
        k_on: Rate of switching on.
        k_off: Rate of switching off.
        k_tx: Transcripts per time of a gene that is on.
        gamma: Rate at which a transcript is lost; all rates in one unit.

    Raises:
        ProblemError: a rate that is not positive, or counts that are no whole numbers.
    """
    rates = {"k_on": k_on, "k_off": k_off, "k_tx": k_tx, "gamma": gamma}
    for name, rate in rates.items():
        if not (np.isfinite(rate) and rate > 0):
            raise ProblemError(f"{name} is {rate}", where="two-state gene", expected="a positive rate")
    n = np.asarray(counts, dtype=float)
    if not (np.all(n >= 0) and np.all(n == np.round(n))):
        raise ProblemError(
            "there are counts that are no whole numbers", where="two-state gene", expected="0, 1, 2, ..."
        )
    nodes, weights = roots_jacobi(NODES, k_off / gamma - 1.0, k_on / gamma - 1.0)
    means = k_tx / gamma * (1.0 + nodes) / 2.0
    with np.errstate(divide="ignore"):
        share = np.log(weights) - np.log(weights.sum())
    distinct, back = np.unique(n, return_inverse=True)
    each = distinct[:, None] * np.log(means) - means - gammaln(distinct + 1)[:, None]
    return logsumexp(each + share, axis=1)[back]
