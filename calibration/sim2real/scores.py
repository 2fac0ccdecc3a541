"""Scores of each held-out reading: CRPS, interval score, coverage, probability integral transform, ELPD.

Censoring. Below the detection limit L the assay says only "below L". Forecast and reading are therefore
both mapped through v(x) = max(x, L) before scoring, for every reading of an observable that has a limit,
censored or not. The CRPS of the mapped forecast is the threshold-weighted CRPS with chaining function v and
weight 1{x > L} (Allen, Ginsbourger, Ziegel 2023, doi:10.1137/22M1532184, section 3; Gneiting, Ranjan 2011,
doi:10.1198/jbes.2010.08110). It is proper: v does not depend on the outcome, and the score is the ordinary
CRPS of the law of v(Y), which the true law of Y minimises in expectation. The same argument holds for the
interval score, for an upper limit U with v(x) = min(x, U), and for readings that are only known to lie in an interval,
with v(x) its middle everywhere in it (`calibration.sim2real.assay`).

A forecast with a point mass at L has no exact central 90 % interval, so the usual indicator "is the reading
in the interval" would exceed its nominal rate even for a perfect forecaster. Coverage is therefore the
probability that the randomised PIT lies in the central part: 0 or 1 for nearly all readings, a fraction for a
reading that is tied with draws; its expectation under a perfect forecaster is the nominal rate exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import scoringrules
from jaxtyping import Float
from scipy.special import logsumexp

from calibration.sim2real.assay import AssayLimits, as_limits
from calibration.sim2real.scale import (
    SERIES,
    limits_on_score_scale,
    require_columns,
    scale_of,
    to_score_scale,
)
from twin.errors import ProblemError

LEVELS = (0.5, 0.9)
ENERGY_DRAWS = 500
KEPT = ("experiment", "subject", "observable", "time", "value", "censoring")


def score_readings(
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    *,
    scale: Mapping[str, str] | None = None,
    limits: AssayLimits | Float[np.ndarray, "reading"] | None = None,
    log_likelihood: Float[np.ndarray, "draw reading"] | None = None,
    on_score_scale: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Score predictive draws against the readings, one row out per row in.

    Args:
        rows: Rows of a measurements table to be scored.
        draws: Predictive draws of each reading, measurement noise included, natural scale.
        scale: Score scale by observable, "lin" (default) or "log10".
        limits: Limits of each row, natural scale, or detection limits alone, -inf for none. Default: from the
            censored rows among `rows`; better `assay_limits(full_table)[test]`, which also knows limits met in
            training only.
        log_likelihood: Log density (log probability where censored) of each reading under each draw.
        on_score_scale: The draws are on the score scale already (baselines predict there).
        seed: Seed of the randomised PIT; one uniform number per reading is consumed.

    Returns:
        A table with the index of `rows`, their identifying columns, and: ``scale``; ``limit`` (of detection) and
        ``reading`` (clamped) on the score scale; ``median``, ``lower_50``, ``upper_50``, ``lower_90``, ``upper_90`` of
        the clamped predictive; ``crps``; ``interval_score_50``, ``interval_score_90``; ``coverage_50``,
        ``coverage_90`` (see the module's docstring); ``pit``; ``elpd`` (NaN without `log_likelihood`).

    Raises:
        MeasurementError: `rows` is not a measurements table.
        ProblemError: Wrong shapes, fewer than two draws, values that are not finite or not positive
            under log10.

    References:
        Gneiting, Raftery 2007, doi:10.1198/016214506000001437, equations 21 (CRPS) and 43 (interval score).
    """
    require_columns(rows)
    draws = np.asarray(draws, dtype=float)
    if draws.ndim != 2 or draws.shape[1] != len(rows) or len(draws) < 2:
        raise ProblemError(
            f"the predictive draws have shape {draws.shape}",
            expected=f"(draws, {len(rows)}) with two draws or more",
        )
    limits = as_limits(limits, rows)
    on_scale = limits_on_score_scale(rows, scale, limits)
    reading = to_score_scale(rows["value"].to_numpy(dtype=float), rows, scale, limits)
    if on_score_scale:
        predicted = on_scale.map(_finite(draws), rows["observable"].to_numpy())
    else:
        predicted = to_score_scale(draws, rows, scale, limits, what="predictive draws")
    predicted = np.sort(predicted, axis=0)

    scores = rows.loc[:, list(KEPT)].copy()
    scores["scale"] = scale_of(rows, scale)
    scores["limit"], scores["reading"] = on_scale.lower, reading
    scores["median"] = np.median(predicted, axis=0)
    # The PWM estimator equals the "fair" (unbiased) one and needs no draw-by-draw table. Unbiased, because
    # the twin and the baselines come with different numbers of draws and must not be judged by that.
    scores["crps"] = scoringrules.crps_ensemble(
        reading, predicted.T, estimator="pwm", sorted_ensemble=True, backend="numpy"
    )
    low_pit, high_pit = pit_bounds(predicted, reading)
    for level in LEVELS:
        tail = (1.0 - level) / 2.0
        lower, upper = np.quantile(predicted, [tail, 1.0 - tail], axis=0)
        name = f"{round(100 * level)}"
        scores[f"lower_{name}"], scores[f"upper_{name}"] = lower, upper
        scores[f"interval_score_{name}"] = scoringrules.interval_score(
            reading, lower, upper, 1.0 - level, backend="numpy"
        )
        inside = np.minimum(high_pit, 1.0 - tail) - np.maximum(low_pit, tail)
        scores[f"coverage_{name}"] = np.clip(inside, 0.0, None) / (high_pit - low_pit)
    uniform = np.random.default_rng(seed).uniform(size=len(rows))
    scores["pit"] = low_pit + uniform * (high_pit - low_pit)
    scores["elpd"] = np.nan if log_likelihood is None else elpd(log_likelihood, len(rows))
    return scores


