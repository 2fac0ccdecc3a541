"""What an estimate may ask for: scales, levels, bounds, spreads, blocks, occasions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.scales import DOMAIN, SCALES, has_place, to_scale
from twin.errors import ProblemError
from twin.study import Effect, Estimate, Prior

LEVELS = ("shared", "subject", "experiment")


def check_kind(estimate: Estimate) -> None:
    where = f"estimate {estimate.name!r}"
    for what, given, known in (("scale", estimate.scale, SCALES), ("level (per)", estimate.per, LEVELS)):
        if given not in known:
            raise ProblemError(f"the {what} is {given!r}", where=where, expected=f"one of {', '.join(known)}")
    _check_effects(estimate, where)
    _check_occasions(estimate, where)
    if estimate.between is None:
        if estimate.block:
            raise ProblemError(
                f"it belongs to the block {estimate.block!r}, but does not vary around a typical value",
                where=where,
                fix="give per= and between=, or leave out block",
            )
        return
    if estimate.per == "shared":
        raise ProblemError(
            "there is a spread between subjects, but the parameter is shared",
            where=where,
            fix="give per='subject' or per='experiment', or leave out between",
        )
    _check_spread(estimate.between, "subjects", where)


def _check_occasions(estimate: Estimate, where: str) -> None:
    if estimate.between_occasions is None:
        return
    if estimate.per != "subject":
        why = "shared" if estimate.per == "shared" else "already one of every experiment"
        raise ProblemError(
            f"there is a spread between occasions of a subject, but the parameter is {why}",
            where=where,
            fix="give per='subject' and between=, or leave out between_occasions",
        )
    if estimate.between is None:
        raise ProblemError(
            "there is a spread between occasions, but every subject has a value of its own",
            where=where,
            fix="give between=, so that the subjects scatter around a typical value, or leave out between_occasions",
        )
    _check_spread(estimate.between_occasions, "occasions", where)


def check_occasions(estimate: Estimate, series: Sequence[tuple[str, str]]) -> None:
    """A spread between occasions needs subjects with several.

    Args:
        estimate: A checked estimate.
        series: (experiment, subject) of every series.

    Raises:
        ProblemError: no subject took part in two experiments.
    """
    subjects = {subject for _, subject in series}
    if estimate.between_occasions is not None and len(subjects) == len(series):
        raise ProblemError(
            f"none of {len(subjects)} subjects has two occasions: the spread between occasions cannot be told from "
            "that between subjects",
            where=f"estimate {estimate.name!r}",
            expected="subjects that took part in two or more experiments (in an event table EVID 3 or 4 begins one)",
            fix="leave out between_occasions",
        )


def _check_effects(estimate: Estimate, where: str) -> None:
    if not isinstance(estimate.effects, tuple | list) or not all(isinstance(e, Effect) for e in estimate.effects):
        raise ProblemError(f"the effects are {estimate.effects!r}", where=where, expected="a sequence of twin.Effect")
    if estimate.effects and estimate.per != "shared" and estimate.between is None:
        raise ProblemError(
            f"covariates act on it, but every {estimate.per} has a value of its own",
            where=where,
            fix="give between=, so that the values scatter around a typical one, or per='shared'",
        )
    for effect in estimate.effects:
        numbers = (effect.lower, effect.nominal, effect.upper)
        if isinstance(effect.coefficient, str):
            if not (
                np.isfinite(numbers).all()
                and effect.lower <= effect.nominal <= effect.upper
                and effect.lower < effect.upper
            ):
                raise ProblemError(
                    f"{effect.coefficient!r} is {effect.nominal:g} within [{effect.lower:g}, {effect.upper:g}]",
                    where=where,
                    expected="finite bounds in order, and a nominal value within them",
                )
        elif not np.isfinite(effect.coefficient):
            raise ProblemError(
                f"the coefficient of {effect.formula!r} is {effect.coefficient}",
                where=where,
                expected="a finite number, or a name if it is to be estimated",
            )


def _check_spread(spread: float | Prior, of: str, where: str) -> None:
    if not isinstance(spread, Prior):
        if not (np.isfinite(spread) and spread > 0):
            raise ProblemError(
                f"the spread between {of} is {spread:g}",
                where=where,
                expected="a positive number, or a half-normal Prior",
            )
        return
    if spread.family != "half_normal":
        raise ProblemError(f"the spread between {of} has a {spread.family} prior", where=where, expected="half_normal")
    if not (spread.location >= 0 and spread.scale > 0):
        raise ProblemError(
            f"the prior of the spread between {of} has location {spread.location:g} and scale {spread.scale:g}",
            where=where,
            expected="a location of at least 0 and a positive scale",
        )


def check_numbers(estimate: Estimate, defaults: Mapping[str, float]) -> tuple[float, float, float]:
    where = f"estimate {estimate.name!r}"
    if not (np.isfinite(estimate.lower) and np.isfinite(estimate.upper)):
        raise ProblemError(
            f"the bounds are [{estimate.lower}, {estimate.upper}]", where=where, expected="finite bounds"
        )
    if estimate.lower >= estimate.upper:
        raise ProblemError(
            f"the lower bound {estimate.lower:g} is not below the upper bound {estimate.upper:g}", where=where
        )
    if estimate.scale != "lin" and estimate.lower <= 0:
        raise ProblemError(
            f"the lower bound is {estimate.lower:g} on a {estimate.scale} scale",
            where=where,
            expected="a positive bound",
            fix="raise the bound or use scale='lin'",
        )
    if not has_place(estimate.upper, estimate.scale):
        raise ProblemError(
            f"the upper bound is {estimate.upper:g} on a {estimate.scale} scale",
            where=where,
            expected=DOMAIN[estimate.scale],
        )
    nominal = estimate.nominal if estimate.nominal is not None else defaults.get(estimate.name)
    if nominal is None:
        middle = 0.5 * (to_scale(estimate.lower, estimate.scale) + to_scale(estimate.upper, estimate.scale))
        return (
            float(to_scale(estimate.lower, estimate.scale)),
            float(to_scale(estimate.upper, estimate.scale)),
            float(middle),
        )
    if not estimate.lower <= nominal <= estimate.upper:
        raise ProblemError(
            f"the nominal value {nominal:g} lies outside the bounds [{estimate.lower:g}, {estimate.upper:g}]",
            where=where,
            fix="widen the bounds or change the nominal value",
        )
    lower, upper, at = (float(to_scale(x, estimate.scale)) for x in (estimate.lower, estimate.upper, nominal))
    return lower, upper, at
