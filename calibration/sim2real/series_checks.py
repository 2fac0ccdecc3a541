"""Whole series as vectors: observed ones against replicated ones, each test with its power at this number of series."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import scoringrules
from jaxtyping import Float

from calibration.sim2real.assay import AssayLimits
from calibration.sim2real.check_row import Check
from calibration.sim2real.checks import STATISTICS
from calibration.sim2real.scale import SERIES, limits_on_score_scale, to_score_scale
from calibration.sim2real.two_sample import TESTS

LEVEL = 0.05
LEAST_POWER = 0.5
"""Below this share of found shifts a test that finds nothing says nothing."""
MOST_SERIES, REPLICATES, SIMULATIONS = 60, 120, 20
ENERGY_DRAWS, ENERGY_REPLICATES = 150, 40


class Vectors(NamedTuple):
    """Series as vectors on the score scale, features scaled by the replicates' mean and standard deviation.

    Args:
        observed: One row per series.
        replicated: Per posterior draw, one row per series.
        kind: What the features are, in words.
    """

    observed: Float[np.ndarray, "series feature"]
    replicated: Float[np.ndarray, "draw series feature"]
    kind: str


def series_checks(
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    *,
    scale: Mapping[str, str],
    limits: AssayLimits | Float[np.ndarray, " reading"],
    seed: int = 0,
) -> list[Check]:
    """MMD, classifier and sliced Wasserstein tests of observed series against replicates of the twin.

    Replicated series of different posterior draws are one sample, the observed series the other. The replicates were
    fitted to these series, so the tests are cautious. Power is measured on the twin itself: series replicated with one
    draw, one feature of them shifted by one standard deviation of the replicates, against replicates of other draws.

    Args:
        rows: Rows of a measurements table.
        draws: Replicated readings of these rows, noise included, natural scale.
        scale: Score scale by observable.
        limits: Limits of each row, or detection limits alone.
        seed: Seed of draws, permutations and simulations.
    """
    made = series_vectors(rows, draws, scale, limits)
    if len(made.observed) < 2 or not made.observed.shape[1]:
        why = "one series" if len(made.observed) < 2 else "series that share no observable"
        note = f"{why}: nothing to compare"
        return [Check(key, name, "no power", None, note, powerless=True) for key, (name, _) in TESTS.items()]
    return [_two_sample_check(key, made, seed) for key in TESTS]


def _two_sample_check(key: str, made: Vectors, seed: int) -> Check:
    name, test = TESTS[key]
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    chosen = rng.permutation(len(made.observed))[:MOST_SERIES]
    observed, replicated = made.observed[chosen], made.replicated[:, chosen]
    draws, series, features = replicated.shape
    pool = max(REPLICATES, series)

    def against_others(x: np.ndarray, without: int | None = None) -> float:
        others = np.delete(np.arange(draws), [] if without is None else [without])
        y = replicated[rng.choice(others, pool), np.arange(pool) % series]
        return test(x, y, rng).p_value

    p_value = against_others(observed)
    found = 0
    for _ in range(SIMULATIONS):
        one = int(rng.integers(draws))
        shifted = replicated[one].copy()
        shifted[:, rng.integers(features)] += 1.0
        found += against_others(shifted, one) < LEVEL
    power = found / SIMULATIONS
    note = (
        f"{series} series as {made.kind} against {pool} replicated ones; power {power:.0%} (share of {SIMULATIONS} "
        "simulated twins with one feature off by one standard deviation that it finds at 0.05)"
    )
    return powered(key, name, p_value, power, note)


def powered(key: str, name: str, p_value: float, power: float, note: str) -> Check:
    """A test's outcome: a rejection counts always, a pass only where the test could have failed."""
    if p_value < LEVEL:
        return Check(key, name, f"p = {p_value:.3g}", False, note, p_value)
    if power < LEAST_POWER:
        return Check(key, name, f"no power (p = {p_value:.3g})", None, note, p_value, powerless=True)
    return Check(key, name, f"p = {p_value:.3g}", True, note, p_value)


