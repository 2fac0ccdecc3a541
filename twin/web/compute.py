"""Settings to courses of every patient, bands and endpoints: what a moved slider costs.

Shapes stay the same while a slider moves (lanes, times, structure of the experiment), so the program compiled for the
first picture serves all others; only another experiment, another number of doses or other variables compile anew.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from jaxtyping import Float

from twin.errors import ExperimentError, SimulationError, TwinWarning
from twin.simulation import simulate
from twin.web.endpoints import Endpoints, bands, endpoints_of, whole
from twin.web.served import MOST_COMPUTED, Served
from twin.web.settings import Settings, View

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS = 151
RTOL = 1e-5
"""Relative tolerance of the pictures: a hundredth of a line's width."""


@dataclass(frozen=True)
class Course:
    """A variable over time.

    Args:
        name: Its name.
        unit: Its unit.
        bands: Quantiles over patients (`twin.web.endpoints.SHARES`).
        middle: The typical patient of a model, or the median over the draws of a twin.
        some: A few single patients.
        endpoints: Of every patient.
    """

    name: str
    unit: str
    bands: Float[np.ndarray, "share time"]
    middle: Float[np.ndarray, " time"]
    some: Float[np.ndarray, "few time"]
    endpoints: Endpoints


@dataclass(frozen=True)
class Result:
    """What the page draws.

    Args:
        times: Sample times [model time unit].
        courses: By variable.
        patients: How many are in it.
        remark: What went wrong in part; empty if nothing did.
        seconds: Time of the computation.
    """

    times: Float[np.ndarray, " time"]
    courses: dict[str, Course]
    patients: int
    remark: str
    seconds: float


def sample_times(served: Served, settings: Settings, until: float) -> Float[np.ndarray, " time"]:
    """An even grid with the moments of all doses in it, as many as there are whatever their times.

    Raises:
        ExperimentError: The last time is not after the start.
    """
    start = served.experiment(settings).t0
    if not until > start:
        raise ExperimentError(
            f"the last time is {until:g}", where="view", expected=f"a time after the start at {start:g}"
        )
    moments = [min(max(moment, start), until) for dose in settings.doses for moment in dose.moments]
    return np.sort(np.concatenate([np.linspace(start, until, POINTS), np.asarray(moments, dtype=float)]))


def lanes(served: Served, settings: Settings) -> dict[str, np.ndarray]:
    """Parameter values of every patient; the first lane of a model is its typical patient."""
    values = {name: value for name, value in settings.values.items() if name in served.settable}
    if served.drawn is None:
        return served.spread.columns(values, settings)
    return {**values, **served.drawn.columns(settings)}  # type: ignore[return-value]


def computed_variables(served: Served, wanted: Sequence[str]) -> tuple[str, ...]:
    """All variables of a small model, so that showing another one compiles nothing; of a large one those wanted."""
    return served.variables if len(served.variables) <= MOST_COMPUTED else tuple(dict.fromkeys(wanted))


def dataset_of(
    served: Served, settings: Settings, until: float, wanted: Sequence[str], rtol: float = RTOL
) -> tuple[xr.Dataset, str]:
    """Courses of all patients as a dataset, and a remark on those that failed; `rtol` is in its attributes.

    Raises:
        SimulationError: No patient could be integrated.
        ExperimentError: Settings that the model cannot take.
    """
    times = sample_times(served, settings, until)
    names = computed_variables(served, wanted)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TwinWarning)
        ds = simulate(served.model, times, lanes(served, settings), served.experiment(settings), names, rtol=rtol)
    remarks = [str(item.message) for item in caught if issubclass(item.category, TwinWarning)]
    return ds, "; ".join(remarks)


def compute(served: Served, view: View) -> Result:
    """Everything the page shows of one view.

    Raises:
        SimulationError: No patient could be integrated.
        ExperimentError: Settings that the model cannot take.
    """
    return result_of(served, view.settings, view.until, (*view.shown, view.endpoint))


def result_of(served: Served, settings: Settings, until: float, wanted: Sequence[str], rtol: float = RTOL) -> Result:
    """Bands and endpoints of some variables under some settings.

    Raises:
        SimulationError: No patient could be integrated.
        ExperimentError: Settings that the model cannot take.
    """
    begin = time.perf_counter()
    ds, remark = dataset_of(served, settings, until, wanted, rtol)
    times = ds["time"].to_numpy()
    courses, patients = {}, 0
    for name in dict.fromkeys(wanted):
        values = np.atleast_2d(ds[name].to_numpy())  # a model without parameters has one course and no draws
        kept = whole(values)
        patients = int(kept.sum())
        if patients == 0:
            raise SimulationError(
                f"{name!r} is finite for no patient", where="page", fix="move the sliders back, or reset them"
            )
        values = values if patients == len(kept) else values[kept]
        quantiles = bands(values)
        typical = served.drawn is None and bool(kept[0])
        middle = values[0] if typical else quantiles[2]
        of_patients = values[1:] if typical and len(values) > 1 else values
        unit = ds[name].attrs.get("units", "")
        courses[name] = Course(name, unit, quantiles, middle, values[1:13], endpoints_of(times, of_patients))
    return Result(times, courses, max(patients - (served.drawn is None), 1), remark, time.perf_counter() - begin)
