"""Problems from what a user says at a terminal: a model and a table, or a study, with what is left unsaid filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.problem import Problem
from twin import library
from twin.errors import ProblemError, suggestion
from twin.experiment import Experiment
from twin.measurements import Measurements
from twin.model import Model
from twin.study import Estimate, Noise, Study

WIDTH = 100.0
"""An estimate without bounds may lie this factor below or above the model's value."""
RELATIVE_NOISE = (0.01, 10.0)
"""Bounds of the standard deviation of a reading's logarithm."""
NOISE_OF_SPREAD = (1e-3, 10.0)
"""Bounds of a standard deviation, as multiples of the standard deviation of all readings of its observable."""


@dataclass(frozen=True)
class Wishes:
    """What a user says about a calibration; what is left out is filled in.

    Args:
        estimates: Parameters to estimate.
        fixed: Model parameters held at a value, linear scale.
        noise: Noise model by observable; under "" for all others. A noise without `scale` gets an estimated one, or the
            table's noise column where that is full.
        experiment: What is done in every experiment; None for nothing (or for what the study says).
        score_scale: "lin" or "log10" by observable.
    """

    estimates: Sequence[Estimate] = ()
    fixed: Mapping[str, float] = field(default_factory=dict)
    noise: Mapping[str, Noise] = field(default_factory=dict)
    experiment: Experiment | None = None
    score_scale: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """A problem, and what was assumed in making it.

    Args:
        problem: The problem.
        remarks: Assumptions, a sentence each.
    """

    problem: Problem
    remarks: tuple[str, ...] = ()


def setup_from_table(model: Model, measurements: Measurements, wishes: Wishes = Wishes()) -> Setup:
    """A problem from a model and a table.

    Without estimates every positive parameter that the readings depend on is estimated on a log10 scale, within a
    factor of 100 of the model's value. Noise is normal with an estimated standard deviation ``sd_<observable>``
    unless something else is said or the table has a full noise column.

    Raises:
        ProblemError: Something does not fit together.
    """
    observables, remarks = measurements.observables, []
    experiment = wishes.experiment or Experiment()
    estimates = list(wishes.estimates)
    _check_names(wishes, model)
    if not estimates:
        estimates, said = default_estimates(model, observables, wishes.fixed, experiment)
        remarks += said
    noise, scales, said = _noise(wishes, measurements, {e.name for e in estimates})
    problem = Problem(
        model,
        measurements,
        [*estimates, *scales],
        noise,
        experiments=dict.fromkeys(measurements.experiments, experiment),
        fixed=wishes.fixed,
        score_scale=_score_scales(noise) | dict(wishes.score_scale),
    )
    return Setup(problem, (*remarks, *said))


def setup_from_study(study: Study | str, measurements: Measurements | None = None, wishes: Wishes = Wishes()) -> Setup:
    """The problem of a study, with other data, estimates, noise or fixed values where wished.

    An estimate takes the place of the study's of the same name; a fixed parameter is no longer estimated.

    Raises:
        ProblemError: Something does not fit together.
    """
    if isinstance(study, str):
        study = library.study(study)
    model = library.load_model(study.model)
    if wishes.experiment is not None:
        raise ProblemError(
            f"the study {study.name!r} says what is done in its experiments",
            where="experiment",
            fix="leave the dose options out, or give --model and --data instead of the study",
        )
    _check_names(wishes, model)
    changed = measurements is not None or wishes.estimates or wishes.fixed or wishes.noise or wishes.score_scale
    if not changed:
        return Setup(Problem.from_study(study))
    source = library.dataset(study.dataset)
    measurements = measurements or Measurements.from_table(source.load(), model)
    own = {e.name: e for e in study.estimates if e.name not in wishes.fixed}
    own |= {e.name: e for e in wishes.estimates}
    noise, scales, remarks = dict(study.noise), [], ()
    if wishes.noise or any(name not in noise for name in measurements.observables):
        given = {**{name: n for name, n in study.noise.items() if not wishes.noise.get("")}, **wishes.noise}
        noise, scales, remarks = _noise(replace(wishes, noise=given), measurements, set(own))
        own = _without_unused_noise(own, model, noise)
    amended = replace(
        study,
        dataset=measurements.source,
        estimates=(*own.values(), *scales),
        noise=noise,
        fixed={**study.fixed, **wishes.fixed},
        score_scale={**study.score_scale, **wishes.score_scale},
    )
    problem = Problem(
        model,
        measurements,
        amended.estimates,
        amended.noise,
        experiments=amended.experiments,
        fixed=amended.fixed,
        name=amended.name,
        score_scale=amended.score_scale,
        study=amended,
    )
    return Setup(problem, tuple(remarks))


