"""Readings that are an unknown monotone function of an observable: optical densities, intensities that saturate.

The function is piecewise linear between evenly spaced knots of the observable: a value at the first knot, and a
change of one sign from each knot to the next; outside the knots it is constant. Value and changes become parameters of
the model, in which what is read is affine; so `calibration.fit(problem, inner=True)` finds them by regression, without
another integration. The field calls such data semi-quantitative, as it calls those of `grades.py` ordinal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.noise import NOISE_MODELS
from calibration.problem import Problem
from calibration.qualitative.checks import as_measurements, check_range, known_observable
from twin.errors import ProblemError
from twin.measurements import Measurements
from twin.model import Model, Observable, Parameter
from twin.study import Estimate, Noise


@dataclass(frozen=True)
class MonotoneReadings:
    """What a `calibration.Problem` needs to take such readings in; see `monotone`.

    Args:
        model: The model with value and rises as parameters, and an observable that is what is read.
        measurements: The table, in which the readings are of that observable.
        estimates: Value and rises to estimate.
        noise: Noise of the readings.
        observable: The observable of which they are a function.
        name: The observable that is read.
        knots: Knots of the function, in the unit of `observable`.
    """

    model: Model
    measurements: Measurements
    estimates: tuple[Estimate, ...]
    noise: Mapping[str, Noise]
    observable: str
    name: str
    knots: Float[np.ndarray, " knot"]

    def heights(self, problem: Problem, thetas: Float[np.ndarray, "draw parameter"]) -> Float[np.ndarray, "draw knot"]:
        """Values of the function at its knots, for many vectors; between them it is linear.

        Args:
            problem: The problem made of these readings.
            thetas: Vectors, estimation scale.
        """
        values = problem.parameters.linear(np.atleast_2d(thetas))
        parts = values[:, [problem.names.index(each.name) for each in self.estimates]]
        return np.cumsum(parts, axis=1)


def monotone(
    model: Model,
    measurements: Measurements | pd.DataFrame | str | PathLike[str],
    observable: str,
    *,
    within: tuple[float, float],
    noise: Noise,
    pieces: int = 6,
    falling: bool = False,
) -> MonotoneReadings:
    """Readings as an unknown monotone function of an observable.

    Any monotone change of the observable's scale is taken up by the function, so only what survives it (order, times,
    ratios of doses) tells the mechanism's parameters: fix factors and offsets of the observable. Where no reading falls
    between two knots the rise there is not determined, and stays where the fit began.

    Args:
        model: The model.
        measurements: A table, a CSV file or `twin.Measurements`; readings of other observables stay what they are.
        observable: The observable of which the readings are a function.
        within: First and last knot, in the observable's unit; the function is constant outside.
        noise: How readings scatter: "normal", "laplace" or "student_t".
        pieces: Number of pieces.
        falling: Whether the function falls instead of rising.

    Raises:
        ProblemError: An unknown observable, no readings of it, fewer pieces than one, or noise that is not additive.

    Example:
        >>> read = calibration.monotone(model, table, "dye", within=(0, 5), noise=twin.Noise("normal", "sd"))
        >>> estimates = [twin.Estimate("k", 0.1, 10), twin.Estimate("sd", 0.01, 1, nominal=0.1), *read.estimates]
        >>> problem = calibration.Problem(read.model, read.measurements, estimates, read.noise)
        >>> best = calibration.fit(problem, inner=True)
    """
    known_observable(model, observable, "monotone")
    low, high = check_range(within, "monotone")
    if noise.family not in NOISE_MODELS or NOISE_MODELS[noise.family].positive:
        raise ProblemError(
            f"the noise is {noise.family}",
            where=f"monotone, {observable!r}",
            expected="normal, laplace or student_t",
            fix="take the logarithm of the readings: it is a monotone function, too",
        )
    if pieces < 1:
        raise ProblemError(f"pieces is {pieces}", where="monotone", expected="1 or more")
    measurements = as_measurements(measurements, model)
    table = measurements.table
    here = (table["observable"] == observable).to_numpy()
    if not here.any():
        raise ProblemError("there are none", where=f"{measurements.source}, readings of {observable!r}")
    name = f"{observable}_read"
    knots = np.linspace(low, high, pieces + 1)
    parameters, estimates = _parts(observable, table.loc[here, "value"].to_numpy(dtype=float), pieces, falling)
    return MonotoneReadings(
        model=replace(
            model,
            parameters=(*model.parameters, *parameters),
            observables=(*model.observables, _observable(model, observable, name, knots)),
        ),
        measurements=Measurements(
            table.assign(observable=table["observable"].where(~here, name)),
            source=measurements.source,
            time_unit=measurements.time_unit,
            units={key: unit for key, unit in measurements.units.items() if key != observable},
        ),
        estimates=tuple(estimates),
        noise={name: noise},
        observable=observable,
        name=name,
        knots=knots,
    )


def _parts(
    observable: str, values: Float[np.ndarray, " reading"], pieces: int, falling: bool
) -> tuple[list[Parameter], list[Estimate]]:
    """Value at the first knot and change to each next one, with bounds that no sound fit touches.

    They come from the readings, as the range of a picture does: half their range beyond them for the value, twice their
    range for a change.
    """
    least, most = float(values.min()), float(values.max())
    span = most - least or max(abs(most), 1.0)
    first, sign = f"{observable}_read_0", -1.0 if falling else 1.0
    begin = most if falling else least
    parameters, estimates = [Parameter(first, begin)], [Estimate(first, least - span / 2, most + span / 2, "lin")]
    for piece in range(1, pieces + 1):
        name = f"{observable}_change_{piece}"
        parameters.append(Parameter(name, sign * span / pieces))
        low, high = sorted((0.0, sign * 2.0 * span))
        estimates.append(Estimate(name, low, high, "lin"))
    return parameters, estimates


def _observable(model: Model, observable: str, name: str, knots: Float[np.ndarray, " knot"]) -> Observable:
    formula = next(part.formula for part in model.observables if part.name == observable)
    width = float(knots[1] - knots[0])
    share = "min(max((({formula}) - ({knot!r})) / {width!r}, 0), 1)"
    terms = [
        f"{observable}_change_{piece} * " + share.format(formula=formula, knot=float(knot), width=width)
        for piece, knot in enumerate(knots[:-1], start=1)
    ]
    return Observable(
        name, " + ".join([f"{observable}_read_0", *terms]), description=f"{observable} as it is read: monotone"
    )
