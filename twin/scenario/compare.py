"""Arms against each other: distributions of endpoints, differences within patients, shares of responders.

The same patients are in every arm, so differences are taken within patients. Intervals say how well the numbers of this
cohort speak for the population it was drawn from; they shrink with its size, and know nothing of errors of the model.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twin.errors import ScenarioError, suggestion
from twin.scenario.confidence import Z
from twin.scenario.formulas import NO, UNKNOWN, YES
from twin.scenario.integrity import check_finished
from twin.scenario.results import PLAIN, open_scenario
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
    ds = open_scenario(folder)
    refuse_incomplete(ds, str(folder))
    check_finished(Path(folder), contents=True)
    return compare_dataset(ds, reference)


def refuse_incomplete(ds: xr.Dataset, where: str) -> None:
    """Refuse a run that is not complete.

    Raises:
        ScenarioError: It is not.
    """
    if not ds.attrs["complete"]:
        raise ScenarioError("the run is not complete", where=where, fix="twin scenario resume FOLDER")


def measures(ds: xr.Dataset) -> tuple[list[str], list[str]]:
    """Names of the endpoints, derived ones among them, and of the criteria of a result."""
    criteria = list(ds.attrs["responders"])
    return [str(name) for name in ds.data_vars if name not in (*PLAIN, *criteria)], criteria


def compare_dataset(
    ds: xr.Dataset,
    reference: str | None = None,
    names: Collection[str] | None = None,
    shown: Collection[str] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of `compare_arms` of a result that is open; its files are not checked again.

    Args:
        ds: Result of a complete run, as `open_scenario` gives it.
        reference: The arm that others are compared with; default that of the scenario.
        names: Endpoints and criteria; default all.
        shown: Arms that get a row; default all.

    Raises:
        ScenarioError: No such arm.
    """
    import pandas as pd

    arms = [str(name) for name in ds["arm"].to_numpy()]
    reference = reference or str(ds.attrs["reference"])
    if reference not in arms:
        raise ScenarioError(f"there is no arm {reference!r}", where="reference", fix=suggestion(reference, arms))
    base = arms.index(reference)
    rows = {index: arm for index, arm in enumerate(arms) if shown is None or arm in shown}
    endpoints, criteria = ([n for n in found if names is None or n in names] for found in measures(ds))
    return (
        pd.DataFrame([row for name in endpoints for row in _endpoint_rows(ds, name, rows, base)]),
        pd.DataFrame([row for name in criteria for row in _responder_rows(ds, name, rows, base)]),
    )


def _endpoint_rows(ds: xr.Dataset, name: str, arms: Mapping[int, str], base: int) -> list[Mapping[str, object]]:
    reference = ds[name].isel(arm=base).to_numpy()
    rows = []
    for index, arm in arms.items():
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
            **quantiles(known, ""),
        }
        if index != base:
            row |= paired_differences(values, reference)
        rows.append(row)
    return rows


def paired_differences(values: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The differences of the same patients: their mean with its 95 % interval, quantiles, and how many are known."""
    with np.errstate(invalid="ignore"):  # infinite in both arms: no difference is known
        difference = values - reference
    difference = difference[~np.isnan(difference)]
    middle, error = mean_of(difference), standard_error(difference)
    found = {"difference": middle, "lower": middle - Z * error, "upper": middle + Z * error}
    return {**found, **quantiles(difference, "difference_"), "pairs": len(difference)}


def standard_error(values: np.ndarray) -> float:
    """Of the mean; not a number where there are fewer than two values, or an infinite one."""
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if _spreads(values) else math.nan


def mean_of(values: np.ndarray) -> float:
    """The mean; not a number where there is no value, or an infinite one."""
    return float(np.mean(values)) if len(values) and np.isfinite(values).all() else math.nan


def _spreads(values: np.ndarray) -> bool:
    return len(values) > 1 and bool(np.isfinite(values).all())


def quantiles(values: np.ndarray, prefix: str) -> dict[str, float]:
    """The 5, 25, 50, 75 and 95 % quantiles of known values, infinite ones among them."""
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    # An infinite value has a rank but cannot be interpolated with: take the one below.
    found = np.quantile(values, levels, method="inverted_cdf") if len(values) else np.full(len(levels), np.nan)
    return {f"{prefix}q{round(100 * level):02d}": float(x) for level, x in zip(levels, found, strict=True)}


def _responder_rows(ds: xr.Dataset, name: str, arms: Mapping[int, str], base: int) -> list[Mapping[str, object]]:
    reference = ds[name].isel(arm=base).to_numpy()
    rows = []
    for index, arm in arms.items():
        answers = reference if index == base else ds[name].isel(arm=index).to_numpy()
        known, yes = int((answers != UNKNOWN).sum()), int((answers == YES).sum())
        row = {"criterion": name, "formula": ds.attrs["responders"][name], "arm": arm, "patients": known}
        row |= {"unknown": len(answers) - known, **dict(zip(("share", "low", "high"), wilson(yes, known), strict=True))}
        if index != base:
            row |= paired_answers(answers, reference)
        rows.append(row)
    return rows


def paired_answers(answers: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The answers of the same patients: who gained and lost, and the difference of shares with its 95 % interval."""
    pairs = int(((answers != UNKNOWN) & (reference != UNKNOWN)).sum())
    gained = int(((answers == YES) & (reference == NO)).sum())
    lost = int(((answers == NO) & (reference == YES)).sum())
    found = dict(zip(("difference", "lower", "upper"), paired_shares(gained, lost, pairs), strict=True))
    return {"pairs": pairs, "gained": gained, "lost": lost, **found}


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
