"""Measure the gap: calibrate on part of the data, predict the rest, compare with curves that know no biology."""

from __future__ import annotations

import time
from dataclasses import replace
from os import PathLike
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.compiled import shared_method
from calibration.discrepancy.along import Along
from calibration.problem import Problem
from calibration.provenance import provenance
from calibration.sim2real.assay import AssayLimits, assay_limits
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.checks import predictive_tests
from calibration.sim2real.context import read_context
from calibration.sim2real.credibility import judge_context
from calibration.sim2real.discrepancy_layer import Processes, add_discrepancy, check_discrepancy
from calibration.sim2real.floor import Floor, noise_floor, posterior_sigma
from calibration.sim2real.fold import FoldResult, bands_table, readings_table, run_fold
from calibration.sim2real.gap import measure_gap
from calibration.sim2real.layers import layer_tables
from calibration.sim2real.parameter_table import convergence, parameter_table
from calibration.sim2real.replicates import of_all_folds, replicated_coverage
from calibration.sim2real.scores import LEVELS
from calibration.sim2real.splits import Split, make_split, split_subject, split_time
from calibration.sim2real.verdict import NAMES, judge
from twin import library
from twin.errors import ProblemError
from twin.precision import float64

Kind = Literal["time", "subject", "experiment"]

LEAST_DRAWS = 25
"""Pareto smoothing of importance weights wants five draws in the tail, a fifth of all."""


