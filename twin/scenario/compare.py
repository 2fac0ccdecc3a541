"""Arms against each other: distributions of endpoints, differences within patients, shares of responders.

The same patients are in every arm, so differences are taken within patients. Intervals say how well the numbers of this
cohort speak for the population it was drawn from; they shrink with its size, and know nothing of errors of the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twin.errors import ScenarioError, suggestion
from twin.scenario.confidence import Z
from twin.scenario.formulas import NO, UNKNOWN, YES
from twin.scenario.integrity import check_finished
from twin.scenario.results import open_scenario
from twin.solve.nodes import OK

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def compare_arms(folder: str | Path, reference: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Endpoints and responders of every arm, against those of a reference.

    Args:
        folder: The folder of a run.
        reference: The arm that others are compared with; default that of the scenario.

    Returns:
        Two tables, a row per endpoint (criterion) and arm. Of endpoints: number of patients with a value, that failed,
        and without a value otherwise; mean (nothing if a value is infinite), quantiles; mean difference to the
        reference within patients with its 95 % interval, quantiles of the patients' differences, and the number of
        patients whose difference is known. Of responders: share with its 95 % interval (Wilson), difference of shares
        within patients with its interval (Agresti and Min).

    Raises:
        ScenarioError: No such arm, or the run is not complete.
        StoreError: A file of the store is missing or damaged.

    References:
        Wilson 1927, doi:10.1080/01621459.1927.10502953. Agresti and Min 2005, doi:10.1002/sim.1781.
    """
    import pandas as pd

    ds = open_scenario(folder)
    if not ds.attrs["complete"]:
        raise ScenarioError("the run is not complete", where=str(folder), fix="twin scenario resume FOLDER")
    check_finished(Path(folder), contents=True)
    arms = [str(name) for name in ds["arm"].to_numpy()]
    reference = reference or str(ds.attrs["reference"])
    if reference not in arms:
        raise ScenarioError(f"there is no arm {reference!r}", where="reference", fix=suggestion(reference, arms))
    base = arms.index(reference)
    criteria = list(ds.attrs["responders"])
    plain = ("status", "level", "band", "band_rank_error", *criteria)
    endpoints = [str(name) for name in ds.data_vars if name not in plain]
    return (
        pd.DataFrame([row for name in endpoints for row in _endpoint_rows(ds, name, arms, base)]),
        pd.DataFrame([row for name in criteria for row in _responder_rows(ds, name, arms, base)]),
    )


def _endpoint_rows(ds: xr.Dataset, name: str, arms: list[str], base: int) -> list[Mapping[str, object]]:
    reference = ds[name].isel(arm=base).to_numpy()
    rows = []
    for index, arm in enumerate(arms):
        values = reference if index == base else ds[name].isel(arm=index).to_numpy()
        failed = int((ds["status"].isel(arm=index).to_numpy() != OK).sum())
        known = values[~np.isnan(values)]
        row = {
            "endpoint": name,
            "unit": ds[name].attrs.get("units", ""),
            "arm": arm,
            "patients": len(known),
            "failed": failed,
            "undefined": len(values) - len(known) - failed,
            "mean": mean_of(known),
            **_quantiles(known, ""),
        }
        if index != base:
            with np.errstate(invalid="ignore"):  # infinite in both arms: no difference is known
                difference = values - reference
            difference = difference[~np.isnan(difference)]
            middle = mean_of(difference)
            half = (
                Z * float(np.std(difference, ddof=1)) / math.sqrt(len(difference)) if _spreads(difference) else math.nan
            )
            row |= {"difference": middle, "lower": middle - half, "upper": middle + half}
            row |= {**_quantiles(difference, "difference_"), "pairs": len(difference)}
        rows.append(row)
    return rows


def mean_of(values: np.ndarray) -> float:
    """The mean; not a number where there is no value, or an infinite one."""
    return float(np.mean(values)) if len(values) and np.isfinite(values).all() else math.nan


def _spreads(values: np.ndarray) -> bool:
    return len(values) > 1 and bool(np.isfinite(values).all())


def _quantiles(values: np.ndarray, prefix: str) -> dict[str, float]:
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    # An infinite value has a rank but cannot be interpolated with: take the one below.
    found = np.quantile(values, levels, method="inverted_cdf") if len(values) else np.full(len(levels), np.nan)
    return {f"{prefix}q{round(100 * level):02d}": float(x) for level, x in zip(levels, found, strict=True)}


def _responder_rows(ds: xr.Dataset, name: str, arms: list[str], base: int) -> list[Mapping[str, object]]:
    reference = ds[name].isel(arm=base).to_numpy()
    rows = []
    for index, arm in enumerate(arms):
        answers = reference if index == base else ds[name].isel(arm=index).to_numpy()
        known, yes = int((answers != UNKNOWN).sum()), int((answers == YES).sum())
        row = {"criterion": name, "formula": ds.attrs["responders"][name], "arm": arm, "patients": known}
        row |= {"unknown": len(answers) - known, **dict(zip(("share", "low", "high"), wilson(yes, known), strict=True))}
        if index != base:
            pairs = int(((answers != UNKNOWN) & (reference != UNKNOWN)).sum())
            gained = int(((answers == YES) & (reference == NO)).sum())
            lost = int(((answers == NO) & (reference == YES)).sum())
            found = paired_shares(gained, lost, pairs)
            row |= {"pairs": pairs, "gained": gained, "lost": lost}
            row |= dict(zip(("difference", "lower", "upper"), found, strict=True))
        rows.append(row)
    return rows


def wilson(yes: int, of: int) -> tuple[float, float, float]:
    """A share and its 95 % interval."""
    if not of:
        return math.nan, math.nan, math.nan
    share, z2 = yes / of, Z**2
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = Z / (1 + z2 / of) * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return share, max(middle - half, 0.0), min(middle + half, 1.0)


def paired_shares(gained: int, lost: int, pairs: int) -> tuple[float, float, float]:
    """The difference of two shares of the same patients, and its 95 % interval.

    That of Wald after half a patient was added to each of the four cells.
    """
    if not pairs:
        return math.nan, math.nan, math.nan
    b, c, n = gained + 0.5, lost + 0.5, pairs + 2.0
    middle, half = (b - c) / n, Z * math.sqrt(b + c - (b - c) ** 2 / n) / n
    return (gained - lost) / pairs, max(middle - half, -1.0), min(middle + half, 1.0)
