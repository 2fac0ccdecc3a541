"""A synthetic repertoire that meets antigens: chains, what they bind, their clones over time, and sequenced samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from calibration.receptors.binding import Rule
from calibration.receptors.dynamics import Response, expand, sequence
from calibration.receptors.recombination import recombine
from calibration.receptors.tables import to_airr
from twin.errors import ProblemError

STEEPNESS = 1.0
"""How fast affinity grows above the threshold, per standard deviation of the rule's score."""


@dataclass(frozen=True)
class Repertoire:
    """A repertoire with its truth.

    Args:
        clones: A row per clone: junction, junction_aa, v_call, d_call, j_call, naive cells, and per antigen its score,
            whether it is bound and the affinity.
        cells: Cells of each clone on each day.
        days: The days.
        samples: AIRR table of what was sequenced, with the truth in columns of ours.
        thresholds: Score from which an antigen is bound.
    """

    clones: pd.DataFrame
    cells: Int[np.ndarray, "day clone"]
    days: tuple[float, ...]
    samples: pd.DataFrame
    thresholds: Mapping[str, float]

    def cross_reactivity(self) -> pd.DataFrame:
        """Share of the binders of one antigen (row) that bind another one (column)."""
        names = list(self.thresholds)
        binds = self.clones[[f"binds_{name}" for name in names]].to_numpy(dtype=float)
        both = binds.T @ binds
        return pd.DataFrame(both / np.maximum(np.diag(both), 1)[:, None], index=names, columns=names)


def affinities(scores: Float[np.ndarray, " clone"], share: float) -> tuple[Float[np.ndarray, " clone"], float]:
    """Affinities of the strongest share of clones (1 at the threshold, exponential above), 0 of others; threshold."""
    threshold = float(np.quantile(scores, 1 - share, method="higher"))
    if threshold <= scores.min():
        return np.zeros(len(scores)), float("inf")
    excess = (scores - threshold) / max(float(scores.std()), 1e-12)
    return np.where(scores >= threshold, np.exp(STEEPNESS * np.minimum(excess, 5.0)), 0.0), threshold


def simulate_repertoire(
    rules: Mapping[str, Rule],
    infection: str,
    *,
    clones: int = 2000,
    share: float = 0.01,
    days: Sequence[float] = (0.0, 8.0, 40.0),
    reads: int = 5000,
    response: Response | None = None,
    model: str = "coarse",
    seed: int = 0,
) -> Repertoire:
    """Make a repertoire, let an antigen come, and sequence samples before and after.

    Args:
        rules: What binds, by antigen.
        infection: The antigen that comes.
        clones: Clones.
        share: Share of clones that bind each antigen (precursors); ties may make it more.
        days: Days of the samples.
        reads: Reads per sample.
        response: The antigen and the cells.
        model: Of recombination: "coarse" or "olga".
        seed: Seed.

    Raises:
        ProblemError: the antigen has no rule, or the share is no share.
    """
    if infection not in rules:
        raise ProblemError(f"there is no rule for {infection!r}", where="infection", expected=", ".join(rules))
    if not 0 < share < 1:
        raise ProblemError(f"share is {share}", where="simulate_repertoire", expected="a number between 0 and 1")
    table = recombine(clones, seed, model)
    rng = np.random.default_rng([seed, 1])
    # Few clones are large: a geometric law has the long tail in the least terms.
    table["naive_cells"] = rng.geometric(0.1, size=clones)
    thresholds = {}
    for name, rule in rules.items():
        scores = rule.score(list(table["junction_aa"]))
        affinity, thresholds[name] = affinities(scores, share)
        table[f"score_{name}"], table[f"affinity_{name}"], table[f"binds_{name}"] = scores, affinity, affinity > 0
    naive = table["naive_cells"].to_numpy()
    cells = expand(table[f"affinity_{infection}"].to_numpy(), naive, days, response, seed=seed + 1)
    seen = sequence(cells, days, reads, seed=seed + 2)
    samples = []
    for day, part in seen.groupby("day", sort=False):
        chains = table.iloc[part["clone"]].reset_index(drop=True)
        chains["clone_id"], chains["duplicate_count"] = part["clone"].to_numpy(), part["reads"].to_numpy()
        chains["true_cells"] = part["cells"].to_numpy()
        samples.append(to_airr(chains, f"day{day:g}"))
    return Repertoire(table, cells, tuple(days), pd.concat(samples, ignore_index=True), thresholds)
