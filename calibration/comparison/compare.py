"""`compare`: rival models of the same readings, weighed by what they predict and by what they cost.

References:
    Vuong, Econometrica 57:307-333 (1989), for the error of differences of log-likelihoods; Vehtari, Gelman & Gabry,
    Statistics and Computing 27:1413-1432 (2017), for LOO; Yao et al., Bayesian Analysis 13:917-1007 (2018), for
    stacking; Kass & Raftery, JASA 90:773-795 (1995), for evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from calibration.comparison.criteria import Criterion, criteria
from calibration.comparison.held_out import Independent, held_out_scores, paired_error
from calibration.comparison.information_criteria import information_criteria, weights
from calibration.comparison.kept import Kept
from calibration.comparison.posteriors import as_elpd, evidence_numbers, loo_numbers, stacked
from calibration.comparison.result import Comparison
from calibration.comparison.same_readings import matched_rows
from calibration.optimise import Fit
from calibration.prior_families import FLAT
from calibration.problem import Problem
from calibration.sampling.diagnostics import WORST_PARETO_K
from calibration.sim2real.splits import Split, make_split
from twin.errors import ProblemError
from twin.precision import in_float64
from twin.progress import progress

STARTS = 50
CHAINS = 4
"""Default of `calibration.sample`."""


@in_float64
def compare(
    problems: Mapping[str, Problem],
    by: Sequence[str] | str = ("AIC", "AICc", "BIC"),
    *,
    starts: int = STARTS,
    seed: int = 0,
    split: str = "time",
    sampling: Mapping[str, Any] | None = None,
    folder: str | PathLike[str] | None = None,
    quiet: bool = False,
) -> Comparison:
    """Compare models of the same readings.

    ==============  =================================================================================  ===============
    criterion       asks                                                                               needs
    ==============  =================================================================================  ===============
    ``AIC``         which fit loses least information, for many readings                               a fit
    ``AICc``        the same for few readings                                                          a fit
    ``BIC``         which is most probable, for many readings and priors that say little               a fit
    ``loo``         which predicts each reading best from all others                                   posterior draws
    ``held-out``    which predicts late times, new subjects or new experiments best                    the same by fold
    ``evidence``    under which mechanism *and priors* the readings are most probable                  tempered draws
    ==============  =================================================================================  ===============

    Args:
        problems: The models by name, at least two; the same readings in each, in any order.
        by: Criteria; the first one sorts the table.
        starts: Starts of each fit.
        seed: Seed of all fits, draws and scores.
        split: What "held-out" holds out: "time", "subject" or "experiment".
        sampling: Further arguments of `calibration.sample`, such as ``{"draws": 1000, "chains": 4}``.
        folder: A folder in which fits and numbers are kept, from which the same call goes on after an interruption.
        quiet: Show no progress.

    Raises:
        ProblemError: fewer than two models, an unknown criterion, different readings, or a folder of something else.
        SimulationError: a model cannot be integrated anywhere.

    Example:
        >>> found = calibration.compare({"eclipse": one, "none": other}, by=("AICc", "loo"))
        >>> print(found)
        >>> found.to_png("comparison.png")
    """
    asked = criteria(by)
    if len(problems) < 2:
        raise ProblemError(f"{len(problems)} models are given", where="compare", expected="two or more")
    settings = dict(sampling or {})
    if taken := {"seed", "initial", "quiet", "predictive", "starts"} & settings.keys():
        raise ProblemError(f"sampling has {sorted(taken)[0]!r}", where="compare", fix="give it to compare, or leave it")
    rows = matched_rows(problems)
    first = next(iter(problems.values()))
    folds = make_split(first.measurements.table, split, first.study) if _needs(asked, "refits") else None
    task = _Task(asked, starts, seed, settings, folds, dict(first.score_scale), quiet)
    series = first.measurements.table.groupby(["experiment", "subject"], sort=False).ngroup().to_numpy()
    models = {}
    with progress("comparing", len(problems), quiet) as line:
        for index, (name, problem) in enumerate(problems.items()):
            line.update(index, name)
            kept = Kept(None if folder is None else Path(folder), name, problem)
            models[name] = _computed(task, problem, kept, rows[name])
    table, units = _table(asked, models, series, int(settings.get("chains", CHAINS)))
    return Comparison(
        table=table.sort_values(asked[0].column, ascending=asked[0].lower),
        by=tuple(each.name for each in asked),
        readings=len(series),
        fits={name: model.fit for name, model in models.items()},
        pointwise=_pointwise(models),
        independent=units,
        split=None if folds is None else f"{folds.name}: {'; '.join(fold.label for fold in folds.folds)}",
        notes=_notes(task, problems, models),
    )


class _Task(NamedTuple):
    """What `compare` was asked for."""

    asked: tuple[Criterion, ...]
    starts: int
    seed: int
    sampling: dict[str, Any]
    folds: Split | None
    score_scale: dict[str, str]
    quiet: bool


class _Model(NamedTuple):
    """What was computed of one model; arrays are in the order of the first model's readings."""

    fit: Fit
    log_likelihood: np.ndarray
    loo: Any
    k_before: float
    worst_rhat: float
    held_out: pd.DataFrame | None
    evidence: tuple[float, float] | None


