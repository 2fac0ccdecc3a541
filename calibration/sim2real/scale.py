"""The scale on which readings are scored, and the detection limits below which nothing is distinguished.

Axis letters of this room: ``draw`` (predictive draws), ``reading`` (rows of a measurements table), ``time``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.sim2real.assay import AssayLimits, as_limits, assay_limits
from twin.errors import MeasurementError, ProblemError

COLUMNS = ("experiment", "subject", "observable", "time", "value", "censoring")
SERIES = ("experiment", "subject")
SCALES = ("lin", "log10")


def require_columns(table: pd.DataFrame) -> None:
    """Refuse a table that is not a measurements table.

    Raises:
        MeasurementError: A column is missing or there are no rows.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise MeasurementError(
            f"the table of readings has no column {missing[0]!r}", expected="columns " + ", ".join(COLUMNS)
        )
    if table.empty:
        raise MeasurementError("the table of readings has no rows", expected="at least one reading")


def scale_of(rows: pd.DataFrame, scale: Mapping[str, str] | None) -> list[str]:
    """Score scale of each row: "lin" unless `scale` names another for the row's observable.

    Raises:
        ProblemError: A scale other than "lin" and "log10".
    """
    scale = dict(scale or {})
    for observable, name in scale.items():
        if name not in SCALES:
            raise ProblemError(
                f"score scale {name!r} is not known",
                where=f"observable {observable!r}",
                expected="'lin' or 'log10'",
            )
    return [scale.get(observable, "lin") for observable in rows["observable"].astype(str)]


def detection_limits(table: pd.DataFrame) -> Float[np.ndarray, "reading"]:
    """Detection limit of each row on the natural scale, as in `assay_limits`; minus infinity where there is none."""
    require_columns(table)
    return assay_limits(table).lower


def to_score_scale(
    values: Float[np.ndarray, "*draw reading"],
    rows: pd.DataFrame,
    scale: Mapping[str, str] | None,
    limits: AssayLimits | Float[np.ndarray, "reading"],
    *,
    what: str = "readings",
) -> Float[np.ndarray, "*draw reading"]:
    """Map what the assay does not tell apart to one value, then take the values to the score scale.

    Args:
        values: Values on the natural scale; the last axis runs over `rows`.
        rows: Rows of a measurements table.
        scale: "lin" or "log10" by observable; "lin" where not named.
        limits: Limits of each row, natural scale; or detection limits, minus infinity where there is none.
        what: What the values are, for the error message.

    Raises:
        ProblemError: Values that are not finite, or not positive on a logarithmic scale.
    """
    values = np.asarray(values, dtype=float)
    if values.shape[-1] != len(rows):
        raise ProblemError(
            f"{values.shape[-1]} {what} for {len(rows)} rows", expected="one per row, along the last axis"
        )
    if not np.all(np.isfinite(values)):
        raise ProblemError(
            f"{int(np.sum(~np.isfinite(values)))} of the {what} are not finite",
            expected="finite numbers",
            fix="count and drop failed simulations before scoring",
        )
    clamped = as_limits(limits, rows).map(values, rows["observable"].to_numpy())
    logarithmic = np.array([name == "log10" for name in scale_of(rows, scale)], dtype=bool)
    bad = (clamped <= 0.0) & logarithmic
    if bad.any():
        which = rows["observable"].to_numpy()[bad.reshape(-1, len(rows)).any(axis=0)][0]
        raise ProblemError(
            f"{int(bad.sum())} of the {what} are not positive and cannot be scored on a log10 scale",
            where=f"observable {which!r}",
            expected="positive numbers",
            fix="give a detection limit, use log-normal noise, or score this observable on 'lin'",
        )
    return np.where(logarithmic, np.log10(np.where(logarithmic, clamped, 1.0)), clamped)


def limits_on_score_scale(
    rows: pd.DataFrame,
    scale: Mapping[str, str] | None,
    limits: AssayLimits | Float[np.ndarray, "reading"],
) -> AssayLimits:
    """Limits on the score scale.

    Raises:
        ProblemError: A limit that is not positive on a logarithmic scale.
    """
    limits = as_limits(limits, rows)

    def ends(values: Float[np.ndarray, "reading"]) -> Float[np.ndarray, "reading"]:
        moved, finite = values.copy(), np.isfinite(values)
        if finite.any():
            own = values[finite]
            moved[finite] = to_score_scale(own, rows.loc[finite], scale, own, what="limits")
        return moved

    def move(bins: Float[np.ndarray, "bin 3"], observable: str) -> Float[np.ndarray, "bin 3"]:
        if dict(scale or {}).get(observable, "lin") != "log10":
            return bins
        # An interval may begin at zero.
        return np.log10(bins, where=bins > 0, out=np.full(bins.shape, -np.inf))

    moved = AssayLimits(ends(limits.lower), ends(limits.upper), limits.bins)
    return moved.on_scale(move)
