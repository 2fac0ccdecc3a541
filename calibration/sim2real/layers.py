"""The layers of validation L0 to L4, each a table of checks, never averaged into one number."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import arviz_stats
import jax.numpy as jnp
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import ArrayLike

import twin
from calibration.compiled import shared_method
from calibration.problem import Problem
from calibration.sim2real.assay import assay_limits
from calibration.sim2real.check_row import Check, check_table
from calibration.sim2real.checks import conservation, pit_uniformity, positivity
from calibration.sim2real.fold import FoldResult
from calibration.sim2real.gap import Gap
from calibration.sim2real.own_checks import Evidence, own_checks, run_own_checks
from calibration.sim2real.pit_ecdf import pit_ecdf_check
from calibration.sim2real.replicates import tails
from calibration.sim2real.rule_checks import rule_checks
from calibration.sim2real.series_checks import energy_check, series_checks
from calibration.sim2real.verdict import EACH_TAIL, judge
from twin import library
from twin.plausibility import Rule
from twin.precision import float64
from twin.solve import Tolerance

MOST_R_HAT, LEAST_ESS, MOST_DIVERGENT = 1.01, 400.0, 1e-3
SMALL_P = 0.01
LOO_RELIABLE = 0.7
TRAJECTORY_DRAWS = 100


def layer_tables(
    problem: Problem,
    results: list[FoldResult],
    scores: pd.DataFrame,
    gap: Gap,
    tests: pd.DataFrame,
    parameters: pd.DataFrame,
    converged: pd.DataFrame,
    replicates: Mapping[float, np.ndarray],
) -> dict[str, pd.DataFrame]:
    """The checks of each layer: columns key, check, result, value, passed (None where there is no threshold), note.

    Args:
        problem: The problem with all rows.
        results: Results of the folds.
        scores: Held-out rows with scores.
        gap: The headline.
        tests: Posterior predictive tests.
        parameters: Parameters beside published values.
        converged: R-hat and bulk ESS of every entry in every fold.
        replicates: By level, the coverage that readings made by the twins would have.
    """
    layers = {
        "L0 verification": _verification(results, converged),
        "L1 statistical": _statistical(problem, results[0], tests),
        "L2 biological": _biological(problem, results[0], parameters),
        "L3 uncertainty": _uncertainty(scores, replicates),
        "L4 extrapolation": _extrapolation(scores, gap),
    }
    evidence, added = Evidence(problem, results, scores, parameters), own_checks()
    for layer in {check.layer: None for check in added.values()}:
        layers[layer] = [*layers.get(layer, []), *run_own_checks(evidence, layer, added)]
    return {layer: check_table(rows) for layer, rows in layers.items()}


def _verification(results: list[FoldResult], converged: pd.DataFrame) -> list[Check]:
    first = results[0]
    stats = xr.concat([r.draws["sample_stats"]["diverging"] for r in results], dim="fold")
    divergent = float(stats.mean())
    r_hat, ess = float(converged["r_hat"].max()), float(converged["ess_bulk"].min())
    hits, starts = first.fit.hits, len(first.fit.objective)
    return [
        Check(
            "solver_tolerance",
            "solver tolerance",
            (change := _tolerance_change(first)),
            change < 0.05,
            "change of the log-likelihood at the best fit when tolerances are a hundred times tighter",
        ),
        Check(
            "gradient",
            "gradient",
            (error := _gradient_error(first)),
            error < 1e-3,
            "largest relative difference to central differences at the best fit",
        ),
        Check(
            "multi_start",
            "multi-start",
            f"{hits} of {starts}",
            hits > 1,
            "starts that reach the best objective; one alone may be luck",
            hits,
        ),
        Check(
            "r_hat",
            "R-hat",
            r_hat,
            r_hat < MOST_R_HAT,
            f"worst of {len(converged)} numbers over the folds, below {MOST_R_HAT}",
        ),
        Check(
            "ess_bulk",
            "bulk ESS",
            ess,
            ess > LEAST_ESS,
            f"least of {len(converged)} numbers over the folds, above {LEAST_ESS:.0f}",
        ),
        Check("divergent", "divergent transitions", divergent, divergent <= MOST_DIVERGENT, "share, at most 0.1 %"),
        Check(
            "failed_draws",
            "failed draws",
            sum(r.failed_draws for r in results),
            None,
            "posterior draws that could not be integrated over all rows; left out of the predictions",
        ),
    ]


def _tolerance_change(result: FoldResult) -> float:
    train = result.train
    tight = train.with_tolerance(
        Tolerance(train.tolerance.rtol / 100, train.tolerance.atol / 100, 4 * train.tolerance.max_steps)
    )
    with float64():
        best = jnp.asarray(result.fit.best[None])
        values = [float(shared_method(each, Problem.log_likelihood_many)(best)[0]) for each in (train, tight)]
    return abs(values[1] - values[0])


def _gradient_error(result: FoldResult) -> float:
    """Reverse-mode gradient against central differences along every entry, relative to the largest entry."""
    train, best = result.train, result.fit.best
    steps = 1e-4 * np.maximum(np.abs(best), 1.0)
    with float64():
        points = np.concatenate([best + np.diag(steps), best - np.diag(steps), best[None]])
        values, gradients = shared_method(train, Problem.log_likelihood_and_gradient_many)(jnp.asarray(points))
    above, below = np.split(np.asarray(values)[:-1], 2)
    differences = (above - below) / (2 * steps)
    # At an optimum gradients vanish: compare with the size of the changes that the differences are made of.
    curvature = np.abs(above + below - 2 * float(values[-1])) / steps**2
    scale = max(1.0, float(np.max(np.abs(differences))), float(np.sqrt(np.nanmax(curvature))))
    return float(np.max(np.abs(differences - np.asarray(gradients)[-1])) / scale)


def _statistical(problem: Problem, result: FoldResult, tests: pd.DataFrame) -> list[Check]:
    small = int((tests["p_value"] < 0.05).sum())
    expected = 0.05 * len(tests)
    rows: list[Check] = [
        Check(
            "predictive_tests",
            "predictive tests",
            f"{small} of {len(tests)} below 0.05",
            small <= max(2.0, 2 * expected),
            "named statistics of the training data against replicates; they are cautious, so few are expected",
            small / len(tests) if len(tests) else float("nan"),
        )
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ warns of high k-hat, which is the next row
        loo = arviz_stats.loo(result.draws, var_name="reading", pointwise=True)
        k = np.asarray(loo.pareto_k).ravel()
        pit = arviz_stats.loo_pit(result.draws, var_names="reading", random_state=0)
    values = np.clip(np.asarray(pit["reading"]).ravel(), 0.0, 1.0)
    uniform = pit_uniformity(values)
    unreliable = float(np.mean(k > LOO_RELIABLE))
    rows += [
        Check(
            "loo_pit",
            "LOO-PIT",
            f"p = {uniform.p_value:.3g}",
            uniform.p_value > SMALL_P,
            "uniformity of leave-one-out PIT values of the training data (censored ones at their limit)",
            uniform.p_value,
        ),
        Check(
            "loo_elpd",
            "LOO ELPD",
            f"{loo.elpd:.1f} ± {loo.se:.1f}",
            None,
            "log density of training readings left out one by one, summed",
            float(loo.elpd),
        ),
        Check(
            "loo_unreliable",
            "LOO reliability",
            f"{unreliable:.0%} with k-hat above {LOO_RELIABLE}",
            unreliable <= 0.1,
            "readings for which importance sampling cannot replace a refit",
            unreliable,
        ),
        pit_ecdf_check("loo_pit_ecdf", "LOO-PIT curve", values),
    ]
    return rows + _series(problem, result)


def _series(problem: Problem, result: FoldResult) -> list[Check]:
    """Whole series of the first fold as vectors: training ones against replicates, energy scores of both parts."""
    table, draws = problem.measurements.table, result.predicted.reading
    limits, scale = assay_limits(table), problem.score_scale
    train, test = result.fold.train, result.fold.test
    checks = series_checks(table.loc[train], draws[:, train], scale=scale, limits=limits[train])
    parts = {"energy_train": ("training", train), "energy_held_out": ("held-out", test)}
    return checks + [
        energy_check(key, f"energy score, {word}", table.loc[rows], draws[:, rows], scale=scale, limits=limits[rows])
        for key, (word, rows) in parts.items()
    ]


def _biological(problem: Problem, result: FoldResult, parameters: pd.DataFrame) -> list[Check]:
    case = _first_series(problem, result)
    states, totals = _trajectories(problem, case)
    dips = positivity(states)
    rows: list[Check] = [
        Check(
            f"positive.{row.state}",
            f"{row.state} stays positive",
            float(row.lowest),
            bool(row.passed),
            "lowest value over posterior draws and time" if row.passed else f"{row.draws_negative:.0%} of draws dip",
            float(row.draws_negative),
        )
        for row in dips.itertuples()
    ]
    if totals:
        rows += [
            Check(
                f"conserved.{row.total}",
                f"{row.total} is conserved",
                float(row.drift),
                bool(row.passed),
                "largest relative drift over draws",
            )
            for row in conservation(totals).itertuples()
        ]
    compared = parameters[parameters["published"].notna()]
    inside = int(compared["inside"].sum())
    if len(compared):
        outside = ", ".join(compared.loc[~compared["inside"].astype(bool), "name"])
        rows.append(
            Check(
                "published_inside",
                "published values",
                f"{inside} of {len(compared)} inside",
                None,
                "published estimates in the 90 % interval" + (f"; outside: {outside}" if outside else ""),
                inside / len(compared),
            )
        )
    rows += rule_checks(problem.model, _rules(problem), *case)
    rows += _prior_conflict(problem, result)
    return rows


def _prior_conflict(problem: Problem, result: FoldResult) -> list[Check]:
    """Parameters whose posterior sits in the tail of their prior: data and prior pull apart."""
    theta = result.theta
    prior = problem.prior.draw(np.random.default_rng(1), 4000)
    medians = np.median(theta, axis=0)
    below, above = (prior < medians).mean(axis=0), (prior > medians).mean(axis=0)
    tail = 2 * np.minimum(below, above)
    far = [name for name, p in zip(problem.names, tail, strict=True) if p < 0.02]
    note = "posterior median beyond the central 98 % of the prior" + (f": {', '.join(far)}" if far else "")
    return [Check("prior_conflict", "prior-data conflict", f"{len(far)} of {len(tail)}", not far, note, len(far))]


def _rules(problem: Problem) -> tuple[Rule, ...]:
    known = problem.study is not None and problem.study.model in library.list_models()
    return library.card(problem.study.model).rules if problem.study is not None and known else ()


class Case(NamedTuple):
    """Posterior draws of one series: parameter values by name, what is done to it, and its last reading."""

    parameters: Mapping[str, ArrayLike]
    experiment: twin.Experiment
    end: float


def _first_series(problem: Problem, result: FoldResult) -> Case:
    model, bindings = problem.model, problem.bindings
    thin = result.theta[:: max(1, len(result.theta) // TRAJECTORY_DRAWS)][:TRAJECTORY_DRAWS]
    with float64():
        values = problem.predictor.values(jnp.asarray(thin))
    parameters = dict(problem.fixed) | {
        name: np.asarray(value[0]) for name, value in values.items() if name in model.parameter_names
    }
    name, _ = bindings.series[0]
    return Case(parameters, problem.experiments[name], float(bindings.times[:, 0].max()))


def _trajectories(problem: Problem, case: Case) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """States that must be positive, and totals conserved between doses, over draws and times."""
    model, experiment = problem.model, case.experiment
    positive = [s.name for s in model.states if s.positive]
    formulas = {c.name: c.formula for c in model.conserved} if not (experiment.doses or experiment.resets) else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", twin.errors.TwinWarning)  # failed draws are counted in L0
        ds = twin.simulate(
            model,
            np.linspace(experiment.t0, max(case.end, experiment.t0 + 1e-9), 60),
            case.parameters,
            experiment,
            list(dict.fromkeys([*positive, *formulas.values()])),
        )
    usable = np.isfinite(ds.to_array().to_numpy()).all(axis=(0, 2))
    pick = {key: ds[key].to_numpy()[usable] for key in ds.data_vars}
    return {s: pick[s] for s in positive}, {name: pick[formula] for name, formula in formulas.items()}


def _uncertainty(scores: pd.DataFrame, replicates: Mapping[float, np.ndarray]) -> list[Check]:
    n = len(scores)
    c50, c90 = float(scores["coverage_50"].mean()), float(scores["coverage_90"].mean())
    pit = pit_uniformity(scores["pit"].to_numpy())

    def covered(level: float, coverage: float) -> Check:
        """Neither tail of the coverage of replicates holds it."""
        low, high = tails(coverage, replicates[level])
        name = round(100 * level)
        ends = np.quantile(replicates[level], [EACH_TAIL, 1 - EACH_TAIL])
        note = f"held-out readings inside, of {n}; replicates of the twin have {ends[0]:.0%} to {ends[1]:.0%}"
        passed = min(low, high) >= EACH_TAIL
        return Check(f"coverage_{name}", f"coverage of {name} % intervals", coverage, passed, note)

    return [
        covered(0.5, c50),
        covered(0.9, c90),
        Check(
            "pit",
            "PIT",
            f"p = {pit.p_value:.3g}",
            pit.p_value > SMALL_P,
            "uniformity over held-out readings",
            pit.p_value,
        ),
        pit_ecdf_check("pit_ecdf", "PIT curve", scores["pit"].to_numpy()),
        Check("crps", "CRPS", float(scores["crps"].mean()), None, "mean over held-out readings, lower is better"),
        Check(
            "interval_score",
            "interval score",
            float(scores["interval_score"].mean()),
            None,
            "of the 90 % intervals, lower is better",
        ),
        Check("elpd", "ELPD", float(scores["elpd"].sum()), None, "log density of held-out readings, summed"),
    ]


def _extrapolation(scores: pd.DataFrame, gap: Gap) -> list[Check]:
    # Whether the difference is more than chance is judged once, by the headline's interval.
    outcome = {"better": True, "worse": False}.get(judge(gap).label)
    rows: list[Check] = [
        Check(
            "gap",
            "gap",
            f"{gap.value:.2f} ({gap.low:.2f} to {gap.high:.2f})",
            outcome,
            "below 1 the mechanism helps",
            gap.value,
        )
    ]
    best = f"crps {gap.baseline_name}"
    groups = [(f"fold.{label}", f"fold {label}", part) for label, part in scores.groupby("fold", sort=False)]
    middle = float(scores["time"].median())
    nearer, farther = scores[scores["time"] <= middle], scores[scores["time"] > middle]
    if len(nearer) and len(farther):
        groups += [
            ("nearer", f"held out, time up to {middle:g}", nearer),
            ("farther", f"held out, time after {middle:g}", farther),
        ]
    for key, label, part in groups:
        twin_crps, other = float(part["crps"].mean()), float(part[best].mean())
        rows.append(
            Check(
                f"crps_ratio.{key}",
                label,
                f"{twin_crps:.3g} against {other:.3g}",
                None,
                f"CRPS of the twin against {gap.baseline_name}, {len(part)} readings; the value is their ratio",
                twin_crps / other if other > 0 else float("nan"),
            )
        )
    return rows