def _needs(asked: Sequence[Criterion], need: str) -> bool:
    return any(each.need == need for each in asked)


def _computed(task: _Task, problem: Problem, kept: Kept, rows: np.ndarray) -> _Model:
    best = kept.fit(starts=task.starts, seed=task.seed, quiet=task.quiet)
    each = np.asarray(problem.pointwise_many(best.best[None]))[0]
    common = {"starts": task.starts, "seed": task.seed, "sampling": task.sampling}
    drawing = {"seed": task.seed, "sampling": task.sampling, "quiet": task.quiet}
    elpd, before, rhat, held, evidence = None, math.nan, math.nan, None, None
    if _needs(task.asked, "posterior"):
        found = kept.part("loo", common, lambda: loo_numbers(problem, best, **drawing))
        elpd, before = as_elpd(found, rows), found["k_before"]
        rhat = math.nan if found["worst_rhat"] is None else found["worst_rhat"]
    if task.folds is not None:
        labels = [fold.label for fold in task.folds.folds]
        folds = task.folds

        def scores() -> dict[str, Any]:
            # CRPS on another scale would not be comparable: the first model's counts for all.
            found = held_out_scores(problem, folds, rows, task.score_scale, starts=task.starts, **drawing)
            return found.to_dict("list")

        held = pd.DataFrame(kept.part(f"held-out-{folds.name}", {**common, "folds": labels}, scores))
    if _needs(task.asked, "evidence"):
        numbers = kept.part("evidence", common, lambda: evidence_numbers(problem, **drawing))
        evidence = (numbers["log"], numbers["error"])
    return _Model(best, each[rows], elpd, before, rhat, held, evidence)


def _table(
    asked: Sequence[Criterion], models: Mapping[str, _Model], series: np.ndarray, runs: int
) -> tuple[pd.DataFrame, dict[str, Independent]]:
    """The table, and for each criterion what was taken as independent for its errors."""
    count = len(series)
    sizes = {name: len(model.fit.names) for name, model in models.items()}
    nllh = {name: float(-model.log_likelihood.sum()) for name, model in models.items()}
    table = pd.DataFrame({"parameters": sizes, "readings": count, "nllh": nllh})
    table.index.name = "model"
    units = {}
    for each in asked:
        if each.need == "fit":
            table[each.column] = [
                information_criteria(nllh[name], sizes[name], count)[each.name] for name in table.index
            ]
            table[each.weight] = weights(table[each.column].to_numpy())
            pointwise = {name: -2.0 * model.log_likelihood for name, model in models.items()}
        elif each.need == "posterior":
            pointwise = _add_loo(table, models)
        elif each.need == "refits":
            scored = {name: model.held_out for name, model in models.items()}
            units[each.name] = _add_held_out(table, scored, series)
            continue
        else:
            _add_evidence(table, models)
            units[each.name] = Independent("runs", 2 * runs)
            continue
        units[each.name] = _add_differences(table, each.column, pointwise, series, each.lower)
    return table, units


def _add_differences(
    table: pd.DataFrame, column: str, pointwise: Mapping[str, np.ndarray], series: np.ndarray, lower: bool
) -> Independent:
    """Differences from the best model, positive if worse, and their standard errors."""
    values = table[column] if lower else -table[column]
    if not np.isfinite(values.to_numpy()).any():
        table[f"{column}_difference"] = table[f"{column}_difference_se"] = math.nan
        return Independent("readings", len(series))
    best = values.idxmin()
    found = {name: paired_error(pointwise[name] - pointwise[best], series) for name in table.index}
    table[f"{column}_difference"] = values - values[best]
    table[f"{column}_difference_se"] = [found[name][0] for name in table.index]
    return found[best][1]


