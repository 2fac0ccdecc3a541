"""Arms of one run against arms of another: within patients where both have the same ones, else as two groups."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from twin.errors import ScenarioError, suggestion
from twin.scenario.compare import (
    mean_of,
    measures,
    paired_answers,
    paired_differences,
    quantiles,
    refuse_incomplete,
    standard_error,
    wilson,
)
from twin.scenario.confidence import Z
from twin.scenario.formulas import UNKNOWN, YES

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def same_patients(first: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two runs have the same patients in the same order: their cohorts have one fingerprint."""
    alike = first.attrs["cohort_fingerprint"] == other.attrs["cohort_fingerprint"]
    return bool(alike and first.sizes["patient"] == other.sizes["patient"])


def compare_runs(
    first: xr.Dataset, other: xr.Dataset, arms: Mapping[str, str], names: Collection[str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Endpoints and responders of arms of one run against arms of another.

    What both runs call by one name (and measure in one unit) is compared; whether they also define it alike, the
    attributes ``endpoints``, ``derived`` and ``responders`` of their results say.

    Args:
        first: Result of a complete run, as `open_scenario` gives it.
        other: Result of another complete run.
        arms: For an arm of the other run, the arm of the first that it is compared with.
        names: Endpoints and criteria; default all.

    Returns:
        Two tables, a row per endpoint (criterion) and arm. Where `same_patients`, ``paired`` is true and the columns
        are those of `twin.scenario.compare.compare_arms`. Else the difference of means with its 95 % interval (Welch),
        the difference of medians, and of criteria the difference of shares with its interval (Newcombe's method 10).

    Raises:
        ScenarioError: No such arm, or a run is not complete.

    References:
        Welch 1938, doi:10.1093/biomet/29.3-4.350. Newcombe 1998,
        doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    import pandas as pd

    for ds, what in ((first, "the first run"), (other, "the other run")):
        refuse_incomplete(ds, what)
    places = [(arm, _place(other, arm), against, _place(first, against)) for arm, against in arms.items()]
    paired = same_patients(first, other)
    endpoints, criteria = (_shared(first, other, kind, names) for kind in (0, 1))
    rows: tuple[list[dict[str, object]], list[dict[str, object]]] = ([], [])
    for kind, name in [*((0, name) for name in endpoints), *((1, name) for name in criteria)]:
        for arm, place, against, base in places:
            values, reference = other[name].isel(arm=place).to_numpy(), first[name].isel(arm=base).to_numpy()
            row = {"criterion" if kind else "endpoint": name, "arm": arm, "against": against, "paired": paired}
            compare = _COMPARISONS[kind, paired]
            rows[kind].append({**row, "unit": other[name].attrs.get("units", ""), **compare(values, reference)})
    return pd.DataFrame(rows[0]), pd.DataFrame(rows[1])


def _place(ds: xr.Dataset, arm: str) -> int:
    arms = [str(name) for name in ds["arm"].to_numpy()]
    if arm not in arms:
        raise ScenarioError(f"there is no arm {arm!r}", where=str(ds.attrs["scenario"]), fix=suggestion(arm, arms))
    return arms.index(arm)


def _shared(first: xr.Dataset, other: xr.Dataset, kind: int, names: Collection[str] | None) -> list[str]:
    """Endpoints (0) or criteria (1) that both have, in one unit."""
    theirs = measures(other)[kind]
    return [
        name
        for name in measures(first)[kind]
        if name in theirs
        and (names is None or name in names)
        and first[name].attrs.get("units", "") == other[name].attrs.get("units", "")
    ]


def independent_means(values: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The difference of the means of two groups of patients with its 95 % interval (Welch), and that of medians."""
    known, base = values[~np.isnan(values)], reference[~np.isnan(reference)]
    middle = mean_of(known) - mean_of(base)
    error = math.hypot(standard_error(known), standard_error(base))
    with np.errstate(invalid="ignore"):  # infinite in both: no difference is known
        median = float(np.subtract(quantiles(known, "")["q50"], quantiles(base, "")["q50"]))
    found = {"difference": middle, "lower": middle - Z * error, "upper": middle + Z * error}
    return {**found, "difference_of_medians": median, "patients": len(known), "patients_against": len(base)}


def independent_shares(answers: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """The difference of the shares of yes in two groups of patients with its 95 % interval (Newcombe's method 10)."""
    counts = [(int((each == YES).sum()), int((each != UNKNOWN).sum())) for each in (answers, reference)]
    (share, low, high), (base, base_low, base_high) = (wilson(*count) for count in counts)
    lower = share - base - math.hypot(share - low, base_high - base)
    upper = share - base + math.hypot(high - share, base - base_low)
    found = {"difference": share - base, "lower": lower, "upper": upper}
    return {**found, "patients": counts[0][1], "patients_against": counts[1][1]}


_COMPARISONS = {
    (0, True): paired_differences,
    (0, False): independent_means,
    (1, True): paired_answers,
    (1, False): independent_shares,
}
