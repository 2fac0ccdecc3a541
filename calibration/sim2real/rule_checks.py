"""Rules of a model's card on posterior draws: the share of draws that break each, and the worst."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from calibration.sim2real.check_row import Check
from twin.plausibility import InRange, Rule

MOST_BROKEN = 0.05


def rule_variable(rule: Rule) -> str:
    """The variable that a simulation has to give for a rule."""
    return rule.formula if isinstance(rule, InRange) else rule.observable


def rule_checks(
    rules: tuple[Rule, ...],
    trajectories: Mapping[str, Float[np.ndarray, "draw time"]],
    times: Float[np.ndarray, " time"],
) -> list[Check]:
    """Each rule with the share of draws that break it; it fails if that is above 5 %.

    Args:
        rules: Rules of the card.
        trajectories: Their variables (`rule_variable`).
        times: Times of the trajectories, in the model's unit.
    """
    checks = []
    for rule in rules:
        course = trajectories[rule_variable(rule)]
        values = course[:, 0] if isinstance(rule, InRange) else times[np.argmax(course, axis=1)]
        key = f"rule.{re.sub(r'[^a-z0-9]+', '_', rule.name.lower())}"
        if not len(values):
            checks.append(Check(key, rule.name, "no draws", None, "no draw could be integrated"))
            continue
        excess = np.maximum(rule.low - values, values - rule.high)
        broken, worst = float(np.mean(excess > 0)), float(values[np.argmax(excess)])
        note = (
            f"share of {len(values)} draws outside {rule.low:g} to {rule.high:g}; median {np.median(values):.3g}, "
            f"worst {worst:.3g}. {rule.source}"
        )
        checks.append(Check(key, rule.name, f"{broken:.0%} of draws outside", broken <= MOST_BROKEN, note, broken))
    return checks
