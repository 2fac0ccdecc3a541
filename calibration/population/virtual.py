"""`PopulationFit.cohort`: virtual subjects from the fitted distribution, within ranges if wished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from calibration.parameters import ParameterVector
from calibration.population.distribution import covariance_of, occasional, varying
from calibration.scales import linear
from twin.cohort import Cohort
from twin.cohort.distributions import Normal
from twin.errors import ProblemError, suggestion
from twin.precision import in_float64

if TYPE_CHECKING:
    from calibration.population.estimate import PopulationFit

type Within = Mapping[str, tuple[float, float]] | Literal["individuals"] | None

BACK = {"lin": "{}", "log": "exp({})", "log10": "10^({})", "logit": "1 / (1 + exp(-({})))"}


@in_float64
def virtual_cohort(
    fit: PopulationFit,
    size: int,
    seed: int,
    within: Within,
    constraints: Sequence[str],
    covariates: Mapping[str, Any] | None,
    occasion: bool,
) -> Cohort:
    """See `PopulationFit.cohort`."""
    problem, theta = fit.likelihood.problem, fit.vector
    parameters, model = problem.parameters, problem.model
    known = [name for name in parameters.slots if name in model.parameter_names]
    used = {str(s) for name in known for s in _covariates_of(parameters, name)}
    given = dict(covariates or {})
    if missing := sorted(used - set(given)):
        raise ProblemError(
            f"the covariate {missing[0]!r} of the virtual subjects is not given",
            where="cohort",
            expected="a distribution, a number or a formula for every covariate in an effect",
            fix=f"covariates={{{missing[0]!r}: twin.Normal(...)}}",
        )
    names = varying(parameters)
    scores = {f"{name}_deviation": Normal(0.0, 1.0) for name in names if name in known}
    own = [name for name in occasional(parameters) if name in known] if occasion else []
    scores |= {f"{name}_occasion": Normal(0.0, 1.0) for name in own}
    values: dict[str, Any] = {name: value for name, value in problem.fixed.items() if name not in known}
    values |= {name: _formula(parameters, theta, name, name in own) for name in known}
    ranges = _ranges(fit, within, known, own)
    return Cohort(
        size,
        values,
        correlations=_correlations(parameters, theta, names, known),
        constraints=[*(f"{n} >= {low!r} && {n} <= {high!r}" for n, (low, high) in ranges.items()), *constraints],
        covariates=given | scores,
        seed=seed,
    )


def _covariates_of(parameters: ParameterVector, name: str) -> list[Any]:
    from twin.model.formula import parse

    return [symbol for shift in parameters.slots[name].shifts for symbol in parse(shift.formula).free_symbols]


def _formula(parameters: ParameterVector, theta: Float[np.ndarray, " entry"], name: str, occasion: bool) -> float | str:
    """The value of a virtual subject: a number, or a formula of its covariates and its standardised deviations."""
    slot = parameters.slots[name]
    if slot.plain:
        if len(set(slot.value.tolist())) > 1:
            raise ProblemError(
                f"{name!r} has a value of its own for every subject or experiment, and no distribution",
                where="cohort",
                fix="give between= in its Estimate",
            )
        return float(linear(theta[slot.value[0]], slot.scale))
    terms = [repr(float(theta[slot.value[0]]))]
    for shift in slot.shifts:
        coefficient = theta[shift.coefficient] if shift.estimated else shift.coefficient
        terms.append(f"({float(coefficient)!r}) * ({shift.formula})")
    if slot.eta is not None:
        terms.append(f"({float(slot.spread(theta))!r}) * {name}_deviation")
    if occasion:
        terms.append(f"({float(slot.occasion_spread(theta))!r}) * {name}_occasion")
    return BACK[slot.scale].format(" + ".join(terms))


def _correlations(
    parameters: ParameterVector, theta: np.ndarray, names: list[str], known: list[str]
) -> dict[tuple[str, str], float]:
    matrix, found = np.asarray(covariance_of(parameters, jnp.asarray(theta))), {}
    for block in parameters.blocks.values():
        members = [name for name in block.members if name in known]
        for i, first in enumerate(members):
            for second in members[i + 1 :]:
                a, b = names.index(first), names.index(second)
                if (scale := np.sqrt(matrix[a, a] * matrix[b, b])) > 0:
                    found[f"{first}_deviation", f"{second}_deviation"] = float(matrix[a, b] / scale)
    return found


def _ranges(fit: PopulationFit, within: Within, known: list[str], own: list[str]) -> dict[str, tuple[float, float]]:
    if within is None:
        return {}
    if isinstance(within, str):
        if within != "individuals":
            raise ProblemError(
                f"within is {within!r}", where="cohort", expected="'individuals', or a range by parameter"
            )
        columns = dict(fit.individuals.items()) | {name: fit.occasions[name] for name in own}
        return {
            str(name): (float(column.min()), float(column.max())) for name, column in columns.items() if name in known
        }
    for name, (low, high) in within.items():
        if name not in known:
            raise ProblemError(
                f"{name!r} is no estimated parameter of the model", where="cohort", fix=suggestion(name, known)
            )
        if not low < high:
            raise ProblemError(
                f"the range of {name!r} is [{low:g}, {high:g}]", where="cohort", expected="ends in order"
            )
    return {name: (float(low), float(high)) for name, (low, high) in within.items()}
