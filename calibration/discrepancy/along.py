"""A number of every reading's series (a dose, a concentration, an arm) along which a discrepancy may differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from calibration.problem import Problem
from twin.errors import ProblemError, suggestion

type Along = str | Mapping[str, float]
"""A number per experiment; or "study" (the numbers that the study gives its experiments), a parameter or state that
experiments set, a formula of the subjects' covariates."""
STUDY = "study"


def label_of(along: Along) -> str:
    """What the axis of a picture says."""
    return along if isinstance(along, str) and along != STUDY else "covariate of the experiment"


def along_readings(problem: Problem, along: Along) -> Float[np.ndarray, " reading"]:
    """The number of every reading.

    Args:
        problem: The problem.
        along: What it is. Distances are those of the numbers as they stand: where they span powers of ten, give their
            logarithms.

    Raises:
        ProblemError: an experiment or subject has no number, the name is not known, or the number is not finite.
    """
    series = problem.bindings.series
    if isinstance(along, Mapping):
        given = _of_experiments(problem, along, "along")
    elif along == STUDY:
        given = _of_study(problem)
    elif any(along in (*item.parameters, *item.initial) for item in problem.experiments.values()):
        given = _of_settings(problem, along)
    elif problem.covariates.names:
        given = problem.covariates.evaluate(along, [subject for _, subject in series], "along")
    else:
        set_ones = sorted({n for item in problem.experiments.values() for n in (*item.parameters, *item.initial)})
        known = [*(["study"] if problem.study is not None and problem.study.covariate else []), *set_ones]
        raise ProblemError(
            f"no number of the experiments is called {along!r}",
            where="along",
            expected=f"one of {', '.join(known)}" if known else "a mapping of experiments to numbers",
            fix=suggestion(along, known) or "pass a mapping of experiments to numbers, such as their doses",
        )
    of_series = np.asarray(given, dtype=float)
    if not np.isfinite(of_series).all():
        name = series[int(np.argmin(np.isfinite(of_series)))]
        raise ProblemError(f"the number of {name} is not finite", where="along", expected="a number for every series")
    return of_series[problem.bindings.lane]


def _of_experiments(problem: Problem, along: Mapping[str, float], where: str) -> list[float]:
    names = [experiment for experiment, _ in problem.bindings.series]
    if missing := [name for name in names if name not in along]:
        raise ProblemError(
            f"experiment {missing[0]!r} has no number",
            where=where,
            expected=f"one for each of {', '.join(dict.fromkeys(names))}",
        )
    return [along[name] for name in names]


def _of_study(problem: Problem) -> list[float]:
    if problem.study is None or not problem.study.covariate:
        raise ProblemError(
            "the study gives its experiments no number",
            where="along",
            expected="a study with a covariate",
            fix="pass a mapping of experiments to numbers",
        )
    return _of_experiments(problem, problem.study.covariate, "the study's covariate")


def _of_settings(problem: Problem, name: str) -> list[float]:
    """What the experiments set a parameter or a first value to, else what it is in the model."""
    usual = {state.name: state.initial for state in problem.model.states} | problem.model.default_parameters
    values = []
    for experiment, _ in problem.bindings.series:
        item = problem.experiments[experiment]
        value = {**item.parameters, **item.initial}.get(name, problem.fixed.get(name, usual.get(name)))
        if isinstance(value, str) or value is None:
            raise ProblemError(
                f"{name!r} is {value!r} in experiment {experiment!r}",
                where="along",
                expected="a number",
                fix="pass a mapping of experiments to numbers",
            )
        values.append(float(value))
    return values
