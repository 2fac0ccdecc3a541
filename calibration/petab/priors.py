"""Prior columns of the parameter table: families, their arguments, and the bounds they leave."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from calibration.petab.table import Row
from calibration.prior_families import POSITIVE, distribution
from twin.study import Prior, Scale

BEYOND = 1e-15
"""Probability that an infinite bound leaves out once it is made finite: below the precision of the density."""


class Bounded(NamedTuple):
    """A prior and the bounds it is truncated to, linear scale."""

    prior: Prior
    lower: float
    upper: float


@dataclass(frozen=True)
class _Family:
    count: int
    make: Callable[..., Prior]
    limits: bool = False  # the arguments are limits


_COMMON = {
    "uniform": _Family(2, lambda: Prior("uniform", linear=True), limits=True),
    "normal": _Family(2, lambda mean, sd: Prior("normal", mean, sd, linear=True)),
    "laplace": _Family(2, lambda location, scale: Prior("laplace", location, scale, linear=True)),
}
VERSION_1 = _COMMON | {
    "logNormal": _Family(2, lambda mean, sd: Prior("log_normal", mean, sd, linear=True)),
    "logLaplace": _Family(2, lambda location, scale: Prior("log_laplace", location, scale, linear=True)),
    "parameterScaleUniform": _Family(2, lambda: Prior("uniform"), limits=True),
    "parameterScaleNormal": _Family(2, lambda mean, sd: Prior("normal", mean, sd)),
    "parameterScaleLaplace": _Family(2, lambda location, scale: Prior("laplace", location, scale)),
}
VERSION_2 = _COMMON | {
    "cauchy": _Family(2, lambda location, scale: Prior("cauchy", location, scale, linear=True)),
    # A chi-squared distribution is a gamma distribution (Johnson, Kotz & Balakrishnan 1, 1994, chapter 18).
    "chisquare": _Family(1, lambda df: Prior("gamma", scale=2.0, shape=df / 2, linear=True)),
    "exponential": _Family(1, lambda scale: Prior("exponential", scale=scale, linear=True)),
    "gamma": _Family(2, lambda shape, scale: Prior("gamma", scale=scale, shape=shape, linear=True)),
    "log-laplace": _Family(2, lambda location, scale: Prior("log_laplace", location, scale, linear=True)),
    "log-normal": _Family(2, lambda mean, sd: Prior("log_normal", mean, sd, linear=True)),
    "log-uniform": _Family(2, lambda: Prior("log_uniform", linear=True), limits=True),
    "rayleigh": _Family(1, lambda scale: Prior("rayleigh", scale=scale, linear=True)),
}


def read_prior(row: Row, family_column: str, arguments_column: str, version: int, scale: Scale) -> Bounded:
    """The prior of a row of the parameter table, and its bounds made finite.

    A uniform prior narrows the bounds to its limits, which is where it has a density. Without a prior the density is
    uniform between the bounds on the estimation scale.

    Args:
        row: The row.
        family_column: Column of the family.
        arguments_column: Column of its arguments.
        version: Version of the format.
        scale: Estimation scale.

    Raises:
        PetabError: an unknown family, a wrong number of arguments, or bounds that leave nothing.
    """
    families = VERSION_1 if version == 1 else VERSION_2
    lower, upper = row.number("lowerBound", infinite=True), row.number("upperBound", infinite=True)
    given = row.optional(family_column)
    arguments = row.numbers(arguments_column)
    if given is None:
        prior = Prior("uniform")
    else:
        name = row.choice(family_column, tuple(families), "")
        family = families[name]
        if family.limits and not arguments and version == 1:
            prior = family.make()
        else:
            if len(arguments) != family.count:
                raise row.fault(
                    arguments_column,
                    f"{len(arguments)} arguments are given for {name!r}",
                    expected=f"{family.count}, separated by ;",
                )
            prior = family.make() if family.limits else family.make(*arguments)
            if family.limits:
                low, high = arguments
                if not prior.linear:
                    low, high = _linear(low, scale), _linear(high, scale)
                lower, upper = max(lower, low), min(upper, high)
    if not prior.linear and scale == "lin":
        prior = replace(prior, linear=False)
    if not (prior.scale > 0 and prior.shape > 0):
        raise row.fault(arguments_column, "a scale is not positive", expected="positive scales, shapes and variances")
    if scale != "lin" and lower <= 0:
        raise row.fault("lowerBound", f"the bound {lower:g} has no logarithm", expected="a positive bound")
    return _finite(Bounded(prior, lower, upper), row, scale)


def _linear(value: float, scale: Scale) -> float:
    base = {"lin": None, "log": math.e, "log10": 10.0}[scale]
    try:
        return value if base is None else base**value
    except OverflowError:
        return math.inf


def _finite(given: Bounded, row: Row, scale: Scale) -> Bounded:
    prior, lower, upper = given
    if not lower < upper:
        raise row.fault(
            "upperBound",
            f"the bounds leave nothing between {lower:g} and {upper:g}",
            expected="a lower bound below the upper one, and a prior between them",
        )
    if math.isfinite(lower) and math.isfinite(upper):
        return given
    if prior.family in ("uniform", "log_uniform"):
        raise row.fault("lowerBound", f"the bounds are {lower} and {upper}", expected="finite bounds, or a prior")
    whole = distribution(prior, lower, upper)
    low, high = float(whole.ppf(BEYOND)), float(whole.isf(BEYOND))
    if prior.family in POSITIVE:
        low, high = float(np.exp(low)), float(np.exp(high))
    elif not prior.linear:
        low, high = _linear(low, scale), _linear(high, scale)
    largest = float(np.finfo(float).max) ** 0.5
    low, high = max(low, -largest), min(high, largest)
    return Bounded(
        prior, lower if math.isfinite(lower) else min(low, upper), upper if math.isfinite(upper) else max(high, lower)
    )
