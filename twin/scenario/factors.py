"""What varies between the arms of a scenario, and the arms that follow: all combinations, a Sobol sequence, or a list.

A factor that bears the name of a parameter of the model sets that parameter for every patient, or multiplies each
patient's own value. Any other name stands for a number in the formulas of the experiment (amounts, times, values).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from twin.errors import ScenarioError
from twin.experiment.experiment import Experiment
from twin.model.formula import parse

MOST_ARMS = 100_000
_NAME = re.compile(r"[A-Za-z_]\w*")
_PLAIN_TEXT = {"target", "unit", "description"}
"""Fields of experiments that hold no formula."""


@dataclass(frozen=True)
class Factor:
    """What varies between arms.

    Args:
        values: Its levels, for all combinations.
        lower: Least level, for a Sobol sequence.
        upper: Largest level, for a Sobol sequence.
        scale: Whether the sequence is even on the linear or the logarithmic scale.
        multiply: Whether levels multiply each patient's own value instead of replacing it.
    """

    values: Sequence[float] = ()
    lower: float | None = None
    upper: float | None = None
    scale: Literal["lin", "log"] = "lin"
    multiply: bool = False


@dataclass(frozen=True)
class Arm:
    """One variant of the experiment.

    Args:
        name: Its name.
        levels: The level of each factor that it sets.
        experiment: What is done, with the levels filled in.
    """

    name: str
    levels: Mapping[str, float]
    experiment: Experiment


def check_factors(factors: Mapping[str, Factor], by: Literal["values", "range", "arms"]) -> None:
    """Refuse factors that do not fit the way in which arms are made.

    Raises:
        ScenarioError: No factor, no or unequal numbers, a range that is none.
    """
    for name, factor in factors.items():
        where = f"factors.{name}"
        if not isinstance(factor, Factor):
            raise ScenarioError(f"it is a {type(factor).__name__}", where=where, expected="a twin.Factor or levels")
        if factor.scale not in ("lin", "log"):
            raise ScenarioError(f"the scale is {factor.scale!r}", where=where, expected="lin or log")
        if by == "values":
            if not len(factor.values) or factor.lower is not None or factor.upper is not None:
                raise ScenarioError("it has no levels, or bounds", where=where, expected="levels: [1, 2, 3]",
                                    fix="bounds are for a Sobol sequence: give sobol")  # fmt: skip
            _check_numbers(factor.values, where)
            if len({float(value) for value in factor.values}) < len(factor.values):
                raise ScenarioError("a level stands twice", where=where, fix="give it once")
        elif by == "range":
            if factor.lower is None or factor.upper is None or len(factor.values):
                raise ScenarioError("it has no bounds, or levels", where=where, expected="lower and upper",
                                    fix="levels are for all combinations: leave sobol out")  # fmt: skip
            _check_numbers((factor.lower, factor.upper), where)
            if not factor.lower < factor.upper or (factor.scale == "log" and factor.lower <= 0):
                found = f"the bounds are {factor.lower:g} and {factor.upper:g}"
                raise ScenarioError(found, where=where, expected="lower < upper, positive for scale log")
        elif len(factor.values) or factor.lower is not None or factor.upper is not None:
            raise ScenarioError("arms are listed, and it has levels", where=where, fix="leave one of the two out")


def _check_numbers(values: Sequence[float], where: str) -> None:
    for value in values:
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            raise ScenarioError(f"a level is {value!r}", where=where, expected="finite numbers")


def combinations(factors: Mapping[str, Factor]) -> dict[str, dict[str, float]]:
    """Levels of all combinations, by name of the arm."""
    count = math.prod(len(factor.values) for factor in factors.values())
    _check_count(count)
    found = {}
    for levels in itertools.product(*(factor.values for factor in factors.values())):
        named = {name: float(value) for name, value in zip(factors, levels, strict=True)}
        name = ", ".join(f"{key}={value:g}" for key, value in named.items())
        if name in found:  # levels that six digits do not tell apart
            name = ", ".join(f"{key}={value!r}" for key, value in named.items())
        found[name] = named
    return found


def sobol_points(factors: Mapping[str, Factor], count: int, seed: int) -> dict[str, dict[str, float]]:
    """Levels along a scrambled Sobol sequence, by name of the arm.

    References:
        Owen 1998, doi:10.1006/jcom.1998.0487 (scrambling); `scipy.stats.qmc.Sobol`.
    """
    from scipy.stats import qmc

    if not isinstance(count, Integral) or isinstance(count, bool) or count < 1 or count & (count - 1):
        found = f"the number of points is {count!r}"
        raise ScenarioError(found, where="sobol", expected="a power of 2, for which the sequence is balanced")
    _check_count(int(count))
    if not factors:
        raise ScenarioError("there are no factors", where="sobol", fix="give factors with lower and upper")
    unit = qmc.Sobol(len(factors), scramble=True, rng=np.random.default_rng(seed)).random_base2(count.bit_length() - 1)
    columns = {}
    for (name, factor), share in zip(factors.items(), unit.T, strict=True):
        low, high = float(factor.lower or 0.0), float(factor.upper or 0.0)
        columns[name] = low * (high / low) ** share if factor.scale == "log" else low + (high - low) * share
    width = len(str(count - 1))
    return {
        f"point {index:0{width}d}": {name: float(values[index]) for name, values in columns.items()}
        for index in range(count)
    }


def _check_count(count: int) -> None:
    if count > MOST_ARMS:
        found = f"there are {count:,} arms"
        raise ScenarioError(found, where="factors", expected=f"at most {MOST_ARMS:,}", fix="take a Sobol sequence")


def filled_in(experiment: Experiment, levels: Mapping[str, float]) -> Experiment:
    """The experiment with numbers in the place of the names of factors."""
    return _filled(experiment, levels)


def _filled(value: Any, levels: Mapping[str, float]) -> Any:
    if isinstance(value, str):
        return _with_numbers(value, levels)
    if is_dataclass(value) and not isinstance(value, type):
        given = {item.name: getattr(value, item.name) for item in fields(value) if item.name not in _PLAIN_TEXT}
        return replace(value, **{name: _filled(each, levels) for name, each in given.items()})
    if isinstance(value, Mapping):
        return {name: _filled(each, levels) for name, each in value.items()}
    return tuple(_filled(each, levels) for each in value) if isinstance(value, (list, tuple)) else value


def _with_numbers(text: str, levels: Mapping[str, float]) -> str | float:
    parse(text, where="experiment")  # what is no formula is named as the author wrote it
    filled = _NAME.sub(lambda found: f"({levels[found[0]]!r})" if found[0] in levels else found[0], text)
    expression = parse(filled, where=f"experiment, {text!r}")
    return float(expression) if expression.is_number else filled


def names_in(value: Any) -> set[str]:
    """Names that the formulas of an experiment use."""
    if isinstance(value, str):
        return {str(item) for item in parse(value, where="experiment").free_symbols}
    if is_dataclass(value) and not isinstance(value, type):
        parts: Collection = [getattr(value, item.name) for item in fields(value) if item.name not in _PLAIN_TEXT]
    elif isinstance(value, Mapping):
        parts = list(value.values())
    else:
        parts = value if isinstance(value, (list, tuple)) else ()
    return set().union(*(names_in(part) for part in parts)) if parts else set()
