"""Posterior predictive tests and biological checks.

Could this twin have made these data, and is what it does possible biology?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import kstest

from calibration.sim2real.assay import AssayLimits, as_limits
from calibration.sim2real.scale import (
    SERIES,
    limits_on_score_scale,
    require_columns,
    to_score_scale,
)
from twin.errors import ProblemError

# (values [..., reading], times [reading], limit [reading]) -> [...]
Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        "max": lambda y, t, limit: y.max(axis=-1),
        "min": lambda y, t, limit: y.min(axis=-1),
        "time of max": lambda y, t, limit: t[np.argmax(y, axis=-1)],
        "mean": lambda y, t, limit: y.mean(axis=-1),
        "last value": lambda y, t, limit: y[..., -1],
        "sd": lambda y, t, limit: y.std(axis=-1),
        "fraction censored": lambda y, t, limit: np.mean(y <= limit, axis=-1),
    }
)


def predictive_tests(
    rows: pd.DataFrame,
    draws: Float[np.ndarray, "draw reading"],
    *,
    scale: Mapping[str, str] | None = None,
    limits: AssayLimits | Float[np.ndarray, "reading"] | None = None,
    statistics: Mapping[str, Statistic] | None = None,
) -> pd.DataFrame:
    """Posterior predictive tests of named statistics, per experiment, subject and observable.

    The two-sided p-value is min(1, 2 min(P(T_rep >= T_obs), P(T_rep <= T_obs))) over the draws. It is not
    uniform under a true model that was fitted to the same rows (it gathers around the middle), so small
    values speak against the twin and large ones say little (Gelman et al., Bayesian Data Analysis, 3rd ed.
    2013, section 6.3).

    Args:
        rows: Rows of a measurements table.
        draws: Replicated readings of these rows, noise included, natural scale.
        scale: Score scale by observable: the statistics are taken there.
        limits: Limits, natural scale; both sides are clamped there. Default those of `rows`.
        statistics: Other statistics by name: functions (values [..., reading],
        times, limits) to [...].

    Returns:
        Columns experiment, subject, observable, statistic, readings, observed, replicated (median), lower_90,
        upper_90, p_value. "fraction censored" (below detection) is left out where there is no detection limit.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: Draws of the wrong shape or not finite.
    """
    require_columns(rows)
    limits = as_limits(limits, rows)
    limit = limits_on_score_scale(rows, scale, limits).lower
    observed = to_score_scale(rows["value"].to_numpy(dtype=float), rows, scale, limits)
    replicated = to_score_scale(np.atleast_2d(draws), rows, scale, limits, what="replicated readings")
    ordered = rows.reset_index(drop=True).sort_values("time", kind="stable")
    records = []
    for _, group in ordered.groupby([*SERIES, "observable"], sort=True):
        keys = tuple(group[column].iloc[0] for column in (*SERIES, "observable"))
        where, times = group.index.to_numpy(), group["time"].to_numpy(dtype=float)
        for name, statistic in (STATISTICS if statistics is None else statistics).items():
            if name == "fraction censored" and not np.any(np.isfinite(limit[where])):
                continue
            seen = float(statistic(observed[where], times, limit[where]))
            made = np.asarray(statistic(replicated[:, where], times, limit[where]), dtype=float)
            lower, middle, upper = np.quantile(made, [0.05, 0.5, 0.95])
            p_value = min(1.0, 2.0 * min(float(np.mean(made >= seen)), float(np.mean(made <= seen))))
            records.append((*keys, name, len(where), seen, middle, lower, upper, p_value))
    columns = [
        *SERIES,
        "observable",
        "statistic",
        "readings",
        "observed",
        "replicated",
        "lower_90",
        "upper_90",
    ]
    return pd.DataFrame.from_records(records, columns=[*columns, "p_value"])


def positivity(trajectories: Mapping[str, Float[np.ndarray, "draw time"]], tolerance: float = 1e-6) -> pd.DataFrame:
    """Whether states that cannot be negative stay so, up to solver error.

    Args:
        trajectories: Trajectories by state.
        tolerance: A dip of less than this share of the state's largest magnitude passes as solver error.

    Returns:
        Columns state, lowest, draws_negative (share of draws with a dip beyond tolerance), passed. NaN fails.
    """
    records = []
    for name, values in trajectories.items():
        values = np.atleast_2d(np.asarray(values, dtype=float))
        allowed = -tolerance * float(np.max(np.abs(values), initial=0.0, where=np.isfinite(values)))
        bad = ~np.all(values >= allowed, axis=-1)
        records.append((name, float(np.min(values)), float(np.mean(bad)), not bad.any()))
    return pd.DataFrame.from_records(records, columns=["state", "lowest", "draws_negative", "passed"])


def conservation(totals: Mapping[str, Float[np.ndarray, "draw time"]], tolerance: float = 1e-5) -> pd.DataFrame:
    """Whether conserved totals stay constant in time.

    Args:
        totals: Trajectories of each total that the mechanism conserves.
        tolerance: Largest drift allowed, relative to the largest magnitude of the total in that draw.

    Returns:
        Columns total, drift (largest relative drift over draws), passed. NaN fails.
    """
    records = []
    for name, values in totals.items():
        values = np.atleast_2d(np.asarray(values, dtype=float))
        size = np.max(np.abs(values), axis=-1)
        drift = np.max(np.abs(values - values[:, :1]), axis=-1) / np.where(size > 0.0, size, 1.0)
        worst = float(np.max(drift))
        records.append((name, worst, bool(worst <= tolerance)))
    return pd.DataFrame.from_records(records, columns=["total", "drift", "passed"])


def published_ranges(
    posterior: Mapping[str, Float[np.ndarray, "draw"]],
    published: Mapping[str, float | tuple[float, float]],
) -> pd.DataFrame:
    """Compare posterior parameters with published values or ranges.

    Args:
        posterior: Draws by parameter, linear scale; arrays of any shape are flattened.
        published: A value, or a range (low, high), by parameter, same unit. Parameters without one are
            left out.

    Returns:
        Columns parameter, median, lower_90, upper_90, published_low, published_high (equal for a value),
        inside (the published value lies in the 90 % interval; for a range: the two overlap), ratio (median to
        the published value, or to the range's geometric middle if it is positive, else its middle).

    Raises:
        ProblemError: A published range upside down, or draws that are not finite.
    """
    columns = [
        "parameter",
        "median",
        "lower_90",
        "upper_90",
        "published_low",
        "published_high",
        "inside",
        "ratio",
    ]
    records = []
    for name, draws in posterior.items():
        if name not in published:
            continue
        value = published[name]
        low, high = (float(value[0]), float(value[1])) if isinstance(value, tuple) else (float(value),) * 2
        if not low <= high:
            raise ProblemError(f"the published range {low:g} to {high:g} is upside down", where=f"parameter {name!r}")
        flat = np.asarray(draws, dtype=float).ravel()
        if not np.all(np.isfinite(flat)):
            raise ProblemError("the posterior draws are not finite", where=f"parameter {name!r}")
        lower, median, upper = (float(q) for q in np.quantile(flat, [0.05, 0.5, 0.95]))
        middle = np.sqrt(low * high) if low > 0.0 else (low + high) / 2.0
        ratio = median / middle if middle else float("nan")
        records.append((name, median, lower, upper, low, high, lower <= high and low <= upper, float(ratio)))
    return pd.DataFrame.from_records(records, columns=columns)


@dataclass(frozen=True)
class Uniformity:
    """A test of PIT values for uniformity.

    Args:
        statistic: Kolmogorov-Smirnov distance from the uniform law.
        p_value: Its p-value, as if the readings were independent.
        readings: Number of PIT values.
    """

    statistic: float
    p_value: float
    readings: int


def pit_uniformity(pit: Float[np.ndarray, "reading"]) -> Uniformity:
    """Kolmogorov-Smirnov test of PIT values (SciPy).

    Readings of one series share the error of their trajectory, so the p-value is smaller than it
    ought to be; with few series read it as a description.

    Raises:
        ProblemError: No values, or values outside [0, 1].
    """
    pit = np.asarray(pit, dtype=float)
    if not pit.size or not np.all((pit >= 0.0) & (pit <= 1.0)):
        raise ProblemError("the PIT values are none or outside [0, 1]", expected="one number in [0, 1] per reading")
    result = kstest(pit, "uniform")
    return Uniformity(float(result.statistic), float(result.pvalue), int(pit.size))