def energy_scores(
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    *,
    scale: Mapping[str, str] | None = None,
    limits: AssayLimits | Float[np.ndarray, "reading"] | None = None,
    most: int = ENERGY_DRAWS,
) -> Float[np.ndarray, "reading"]:
    """Energy score of each series and observable: its readings as one vector, so that it counts how they hang together.

        ES = mean |X - y| - mean |X - X'| / 2,

    over draws X and pairs of different draws, | | the Euclidean norm on the score scale, censored coordinates clamped
    as for the CRPS, which it equals where there is one reading.

    Args:
        rows: Rows of a measurements table to be scored.
        draws: Joint predictive draws, measurement noise included, natural scale.
        scale: Score scale by observable, "lin" (default) or "log10".
        limits: Limits of each row, natural scale, or detection limits alone; default as in `score_readings`.
        most: Draws used, evenly spread over those given: the pairs need their square in memory.

    Returns:
        For each row the score of the vector it belongs to; the same for all rows of a vector.

    References:
        Gneiting, Raftery 2007, doi:10.1198/016214506000001437, equation 22.
    """
    limits = as_limits(limits, rows)
    draws = np.asarray(draws, dtype=float)
    chosen = np.unique(np.linspace(0, len(draws) - 1, min(most, len(draws))).round().astype(int))
    reading = to_score_scale(rows["value"].to_numpy(dtype=float), rows, scale, limits)
    predicted = to_score_scale(draws[chosen], rows, scale, limits, what="predictive draws")
    found = np.full(len(rows), np.nan)
    for where in rows.reset_index(drop=True).groupby([*SERIES, "observable"], sort=False).indices.values():
        found[where] = scoringrules.es_ensemble(reading[where], predicted[:, where], estimator="fair", backend="numpy")
    return found


def pit_bounds(
    draws: Float[np.ndarray, "draw reading"], reading: Float[np.ndarray, "reading"]
) -> tuple[Float[np.ndarray, "reading"], Float[np.ndarray, "reading"]]:
    """Bounds between which the randomised PIT of each reading is uniform.

    With b draws below the reading, e equal to it and m in all, the bounds are b / (m + 1) and
    (b + e + 1) / (m + 1). If the reading and the draws come from one law, its rank among them is uniform
    (ties broken at random), so a uniform draw between the bounds is exactly uniform on (0, 1), for any m and
    with point masses.
    """
    draws, reading = np.asarray(draws), np.asarray(reading)
    below = np.sum(draws < reading, axis=0)
    equal = np.sum(draws == reading, axis=0)
    return below / (len(draws) + 1.0), (below + equal + 1.0) / (len(draws) + 1.0)


def elpd(log_likelihood: Float[np.ndarray, "draw reading"], readings: int) -> Float[np.ndarray, "reading"]:
    """Log predictive density of each reading: the log of the mean likelihood over draws.

    Raises:
        ProblemError: A wrong shape, or NaN or +inf among the values (-inf is a legal log probability).
    """
    values = np.asarray(log_likelihood, dtype=float)
    if values.ndim != 2 or values.shape[1] != readings or not len(values):
        raise ProblemError(
            f"the log-likelihood has shape {values.shape}",
            expected=f"(draws, {readings}), one column per reading",
        )
    if np.any(np.isnan(values) | (values == np.inf)):
        raise ProblemError("the log-likelihood holds NaN or +inf", fix="count and drop failed simulations first")
    return np.asarray(logsumexp(values, axis=0)) - np.log(len(values))


def summarise_scores(scores: pd.DataFrame, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Means of the scores, with the number of readings; the ELPD is summed, as is usual.

    Args:
        scores: Result of `score_readings`.
        by: Columns to group by, for instance "observable"; default all readings in one row.
    """
    means = ["crps", *(f"{kind}_{level}" for kind in ("interval_score", "coverage") for level in (50, 90))]
    keys = [by] if isinstance(by, str) else list(by or ())
    grouped = scores.assign(_=0).groupby(keys or "_", sort=True)
    table = pd.DataFrame(grouped[means].mean())
    table.insert(0, "readings", grouped.size())
    table["censored"] = grouped["censoring"].agg(lambda column: int((column != "").sum()))
    table["elpd"] = grouped["elpd"].sum(min_count=1)
    return table.reset_index(drop=not keys)


def _finite(draws: Float[np.ndarray, "draw reading"]) -> Float[np.ndarray, "draw reading"]:
    """The draws, refused if any is not finite."""
    if not np.all(np.isfinite(draws)):
        raise ProblemError(f"{int(np.sum(~np.isfinite(draws)))} of the predictive draws are not finite")
    return draws