def _add_loo(table: pd.DataFrame, models: Mapping[str, _Model]) -> dict[str, np.ndarray]:
    found = stacked({name: model.loo for name, model in models.items()})
    table["elpd_loo"], table["elpd_loo_se"] = found["elpd"], found["se"]
    table["stacking_weight"], table["p_loo"] = found["weight"], found["p"]
    table["k_above_0.7"] = [float((models[name].loo.pareto_k > WORST_PARETO_K).mean()) for name in table.index]
    table["k_above_0.7_before"] = [models[name].k_before for name in table.index]
    return {name: model.loo.elpd_i.to_numpy() for name, model in models.items()}


def _add_held_out(table: pd.DataFrame, scored: Mapping[str, pd.DataFrame | None], series: np.ndarray) -> Independent:
    frames = {name: frame for name, frame in scored.items() if frame is not None}
    rows = next(iter(frames.values()))["row"].to_numpy()
    table["held_out_readings"] = len(rows)
    table["log_score"] = [frames[name]["elpd"].sum() for name in table.index]
    table["crps"] = [frames[name]["crps"].sum() for name in table.index]
    unit = _add_differences(
        table, "log_score", {n: f["elpd"].to_numpy() for n, f in frames.items()}, series[rows], lower=False
    )
    _add_differences(table, "crps", {n: f["crps"].to_numpy() for n, f in frames.items()}, series[rows], lower=True)
    # The CRPS has the unit of a reading: its mean is what people can imagine.
    for column in ("crps", "crps_difference", "crps_difference_se"):
        table[column] = table[column] / len(rows)
    return unit


def _add_evidence(table: pd.DataFrame, models: Mapping[str, _Model]) -> None:
    numbers = np.array([models[name].evidence for name in table.index])
    table["log_evidence"], table["log_evidence_se"] = numbers[:, 0], numbers[:, 1]
    best = int(np.argmax(numbers[:, 0]))
    table["log_evidence_difference"] = numbers[best, 0] - numbers[:, 0]
    # Runs of different models are independent; the best one is compared with itself exactly.
    error = np.hypot(numbers[:, 1], numbers[best, 1])
    error[best] = 0.0
    table["log_evidence_difference_se"] = error
    table["probability"] = weights(-2.0 * numbers[:, 0])


def _pointwise(models: Mapping[str, _Model]) -> pd.DataFrame:
    """Log-likelihood at the fit and leave-one-out density of every reading, in the first model's order."""
    columns = {("log_likelihood", name): model.log_likelihood for name, model in models.items()}
    columns |= {("elpd_loo", n): model.loo.elpd_i.to_numpy() for n, model in models.items() if model.loo is not None}
    return pd.DataFrame(columns)


def _notes(task: _Task, problems: Mapping[str, Problem], models: Mapping[str, _Model]) -> tuple[str, ...]:
    """What the reader has to know before believing the numbers."""
    notes = []
    fits_only = _needs(task.asked, "fit")
    for name, problem in problems.items():
        informative = [e.name for e in problem.parameters.entries if e.prior.family not in FLAT]
        if fits_only and informative:
            notes.append(
                f"{name}: {len(informative)} of {len(problem.names)} entries have informative priors; AIC, AICc and "
                "BIC are taken at the posterior's mode and count each entry as free, so they overstate its cost"
            )
        fit, model = models[name].fit, models[name]
        if fit.at_bound:
            notes.append(f"{name}: on a bound: {', '.join(fit.at_bound)}; asymptotic criteria are not exact there")
        if len(fit.objective) > 1 and fit.hits < 2:
            notes.append(f"{name}: the best optimum was found by one of {len(fit.objective)} starts; raise starts")
        if model.loo is not None and model.loo.warning:
            notes.append(f"{name}: the k-hat of some readings is above {WORST_PARETO_K} even after mending")
        if model.worst_rhat > 1.01:
            notes.append(f"{name}: the worst R-hat is {model.worst_rhat:.3f}: sample longer")
        if len(problem.measurements) - len(problem.names) <= 1 and any(c.name == "AICc" for c in task.asked):
            notes.append(f"{name}: as many parameters as readings: AICc is undefined")
    return tuple(notes)