def default_estimates(
    model: Model, observables: Sequence[str], fixed: Mapping[str, float], experiment: Experiment
) -> tuple[list[Estimate], list[str]]:
    """Every parameter that the readings of some observables depend on, and sentences that say so.

    Raises:
        ProblemError: There is none with a positive value.
    """
    expressions = [*model.rhs, *model.initial, *(model.observable_expr(name) for name in observables)]
    used = {str(symbol) for expression in expressions for symbol in expression.free_symbols}
    taken = set(fixed) | set(experiment.parameters)
    free = {n: v for n, v in model.default_parameters.items() if n in used and n not in taken}
    positive = [name for name, value in free.items() if value > 0]
    left = [name for name in free if name not in positive]
    if not positive:
        raise ProblemError(
            "no parameter is left to estimate", where=f"model {model.name!r}", fix="name one with --estimate"
        )
    estimates = [default_estimate(model, name) for name in positive]
    remarks = [
        f"estimating {', '.join(positive)}: every parameter in the equations, on log10, "
        f"within a factor of {WIDTH:g} of the model's value; choose with --estimate and --fix"
    ]
    if left:
        remarks.append(f"not estimated, since the model's value is not positive: {', '.join(left)}")
    return estimates, remarks


def default_estimate(model: Model, name: str) -> Estimate:
    """An estimate on log10 within a factor of 100 of the model's value.

    Raises:
        ProblemError: No such parameter, or its value is not positive.
    """
    if name not in model.parameter_names:
        raise ProblemError(
            f"{name!r} is no parameter of the model {model.name!r}, so its bounds have to be given",
            where="estimates",
            expected=f"{name}:LOWER:UPPER",
            fix=suggestion(name, model.parameter_names),
        )
    value = model.default_parameters[name]
    if value <= 0:
        raise ProblemError(
            f"the model's value of {name!r} is {value:g}, which has no logarithm",
            where="estimates",
            fix=f"give bounds and a scale: {name}:LOWER:UPPER:lin",
        )
    return Estimate(name, value / WIDTH, value * WIDTH)


def _check_names(wishes: Wishes, model: Model) -> None:
    for estimate in wishes.estimates:
        if estimate.name in wishes.fixed:
            raise ProblemError(f"{estimate.name!r} is both estimated and fixed", where="estimates", fix="choose one")
    for name in wishes.noise:
        if name and name not in model.observable_names:
            raise ProblemError(
                f"the model has no observable {name!r}", where="noise", fix=suggestion(name, model.observable_names)
            )


def _noise(
    wishes: Wishes, measurements: Measurements, estimated: set[str]
) -> tuple[dict[str, Noise], list[Estimate], list[str]]:
    """Noise of every measured observable, the estimates of scales that nobody gave, and sentences on both."""
    table = measurements.table
    noise, scales, remarks = {}, [], []
    for name in measurements.observables:
        rows = table.loc[table["observable"] == name]
        wished = wishes.noise.get(name) or wishes.noise.get("") or Noise()
        noise[name] = wished
        if wished.scale is not None:
            continue
        if not np.isnan(rows["noise"].to_numpy(dtype=float)).any():
            remarks.append(f"the noise of {name} is taken from the table")
            continue
        scale = f"sd_{name}"
        noise[name] = replace(wished, scale=scale)
        if scale in estimated:
            continue
        scales.append(_scale_estimate(scale, wished, rows["value"].to_numpy(dtype=float)))
        kind = wished.family.replace("_", "-")
        remarks.append(f"the noise of {name} is {kind}; its scale {scale} is estimated")
    return noise, scales, remarks


def _scale_estimate(name: str, noise: Noise, values: np.ndarray) -> Estimate:
    if noise.family.startswith("log_"):
        return Estimate(name, *RELATIVE_NOISE)
    # So wide that it only says in which unit the readings are.
    spread = float(np.std(values)) or float(np.max(np.abs(values))) or 1.0
    return Estimate(name, spread * NOISE_OF_SPREAD[0], spread * NOISE_OF_SPREAD[1])


def _score_scales(noise: Mapping[str, Noise]) -> dict[str, str]:
    return {name: "log10" if model.family.startswith("log_") else "lin" for name, model in noise.items()}


def _without_unused_noise(
    estimates: Mapping[str, Estimate], model: Model, noise: Mapping[str, Noise]
) -> dict[str, Estimate]:
    """Without scales of the noise that was replaced, on which nothing depends any more."""
    formulas = " ".join(str(n.scale) for n in noise.values())
    return {name: estimate for name, estimate in estimates.items() if name in model.parameter_names or name in formulas}