def assess(
    problem: Problem,
    split: Kind | Split = "time",
    *,
    seed: int = 0,
    starts: int = 24,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    fraction: float = 0.35,
    folds: int = 3,
    context: str | PathLike[str] | None = None,
    discrepancy: bool | Processes = False,
    along: Along | None = None,
    quiet: bool = False,
) -> Assessment:
    """Assess a problem on held-out data.

    Every fold is calibrated on its training rows only; parameters of subjects it has not seen follow their prior. The
    held-out rows are scored by CRPS and interval measures beside a mean, persistence, a spline and a Gaussian process
    fitted to the same training rows.

    Args:
        problem: The problem with all its readings.
        split: "time" (the last readings of every series), "subject" (whole subjects, in folds), "experiment" (the arms
            the study names), or a `Split` of one's own.
        seed: Seed of everything random.
        starts: Starts of each fit.
        chains: Chains of each posterior.
        warmup: Adaptation per chain.
        draws: Draws kept per chain.
        fraction: Share of the distinct times that the split "time" holds out.
        folds: Folds of the split "subject".
        context: A YAML file with the context of use: what the twin is for, and thresholds of checks that were fixed in
            advance (``docs/credibility.md``). It is read before anything is computed.
        discrepancy: Also sample a discrepancy between mechanism and readings (layer L6): True or "shared" for one per
            observable, "own" for one per observable and series. It takes another posterior per fold.
        along: A number of the series, such as a dose, along which a shared discrepancy may differ, with a size for each
            (as in `calibration.discrepancy.sample_discrepancy`); asks for a discrepancy by itself.
        quiet: Show no progress.

    Returns:
        The assessment: verdict, gap with interval, tables, draws; ``.to_html(path)`` writes the page.

    Raises:
        ProblemError: there are too few draws, the data do not allow the split, the context of use is faulty or about
            something else, or noise and readings allow no discrepancy.
        SimulationError: no fit or no prediction could be integrated.

    Example:
        >>> problem = calibration.Problem.from_study("influenza_baccam2006")
        >>> report = calibration.assess(problem, split="time", seed=0)
        >>> print(report.verdict)
    """
    if chains * draws < LEAST_DRAWS:
        raise ProblemError(
            f"{chains} chains of {draws} draws are kept",
            where="assess",
            expected=f"at least {LEAST_DRAWS} draws together, for leave-one-out densities",
        )
    begin = time.perf_counter()
    table = problem.measurements.table
    chosen = _split(problem, table, split, fraction, folds)
    dataset = problem.study.dataset if problem.study is not None else problem.measurements.source
    asked = read_context(context) if context is not None else None
    if asked is not None:
        asked.check_subject(problem.model.name, dataset, chosen.name)
    limits = assay_limits(table)
    processes: Processes = "shared" if discrepancy is True else discrepancy or "shared"
    wanted = bool(discrepancy) or along is not None
    if wanted:
        check_discrepancy(problem, chosen, processes, along)
    sampling = {"chains": chains, "warmup": warmup, "draws": draws}
    results = [
        run_fold(problem, fold, limits, seed=seed + 101 * index, sampling=sampling, starts=starts, quiet=quiet)
        for index, fold in enumerate(chosen.folds)
    ]
    floor = _floor(problem, table, results, limits)
    scores = pd.concat([r.scores.assign(floor=floor.score[r.fold.test]) for r in results])
    undefined = {name: reason for r in results for name, reason in r.undefined.items()}
    crps = {
        name.removeprefix("crps "): scores[name].to_numpy()
        for name in scores.columns
        if name.startswith("crps ") and name.removeprefix("crps ") not in undefined
    }
    gap = measure_gap(scores, crps, scores["floor"].to_numpy(), left_out=undefined)
    replicates = {level: _replicates(problem, table, results, limits, level) for level in LEVELS}
    verdict = judge(gap, float(scores["coverage_90"].mean()), replicates[0.9])
    tests = _predictive_tests(problem, results, limits)
    parameters = parameter_table(problem, results[0])
    converged = pd.concat([convergence(problem, r) for r in results])
    settings: dict[str, Any] = {"split": chosen.name, "seed": seed, "starts": starts, **sampling}
    settings |= {"discrepancy": processes} if wanted else {}
    settings |= {"along": along if isinstance(along, str) else dict(along)} if along is not None else {}
    assessment = Assessment(
        title=_title(problem, chosen),
        problem=problem.name,
        model=problem.model.name,
        dataset=dataset,
        split=chosen,
        gap=gap,
        verdict=verdict,
        readings=pd.concat([readings_table(problem, r) for r in results], ignore_index=True),
        scores=scores,
        by_forecaster=_by_forecaster(scores, list(crps), undefined, results[0].baseline_notes, floor),
        bands=pd.concat([bands_table(problem, r, seed) for r in results], ignore_index=True),
        parameters=parameters,
        layers=layer_tables(problem, results, scores, gap, tests, parameters, converged, replicates),
        predictive_tests=tests,
        diagnostics=_diagnostics(results, converged, time.perf_counter() - begin),
        score_scale={name: problem.score_scale.get(name, "lin") for name in problem.measurements.observables},
        units={name: problem.model.unit(name) for name in problem.measurements.observables}
        | {"time": problem.model.time_unit},
        provenance=provenance(problem, settings),
        draws=[r.draws for r in results],
        limits={
            str(name): float(limits.lower[rows][0])
            for name, rows in table.groupby("observable").indices.items()
            if np.isfinite(limits.lower[rows][0])
        },
    )
    if wanted:
        assessment = add_discrepancy(
            assessment, problem, results, limits, processes=processes, along=along, sampling=sampling, seed=seed,
            quiet=quiet,
        )  # fmt: skip
    # Last, since a context may ask for what the discrepancy says.
    return assessment if asked is None else replace(assessment, credibility=judge_context(asked, assessment.layers))


def _split(problem: Problem, table: pd.DataFrame, split: Kind | Split, fraction: float, folds: int) -> Split:
    if isinstance(split, Split):
        return split
    if problem.study is not None and split not in problem.study.splits:
        return make_split(table, split, problem.study)  # refuses, and says which splits the study offers
    if split == "time":
        return split_time(table, fraction)
    if split == "subject":
        return split_subject(table, folds)
    if split == "experiment" and problem.study is None:
        raise ProblemError(
            "the split 'experiment' needs to know which experiments to hold out",
            where=problem.name,
            fix="pass split=split_experiment(table, held_out=[...]) from calibration.sim2real.splits",
        )
    return make_split(table, split, problem.study)


