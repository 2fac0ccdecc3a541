"""The noise floor: the score that measurement noise alone would cost even a perfect twin.

For normal noise, X and X' two independent readings of the same truth, the expected CRPS of the true law F is

    E CRPS(F, X') = E|X - X'| - E|X - X'| / 2 = E|X - X'| / 2,      X - X' ~ N(0, 2 sigma^2),
                  = sigma sqrt(2) sqrt(2 / pi) / 2 = sigma / sqrt(pi).

With a detection limit L both are clamped at L. E CRPS = integral over x of F (1 - F), which then runs from L:

    E CRPS = sigma G((L - mu) / sigma),   G(a) = integral from a to infinity of Phi (1 - Phi).

By parts, with (z Phi (1 - Phi))' = Phi (1 - Phi) + z phi (1 - 2 Phi) and

    int z phi = -phi,   int z phi Phi = -phi Phi + int phi^2,
    integral from a to infinity of phi^2 = (1 - Phi(sqrt(2) a)) / (2 sqrt(pi)),

    G(a) = -a Phi(a) (1 - Phi(a)) - phi(a) (1 - 2 Phi(a)) + (1 - Phi(sqrt(2) a)) / sqrt(pi),

which tends to 1 / sqrt(pi) as a goes to minus infinity: no limit. An upper limit U takes sigma G((U - mu) / sigma) off.
An interval from l to u is left out of the integral, too; in its place, with everything in it put at m, stand

    (m - l) F(l) (1 - F(l)) + (u - m) F(u) (1 - F(u)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import norm

from calibration.noise import NoiseModel
from calibration.sim2real.assay import AssayLimits, as_limits
from calibration.sim2real.scale import (
    SERIES,
    limits_on_score_scale,
    require_columns,
    scale_of,
    to_score_scale,
)
from twin.errors import ProblemError

MIN_REPLICATE_DF = 3  # below this a replicate variance says too little to be preferred


@dataclass(frozen=True, eq=False)
class Floor:
    """The noise of each reading and the score it costs.

    Args:
        sigma: Noise standard deviation of each row of the table, score scale.
        score: Expected CRPS of the noise alone, each row, score scale.
        sources: Where the noise of each observable comes from, in words.
    """

    sigma: Float[np.ndarray, "reading"]
    score: Float[np.ndarray, "reading"]
    sources: dict[str, str]


def noise_floor(
    table: pd.DataFrame,
    *,
    scale: Mapping[str, str] | None = None,
    declared: Mapping[str, float] | None = None,
    posterior: Mapping[str, float] | None = None,
    families: Mapping[str, str] | None = None,
    limits: AssayLimits | Float[np.ndarray, "reading"] | None = None,
    centre: Float[np.ndarray, "reading"] | None = None,
) -> Floor:
    """Noise floor of every row of the full table.

    For each observable, the first that exists: the `declared` standard deviation; the table's ``noise``
    column; an estimate from the data without any model (replicates if there are enough, else differences of
    neighbours in time), or the `posterior` noise if that is smaller. The smaller of the last two is taken
    since each of them swallows misfit: differences see curvature between sparse times as noise, a posterior
    sees the model's own error as noise. A floor that is too high would flatter the twin.

    Args:
        table: Measurements, all rows (training and test): noise belongs to the assay, not to the model.
        scale: Score scale by observable, "lin" (default) or "log10".
        declared: Noise standard deviation by observable, score scale.
        posterior: Posterior noise standard deviation by observable, score scale.
        families: Noise family by observable; with "log_normal" and "log_laplace" the ``noise`` column is the standard
            deviation of the natural logarithm, otherwise it is in the observable's unit.
        limits: Limits of each row, natural scale; default those of the table.
        centre: The noise-free value of each row, score scale, where known; default the reading itself, which
            puts the truth of a censored reading at the limit, or at the middle of its interval.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: A noise that is not positive and finite, or no way to find it for an observable.
    """
    require_columns(table)
    limits = as_limits(limits, table)
    reading = to_score_scale(table["value"].to_numpy(dtype=float), table, scale, limits)
    sigma, sources = np.full(len(table), np.nan), {}
    for observable in dict.fromkeys(str(name) for name in table["observable"]):
        rows = (table["observable"].astype(str) == observable).to_numpy()
        sigma[rows], sources[observable] = _sigma(
            table.loc[rows],
            reading[rows],
            observable,
            logarithmic=scale_of(table.loc[rows], scale)[0] == "log10",
            declared=(declared or {}).get(observable),
            posterior=(posterior or {}).get(observable),
            family=(families or {}).get(observable, "normal"),
        )
    centre = reading if centre is None else np.asarray(centre, dtype=float)
    score = expected_crps(sigma, centre, limits_on_score_scale(table, scale, limits), table["observable"].to_numpy())
    return Floor(sigma=sigma, score=score, sources=sources)


def posterior_sigma(
    noise_models: Mapping[str, NoiseModel],
    rows_of: Mapping[str, Int[np.ndarray, " row"]],
    value: Float[np.ndarray, "reading"],
    scale: Float[np.ndarray, "reading"],
    score_scale: Mapping[str, str],
) -> dict[str, float]:
    """Noise standard deviation of each observable on its score scale, as a posterior has it (its typical reading).

    Args:
        noise_models: Noise model by observable.
        rows_of: Readings of each observable.
        value: Typical noise-free prediction of each reading, natural scale.
        scale: Typical scale of its noise model.
        score_scale: "lin" (default) or "log10" by observable.
    """
    found = {}
    for name, rows in rows_of.items():
        noise, on_log = noise_models[name], score_scale.get(name, "lin") == "log10"
        each = scale[rows] * (noise.spread if np.isfinite(noise.spread) else 1.0)
        size = np.abs(value[rows])
        if noise.positive:
            each = each / np.log(10) if on_log else each * size
        elif on_log:
            each = each / (size * np.log(10))
        found[name] = float(np.median(each))
    return found


def expected_crps(
    sigma: Float[np.ndarray, "reading"],
    centre: Float[np.ndarray, "reading"],
    limits: AssayLimits | Float[np.ndarray, "reading"],
    observable: Float[np.ndarray, "reading"] | None = None,
) -> Float[np.ndarray, "reading"]:
    """Expected CRPS of normal noise around `centre`, within `limits` on the same scale (derivation above).

    Args:
        sigma: Standard deviations.
        centre: Noise-free values.
        limits: Limits, or detection limits alone.
        observable: Observable of each, needed where `limits` has intervals.
    """
    sigma, centre = np.asarray(sigma, dtype=float), np.asarray(centre, dtype=float)
    if not isinstance(limits, AssayLimits):
        limits = AssayLimits(np.asarray(limits, dtype=float), np.full(sigma.shape, np.inf))
    total = _beyond(limits.lower, centre, sigma) - _beyond(limits.upper, centre, sigma)
    for name, bins in limits.bins.items():
        rows = np.flatnonzero(observable == name)
        within = tuple(part[rows] for part in (limits.lower, limits.upper, centre, sigma))
        for low, high, middle in bins:
            total[rows] += _of_interval(low, high, middle, *within)
    # Beyond the limits the terms cancel to rounding error, possibly below zero.
    return np.maximum(total, 0.0)


def _beyond(end: np.ndarray, centre: np.ndarray, sigma: np.ndarray) -> Float[np.ndarray, "reading"]:
    """Integral of F (1 - F) from `end` to infinity."""
    # Beyond 12 standard deviations G is constant to double precision; the clip keeps -inf * 0 from giving
    # NaN. Readings without any scatter estimate sigma = 0: their floor is 0, not 0 / 0.
    a = np.clip((end - centre) / np.where(sigma > 0.0, sigma, 1.0), -12.0, 12.0)
    below = norm.cdf(a)
    above = norm.sf(a)
    tail = norm.sf(np.sqrt(2.0) * a) / np.sqrt(np.pi)
    # Far above the truth the three terms cancel to rounding error, possibly below zero.
    return sigma * np.maximum(-a * below * above - norm.pdf(a) * (above - below) + tail, 0.0)


def _of_interval(
    low: float,
    high: float,
    middle: float,
    lower: np.ndarray,
    upper: np.ndarray,
    centre: np.ndarray,
    sigma: np.ndarray,
) -> Float[np.ndarray, "reading"]:
    """What an interval, of which the part between the limits is not told apart, changes in the integral."""
    taken = _beyond(np.clip(low, lower, upper), centre, sigma) - _beyond(np.clip(high, lower, upper), centre, sigma)

    def step(end: float) -> np.ndarray:
        if not np.isfinite(end):
            return np.zeros_like(centre)
        z = (end - centre) / np.where(sigma > 0.0, sigma, 1.0)
        # An end outside the limits is no longer one: everything up to the limit lies in the middle, too.
        return np.where((lower <= end) & (end <= upper), norm.cdf(z) * norm.sf(z) * abs(middle - end), 0.0)

    # Where there is no scatter, F is 0 or 1 everywhere.
    return np.where(sigma > 0.0, step(low) + step(high) - taken, 0.0)


def difference_sigma(table: pd.DataFrame, values: Float[np.ndarray, "reading"]) -> tuple[float, int]:
    """Noise standard deviation from neighbours in time, without a model.

    For three successive readings of a series at t0 < t1 < t2, the pseudo-residual is the middle one against
    the line through its neighbours, e = a y0 + b y2 - y1 with a = (t2 - t1) / (t2 - t0), b = 1 - a, whose
    variance is (a^2 + b^2 + 1) sigma^2 for a straight truth. Readings at equal times are averaged first and
    triples with a censored reading are left out. Curvature of the truth biases the result upwards.

    Returns:
        The standard deviation (NaN without any triple) and the number of triples.

    References:
        Gasser, Sroka, Jennen-Steinmetz 1986, doi:10.1093/biomet/73.3.625, section 2.
    """
    total, count = 0.0, 0
    frame = table.assign(y=values, left=(table["censoring"] != "").to_numpy())
    for _, series in frame.groupby([*SERIES, "observable"], sort=True):
        by_time = series.groupby("time", sort=True).agg(y=("y", "mean"), left=("left", "any"), n=("y", "size"))
        t, y, left = by_time.index.to_numpy(dtype=float), by_time["y"].to_numpy(), by_time["left"].to_numpy()
        if len(t) < 3:
            continue
        a = (t[2:] - t[1:-1]) / (t[2:] - t[:-2])
        n = by_time["n"].to_numpy()
        residual = a * y[:-2] + (1.0 - a) * y[2:] - y[1:-1]
        variance = a**2 / n[:-2] + (1.0 - a) ** 2 / n[2:] + 1.0 / n[1:-1]
        known = ~(left[:-2] | left[1:-1] | left[2:])
        total += float(np.sum((residual**2 / variance)[known]))
        count += int(known.sum())
    return (float(np.sqrt(total / count)) if count else float("nan")), count


def replicate_sigma(table: pd.DataFrame, values: Float[np.ndarray, "reading"]) -> tuple[float, int]:
    """Pooled standard deviation of uncensored readings repeated at one time in one series, with its df."""
    known = (table["censoring"] == "").to_numpy()
    frame = table.loc[known].assign(y=np.asarray(values)[known])
    groups = frame.groupby([*SERIES, "observable", "time"])["y"]
    df = int((groups.size() - 1).sum())
    if df < 1:
        return float("nan"), 0
    return float(np.sqrt(np.sum((frame["y"] - groups.transform("mean")) ** 2) / df)), df


def _sigma(
    rows: pd.DataFrame,
    reading: Float[np.ndarray, "reading"],
    observable: str,
    *,
    logarithmic: bool,
    declared: float | None,
    posterior: float | None,
    family: str,
) -> tuple[Float[np.ndarray, "reading"], str]:
    """Noise of the rows of one observable on the score scale, and its source."""
    for name, value in (("declared", declared), ("posterior", posterior)):
        if value is not None and not (np.isfinite(value) and value > 0.0):
            raise ProblemError(
                f"the {name} noise is {value}",
                where=f"observable {observable!r}",
                expected="a positive number",
            )
    if declared is not None:
        return np.full(len(rows), float(declared)), "declared"
    if "noise" in rows and bool(rows["noise"].notna().all()):
        noise = rows["noise"].to_numpy(dtype=float)
        if not np.all(np.isfinite(noise) & (noise > 0.0)):
            raise ProblemError("the noise column has values that are not positive", where=f"observable {observable!r}")
        return _noise_on_scale(noise, reading, logarithmic, family), "noise column of the table"
    estimate, df = replicate_sigma(rows, reading)
    source = f"replicates ({df} degrees of freedom)"
    if df < MIN_REPLICATE_DF:
        estimate, df = difference_sigma(rows, reading)
        source = f"differences of neighbours in time ({df} triples)"
    if posterior is not None and not estimate <= posterior:
        reason = "no model-free estimate exists" if np.isnan(estimate) else f"smaller than {estimate:.3g} from {source}"
        estimate, source = posterior, f"posterior of the noise parameter, {reason}"
    if np.isnan(estimate):
        raise ProblemError(
            "there is no way to tell the measurement noise",
            where=f"observable {observable!r}",
            expected="three uncensored readings in a series, replicates, a noise column, or a declared noise",
            fix="declare the noise (`floor` of the study)",
        )
    return np.full(len(rows), estimate), source


def _noise_on_scale(
    noise: Float[np.ndarray, "reading"], reading: Float[np.ndarray, "reading"], logarithmic: bool, family: str
) -> Float[np.ndarray, "reading"]:
    """A noise column taken to the score scale, to first order (the delta method).

    log10(y + e) = log10(y) + e / (y ln 10) + O(e^2): good to a few per cent while the noise is below
    about a third of the reading; the sd of ln y is the relative noise in either direction.
    """
    natural = 10.0**reading if logarithmic else reading
    if family.startswith("log_"):
        return noise / np.log(10.0) if logarithmic else np.abs(natural) * noise
    return noise / (natural * np.log(10.0)) if logarithmic else noise