def series_vectors(
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    scale: Mapping[str, str],
    limits: AssayLimits | Float[np.ndarray, " reading"],
) -> Vectors:
    """Readings on the grid that all series share; where grids differ, the named statistics of each observable.

    Features that do not vary among replicates are left out.
    """
    limit = limits_on_score_scale(rows, scale, limits).lower
    values = to_score_scale(rows["value"].to_numpy(dtype=float), rows, scale, limits)
    replicated = to_score_scale(draws, rows, scale, limits, what="replicated readings")
    both = np.concatenate([values[None], replicated])
    ordered = rows.reset_index(drop=True).sort_values(["observable", "time"], kind="stable")
    groups = [part for _, part in ordered.groupby([*SERIES], sort=False)]
    grids = {tuple(zip(g["observable"], g["time"], strict=True)) for g in groups}
    if len(grids) == 1:
        features, kind = [both[:, g.index] for g in groups], "readings on their shared times"
    else:
        shared = set.intersection(*(set(g["observable"]) for g in groups))
        kind = "summaries (their times differ)"
        features = [_summaries(both, g[g["observable"].isin(shared)], limit) for g in groups]
    joined = np.stack(features, axis=1)
    spread = joined[1:].reshape(-1, joined.shape[-1]).std(axis=0)
    varied = spread > 1e-12
    centre = joined[1:].reshape(-1, joined.shape[-1]).mean(axis=0)
    joined = (joined[..., varied] - centre[varied]) / spread[varied]
    return Vectors(joined[0], joined[1:], kind)


def _summaries(both: np.ndarray, group: pd.DataFrame, limit: np.ndarray) -> np.ndarray:
    found = []
    for _, part in group.groupby("observable", sort=True):
        where, times = part.index.to_numpy(), part["time"].to_numpy(dtype=float)
        found += [statistic(both[:, where], times, limit[where]) for statistic in STATISTICS.values()]
    return np.stack(found, axis=1) if found else np.empty((len(both), 0))


def energy_check(
    key: str,
    name: str,
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    *,
    scale: Mapping[str, str],
    limits: AssayLimits | Float[np.ndarray, " reading"],
    seed: int = 0,
) -> Check:
    """Mean energy score of whole series, beside that of replicates of the twin scored in the same way.

    The value is the score (lower is better), readings scaled by the standard deviation of their predictive. The p-value
    is the share of replicated data sets with a score at or above the one seen; power that for replicates with one
    reading of each series shifted by one such standard deviation.

    References:
        Gneiting, Raftery 2007, doi:10.1198/016214506000001437, equation 22.
    """
    values = to_score_scale(rows["value"].to_numpy(dtype=float), rows, scale, limits)
    replicated = to_score_scale(draws, rows, scale, limits, what="predictive draws")
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    order = rng.permutation(len(replicated))
    tests, forecast = replicated[order[:ENERGY_REPLICATES]], replicated[order[ENERGY_REPLICATES:]]
    forecast = forecast[:ENERGY_DRAWS]
    if len(forecast) < 2:
        return Check(key, name, "no power", None, f"{len(replicated)} predictive draws are too few", powerless=True)
    spread = replicated.std(axis=0)
    usable = spread > 1e-12
    scaled = [np.where(usable, each, 0.0) / np.where(usable, spread, 1.0) for each in (values, tests, forecast)]
    totals = np.zeros((3, len(tests)))
    groups = list(rows.reset_index(drop=True).groupby([*SERIES], sort=False).indices.values())
    for where in groups:
        shifted = scaled[1][:, where].copy()
        shifted[np.arange(len(tests)), rng.integers(len(where), size=len(tests))] += 1.0
        cases = np.concatenate([scaled[0][None, where], scaled[1][:, where], shifted])
        members = scaled[2][:, where]
        ensemble = np.broadcast_to(members, (len(cases), *members.shape))
        score = np.asarray(scoringrules.es_ensemble(cases, ensemble, backend="numpy")) / len(groups)
        totals += np.stack([np.repeat(score[0], len(tests)), score[1 : len(tests) + 1], score[len(tests) + 1 :]])
    seen, null, moved = totals[0, 0], totals[1], totals[2]
    p_value = float((1 + np.sum(null >= seen)) / (1 + len(null)))
    power = float(np.mean(moved > np.quantile(null, 1 - LEVEL)))
    note = (
        f"p = {p_value:.3g} among replicates of {len(groups)} series; power {power:.0%} for one reading of each off by "
        "one predictive standard deviation; lower is better"
    )
    # 40 replicates cannot give a p-value below 1/41, so the level here is 0.05.
    passed = False if p_value < LEVEL else True if power >= LEAST_POWER else None
    result = f"{seen:.3g}" + ("" if passed is not None else " (no power)")
    return Check(key, name, result, passed, note, float(seen), powerless=passed is None)