def _floor(problem: Problem, table: pd.DataFrame, results: list[FoldResult], limits: AssayLimits) -> Floor:
    """The noise floor; the posterior noise of the first fold is one of its sources."""
    train, thin = results[0].train, max(1, len(results[0].theta) // 100)
    with float64():
        predicted = shared_method(train, Problem.predict_many)(jnp.asarray(results[0].theta[::thin]))
    posterior = posterior_sigma(
        problem.noise_models,
        train.bindings.rows_of,
        np.median(np.asarray(predicted.value), axis=0),
        np.median(np.asarray(predicted.scale), axis=0),
        problem.score_scale,
    )
    study = problem.study
    return noise_floor(
        table,
        scale=problem.score_scale,
        declared=study.floor if study is not None else None,
        posterior=posterior,
        families={name: noise.family for name, noise in problem.noise.items()},
        limits=limits,
    )


def _replicates(
    problem: Problem, table: pd.DataFrame, results: list[FoldResult], limits: AssayLimits, level: float
) -> Float[np.ndarray, " replicate"]:
    """Coverage of the held-out readings of all folds, had the twins made them."""
    made = [
        replicated_coverage(
            table.loc[r.fold.test],
            r.predicted.reading[:, r.fold.test],
            level,
            scale=problem.score_scale,
            limits=limits[r.fold.test],
        )
        for r in results
    ]
    return of_all_folds(made, [int(r.fold.test.sum()) for r in results])


def _predictive_tests(problem: Problem, results: list[FoldResult], limits: AssayLimits) -> pd.DataFrame:
    """Named statistics of the training data against their replicates, in the first fold."""
    first, table = results[0], problem.measurements.table
    rows = first.fold.train
    tests = predictive_tests(
        table.loc[rows], first.predicted.reading[:, rows], scale=problem.score_scale, limits=limits[rows]
    )
    series = tests["experiment"] + ", subject " + tests["subject"] + ", " + tests["observable"]
    return tests.assign(series=series)


def _by_forecaster(
    scores: pd.DataFrame, names: list[str], undefined: dict[str, str], notes: dict[str, str], floor: Floor
) -> pd.DataFrame:
    def mean(column: str) -> float:
        return float(scores[column].mean()) if column in scores else float("nan")

    records: list[dict[str, Any]] = [
        {
            "forecaster": "twin",
            "crps": mean("crps"),
            "coverage_50": mean("coverage_50"),
            "coverage_90": mean("coverage_90"),
            "interval_score": mean("interval_score"),
            "elpd": float(scores["elpd"].sum()),
            "note": "",
        }
    ]
    for name in names:
        records.append(
            {
                "forecaster": name,
                "crps": mean(f"crps {name}"),
                "coverage_50": mean(f"coverage_50 {name}"),
                "coverage_90": mean(f"coverage_90 {name}"),
                "interval_score": mean(f"interval_score_90 {name}"),
                "elpd": float("nan"),
                "note": notes.get(name, ""),
            }
        )
    blank = dict.fromkeys(("crps", "coverage_50", "coverage_90", "interval_score", "elpd"), float("nan"))
    records += [{"forecaster": name, **blank, "note": f"not defined: {why}"} for name, why in undefined.items()]
    sources = "; ".join(f"{name}: {source}" for name, source in floor.sources.items())
    records.append({"forecaster": "floor", **blank, "crps": mean("floor"), "note": f"noise, {sources}"})
    return pd.DataFrame.from_records(records)


def _diagnostics(results: list[FoldResult], converged: pd.DataFrame, seconds: float) -> dict[str, Any]:
    stats = [r.draws["sample_stats"] for r in results]
    return {
        "folds": len(results),
        "chains": int(stats[0].sizes["chain"]),
        "draws": int(sum(s.sizes["chain"] * s.sizes["draw"] for s in stats)),
        "divergences": int(sum(s["diverging"].sum() for s in stats)),
        "worst_r_hat": float(converged["r_hat"].max()),
        "least_ess_bulk": float(converged["ess_bulk"].min()),
        "leapfrogs_per_draw": float(np.mean([s["n_steps"].mean() for s in stats])),
        "fit_starts": sum(len(r.fit.objective) for r in results),
        "fit_starts_at_best": sum(r.fit.hits for r in results),
        "redrawn_starts": sum(r.fit.redrawn for r in results),
        "failed_starts": sum(r.fit.failed for r in results),
        "failed_draws": sum(r.failed_draws for r in results),
        "seconds": seconds,
    }


def _title(problem: Problem, split: Split) -> str:
    held = {
        "time": "the last readings held out",
        "subject": "whole subjects held out",
        "experiment": "whole experiments held out",
    }.get(split.name, "readings held out")
    named = problem.study is not None and problem.study.model in library.list_models()
    title = library.card(problem.model.name).title if named else problem.name
    return f"{title}: {held}"


__all__ = ["NAMES", "assess"]
