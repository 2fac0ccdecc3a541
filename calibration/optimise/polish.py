"""After a multi-start fit: the starts that are near the best objective are brought to convergence.

A start ends early in a curved valley, whose bends keep its trust region small, and a little short of its optimum by the
tolerance. From where it ended it begins anew with a region of the first radius, without what it had learnt of the
curvature, and with a tighter tolerance, again and again until that gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from calibration.optimise.lanes import CONVERGED, HOPPED, Rules, iterate
from calibration.optimise.objective import Evaluation
from calibration.optimise.trust_region import TrustRegions, first_regions

NEAR = 2.0
"""Units of log-likelihood from the best objective within which a start is polished."""

TIGHTER = 1e-2
"""Of the tolerance of the fit."""

MOST_ROUNDS, MOST_OF_A_ROUND = 5, 300
"""Rounds, and evaluations of a start in each."""


def polish(step: Callable[[TrustRegions], TrustRegions], state: TrustRegions, rules: Rules) -> Iterator[TrustRegions]:
    """The state after every round, until no start near the best one gains the tolerance of the fit.

    Args:
        step: One step of every start that it is given, for rules with the tolerance that is `tighter`.
        state: Where the starts ended.
        rules: Those of the fit.
    """
    settled = np.zeros(len(state.value), dtype=bool)
    for _ in range(MOST_ROUNDS):
        near = np.flatnonzero(~settled & (state.value <= state.value.min() + NEAR))
        if not len(near):
            return
        before = state.rows(near)
        *_, (_, after) = iterate(step, _anew(before, rules), tighter(rules))
        settled[near] = before.value - after.value < rules.tolerance
        # Integration error may keep a start from the tighter tolerance: it has then converged as before.
        status = np.where(np.isin(before.status, (CONVERGED, HOPPED)), before.status, after.status)
        spent = before.evaluations + after.evaluations
        state = state.with_rows(near, replace(after, status=status, evaluations=spent))
        yield state


def tighter(rules: Rules) -> Rules:
    """The rules of a round."""
    return replace(
        rules, tolerance=TIGHTER * rules.tolerance, iterations=min(MOST_OF_A_ROUND, rules.iterations), retire=False
    )


def _anew(state: TrustRegions, rules: Rules) -> TrustRegions:
    """Fresh regions around the same points, of which those on a bound go on along it."""
    inside = np.all((state.theta > rules.lower) & (state.theta < rules.upper), axis=1)
    at = Evaluation(*(getattr(state, name) for name in Evaluation._fields))
    return replace(first_regions(state.theta, at), inside=inside, evaluations=np.zeros_like(state.evaluations))
