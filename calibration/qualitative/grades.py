"""Readings that are ordered categories: grades, scores, plus signs. Their thresholds are estimated with the rest.

A grade c of 1 to K says that the observable y, scattered by additive noise of scale s, lies between two thresholds:

    P(c) = F((t_c - y) / s) - F((t_(c-1) - y) / s),    t_0 = -inf, t_K = inf,

the cumulative model of McCullagh 1980 (J. R. Stat. Soc. B 42:109-142, section 2) with F the distribution function of
the noise. The thresholds t_1 and t_c = t_(c-1) + d_c, with steps d_c > 0, become parameters of the model. A reading of
grade c then is a censored reading of an observable of its own, which the likelihood knows already:

    grade 1: y - t_1 lies below 0;      grade K: y - t_(K-1) lies above 0;
    between: (y - m) / h lies between -1 and 1, with noise s / h; m: middle of its thresholds, h: half their distance.
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
from twin.model.formula import parse
from twin.study import Estimate, Noise

KEYS = ["experiment", "subject", "time"]
# A choice of ours: the smallest step between thresholds, as a share of their range.
SMALLEST_STEP = 1e-3


@dataclass(frozen=True)
class Grades:
    """What a `calibration.Problem` needs to take grades in; see `ordinal`.

    Args:
        model: The model with thresholds as parameters and an observable for each grade.
        measurements: The table with grades as censored readings of those observables.
        estimates: The thresholds to estimate.
        noise: Noise of the observables of the grades.
        observable: The observable that was graded.
        names: Observables of the grades, in order.
    """

    model: Model
    measurements: Measurements
    estimates: tuple[Estimate, ...]
    noise: Mapping[str, Noise]
    observable: str
    names: tuple[str, ...]

    def probabilities(
        self, problem: Problem, thetas: Float[np.ndarray, "draw parameter"]
    ) -> tuple[pd.DataFrame, Float[np.ndarray, "draw row grade"]]:
        """Probability of every grade where something was graded, for many vectors.

        Args:
            problem: The problem made of these grades.
            thetas: Vectors, estimation scale.

        Returns:
            Experiment, subject and time of each row, and the probabilities.
        """
        table = problem.measurements.table
        rows = table.loc[table["observable"].isin(self.names), KEYS].drop_duplicates(ignore_index=True)
        parts = [_reading(rows, name, grade, len(self.names)) for grade, name in enumerate(self.names, start=1)]
        asked = pd.concat(parts, ignore_index=True)
        density = np.asarray(problem.at(_in_schema(asked)).pointwise_many(np.atleast_2d(thetas)))
        return rows, np.exp(density).reshape(len(density), len(self.names), len(rows)).transpose(0, 2, 1)


def ordinal(
    model: Model,
    measurements: Measurements | pd.DataFrame | str | PathLike[str],
    observable: str,
    *,
    within: tuple[float, float],
    noise: Noise,
) -> Grades:
    """Readings of an observable as ordered categories 1, 2, ..., K with thresholds to estimate.

    Only differences between grades are data, so location and scale of the thresholds rest on the mechanism: where the
    observable has a factor or an offset of its own that is estimated, fix it, or the thresholds are not determined.

    Args:
        model: The model.
        measurements: A table, a CSV file or `twin.Measurements`; readings of other observables stay what they are.
        observable: The observable that was graded; its values are the whole numbers 1 to K, and each occurs.
        within: Range of the thresholds, in the observable's unit.
        noise: How what is graded scatters: "normal" (an ordered probit), "laplace" or "student_t"; its scale is a
            number or a formula of parameters.

    Raises:
        ProblemError: An unknown observable, grades that are no whole numbers or leave one out, or noise that is not
            additive.

    Example:
        >>> graded = calibration.ordinal(model, table, "severity", within=(0, 10), noise=twin.Noise("normal", 1.0))
        >>> problem = calibration.Problem(
        ...     graded.model, graded.measurements, [twin.Estimate("k", 0.1, 10), *graded.estimates], graded.noise
        ... )
    """
    _check(model, observable, within, noise)
    measurements = as_measurements(measurements, model, alike=True)
    table = measurements.table
    here = (table["observable"] == observable).to_numpy()
    count = _count(table.loc[here], observable, measurements.source)
    unit = model.unit(observable)
    low, high = map(float, within)
    first = f"{observable}_threshold_1"
    steps = [f"{observable}_step_{grade}" for grade in range(2, count)]
    even = (high - low) / count
    parameters = [Parameter(first, low + even, unit), *(Parameter(name, even, unit) for name in steps)]
    estimates = [Estimate(first, low, high, "lin")]
    estimates += [Estimate(name, SMALLEST_STEP * (high - low), high - low) for name in steps]
    observables, laws = [], {}
    for grade in range(1, count + 1):
        part, law = _observable(model, observable, noise, first, steps, grade)
        observables.append(part)
        laws[part.name] = law
    names = tuple(part.name for part in observables)
    parts = [table.loc[~here]]
    parts += [
        _reading(table.loc[here & (table["value"] == grade).to_numpy()], name, grade, count)
        for grade, name in enumerate(names, start=1)
    ]
    return Grades(
        model=replace(
            model,
            parameters=(*model.parameters, *parameters),
            observables=(*model.observables, *observables),
        ),
        measurements=Measurements(
            _in_schema(pd.concat(parts).sort_index()),
            source=measurements.source,
            time_unit=measurements.time_unit,
            units={**measurements.units, **{part.name: part.unit for part in observables}},
        ),
        estimates=tuple(estimates),
        noise=laws,
        observable=observable,
        names=names,
    )


def _observable(
    model: Model, observable: str, noise: Noise, first: str, steps: list[str], grade: int
) -> tuple[Observable, Noise]:
    """The observable whose censored readings are those of one grade, and its noise."""
    formula = next(part.formula for part in model.observables if part.name == observable)
    name = f"{observable}_grade_{grade}"
    below = [first, *steps[: grade - 2]]  # they sum up to the threshold below this grade
    if grade in (1, len(steps) + 2):
        threshold = first if grade == 1 else " + ".join(below)
        part = Observable(name, f"({formula}) - ({threshold})", model.unit(observable), f"{observable}, grade {grade}")
        return part, noise
    step = steps[grade - 2]
    part = Observable(
        name,
        f"2 * (({formula}) - ({' + '.join(below)})) / {step} - 1",
        description=f"{observable}, grade {grade}: -1 and 1 at its thresholds",
    )
    return part, replace(noise, scale=f"2 * ({noise.scale}) / {step}")


def _reading(rows: pd.DataFrame, name: str, grade: int, count: int) -> pd.DataFrame:
    """Rows as readings of one grade."""
    kind = "left" if grade == 1 else "right" if grade == count else "interval"
    limits = (-1.0, 1.0) if kind == "interval" else (0.0, np.nan)
    return rows.assign(observable=name, value=limits[0], noise=np.nan, censoring=kind, upper=limits[1])


def _in_schema(table: pd.DataFrame) -> pd.DataFrame:
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    return table[columns].assign(upper=table.get("upper", np.nan)).astype({"upper": float}).reset_index(drop=True)


def _check(model: Model, observable: str, within: tuple[float, float], noise: Noise) -> None:
    known_observable(model, observable, "ordinal")
    check_range(within, "ordinal")
    if noise.family not in NOISE_MODELS or NOISE_MODELS[noise.family].positive:
        raise ProblemError(
            f"the noise is {noise.family}",
            where=f"ordinal, {observable!r}",
            expected="normal, laplace or student_t",
            fix="grade an observable that is the logarithm",
        )
    if noise.scale is None or (
        isinstance(noise.scale, str) and observable in {str(x) for x in parse(noise.scale).free_symbols}
    ):
        raise ProblemError(
            f"the scale of the noise is {noise.scale!r}",
            where=f"ordinal, {observable!r}",
            expected="a number, or a formula without the observable itself",
        )


def _count(rows: pd.DataFrame, observable: str, source: str) -> int:
    """The number of grades."""
    where = f"{source}, readings of {observable!r}"
    if rows.empty:
        raise ProblemError("there are none", where=where, expected="grades 1, 2, ..., K")
    value = rows["value"].to_numpy(dtype=float)
    bad = np.flatnonzero((value != np.rint(value)) | (value < 1) | (rows["censoring"] != "").to_numpy())
    if len(bad):
        row = rows.iloc[int(bad[0])]
        raise ProblemError(
            f"row {rows.index[int(bad[0])]} has {row['censoring'] or 'the value'} {row['value']:g}",
            where=where,
            expected="whole numbers from 1 up, not censored",
        )
    count = int(value.max())
    missing = sorted(set(range(1, count + 1)) - {int(x) for x in value})
    if count < 2 or missing:
        raise ProblemError(
            f"no reading has grade {missing[0]}" if missing else "all readings have grade 1",
            where=where,
            expected="two grades or more, each of which occurs",
            fix="number the grades that occur 1, 2, 3, ...: the threshold of one that does not is not determined",
        )
    return count
