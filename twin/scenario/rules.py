"""Rules that say who answers yes, such as ``delta <= 4.7 and p > 0.05``: the leaves of a shallow tree.

A tree of at most eight leaves and three conditions is grown on a part of the patients, and pruned by its cost and
complexity to the smallest tree whose deviance on another part is within a standard error of the best one's; then it is
grown again, with that pruning, on both. Thresholds are rounded to what a person would say, and a rule is what it says:
wherever it is scored, it is with the rounded thresholds.

References:
    Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, chapter 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

MOST_LEAVES, MOST_CONDITIONS = 8, 3
LEAST_SHARE, LEAST = 0.02, 25
"""A rule is about so many of the patients that it is learned from, at least."""
CHOOSING = 0.3
"""Share of the patients on which the size of the tree is chosen."""
_COARSE = 0.02
"""Thresholds are rounded by no more than this share of the middle half's range."""

type Columns = Mapping[str, Float[np.ndarray, " patient"]]


@dataclass(frozen=True)
class Rule:
    """Conditions that all hold.

    Args:
        bounds: By parameter: above the first number, and at most the second.
        share: Share of yes among the patients that it was learned from.
    """

    bounds: Mapping[str, tuple[float, float]]
    share: float

    def holds(self, columns: Columns) -> Bool[np.ndarray, " patient"]:
        """Whether it holds for patients."""
        size = len(next(iter(columns.values())))
        found = np.ones(size, dtype=bool)
        for name, (low, high) in self.bounds.items():
            found &= (columns[name] > low) & (columns[name] <= high)
        return found

    @property
    def text(self) -> str:
        """The conditions as they are read."""
        said = []
        for name, (low, high) in self.bounds.items():
            if np.isfinite(low) and np.isfinite(high):
                said.append(f"{low:.10g} < {name} <= {high:.10g}")
            else:
                said.append(f"{name} > {low:.10g}" if np.isfinite(low) else f"{name} <= {high:.10g}")
        return " and ".join(said) or "everybody"


def learned_rules(columns: Columns, answers: Bool[np.ndarray, " patient"], seed: int) -> list[Rule]:
    """Rules that together hold for every patient, exactly one for each; a single one (everybody) if none is worth it.

    Args:
        columns: Parameters of the patients.
        answers: Who answers yes.
        seed: Of the choice of the patients by which the size is chosen.
    """
    from sklearn.tree import DecisionTreeClassifier

    names = list(columns)
    x = np.stack([columns[name] for name in names], axis=1)
    choosing = np.random.default_rng(seed).random(len(answers)) < CHOOSING

    def grown(some: np.ndarray, pruning: float = 0.0):
        least = max(LEAST, round(LEAST_SHARE * some.sum()))
        tree = DecisionTreeClassifier(
            criterion="log_loss", max_leaf_nodes=MOST_LEAVES, max_depth=MOST_CONDITIONS, min_samples_leaf=least,
            ccp_alpha=pruning, random_state=0,
        )  # fmt: skip
        return tree.fit(x[some], answers[some])

    whole = np.ones(len(answers), dtype=bool)
    if not _both(answers[~choosing]) or not _both(answers[choosing]):
        return [Rule({}, float(answers.mean()))]
    alphas = grown(~choosing).cost_complexity_pruning_path(x[~choosing], answers[~choosing]).ccp_alphas
    alphas = np.maximum(alphas, 0.0)  # rounding may leave -1e-17
    between = np.append(np.sqrt(alphas[:-1] * alphas[1:]), alphas[-1] * (1 + 1e-9))
    deviances = [_deviance(grown(~choosing, alpha), x[choosing], answers[choosing]) for alpha in between]
    best = min(deviances, key=lambda each: each.mean())
    worse = [(each - best).mean() - _standard_error(each - best) for each in deviances]
    chosen = max(index for index, value in enumerate(worse) if value <= 0)  # the last is everybody in one leaf
    tree = grown(whole, float(between[chosen])).tree_
    spread = {name: _middle_range(columns[name]) for name in names}
    return _leaves(tree, names, spread, columns, answers)


def _both(answers: np.ndarray) -> bool:
    return bool(answers.any() and not answers.all())


def _deviance(tree, x: np.ndarray, answers: np.ndarray) -> Float[np.ndarray, " patient"]:
    # Half a patient is added to each side: a leaf in which all agree would else be infinitely sure.
    counts = tree.tree_.n_node_samples[tree.apply(x)]
    share = (tree.predict_proba(x)[:, list(tree.classes_).index(True)] * counts + 0.5) / (counts + 1)
    return -2 * np.log(np.where(answers, share, 1 - share))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _middle_range(values: np.ndarray) -> float:
    first, third = np.quantile(values, [0.25, 0.75])
    return float(third - first) or float(values.std())


def _leaves(
    tree, names: Sequence[str], spread: Mapping[str, float], columns: Columns, answers: np.ndarray
) -> list[Rule]:
    found: list[Rule] = []
    waiting: list[tuple[int, dict[str, tuple[float, float]]]] = [(0, {})]
    while waiting:
        node, bounds = waiting.pop()
        if tree.children_left[node] < 0:
            rule = Rule(bounds, 0.0)
            inside = rule.holds(columns)
            found.append(Rule(bounds, float(answers[inside].mean()) if inside.any() else float(answers.mean())))
            continue
        name = names[tree.feature[node]]
        threshold = rounded(float(tree.threshold[node]), spread[name])
        low, high = bounds.get(name, (-np.inf, np.inf))
        waiting.append((tree.children_right[node], {**bounds, name: (max(low, threshold), high)}))
        waiting.append((tree.children_left[node], {**bounds, name: (low, min(high, threshold))}))
    return found


def rounded(threshold: float, spread: float) -> float:
    """The number of fewest digits, two at least, that is near enough."""
    for digits in range(2, 10):
        if abs((said := float(f"{threshold:.{digits}g}")) - threshold) <= _COARSE * spread:
            return said
    return threshold
