"""Layer L6: how much must be added to the mechanism, where, and whether it helps on held-out readings."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import pandas as pd

from calibration.discrepancy.along import Along, label_of
from calibration.discrepancy.kernel import length_prior, reach_prior
from calibration.discrepancy.likelihood import MarginalLikelihood
from calibration.discrepancy.posterior import CERTAINTY, PRACTICAL, Discrepancy, sample_discrepancy
from calibration.discrepancy.prediction import predict_with_discrepancy
from calibration.problem import Problem
from calibration.sim2real.assay import AssayLimits
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.check_row import Check, check_table
from calibration.sim2real.fold import FoldResult
from calibration.sim2real.scores import score_readings
from calibration.sim2real.splits import Split
from twin.errors import SimulationError
from twin.precision import float64

type Processes = Literal["shared", "own"]

LAYER, FORECASTER = "L6 discrepancy", "mechanism + discrepancy"
COLUMNS = {"crps": "crps", "interval_score_90": "interval_score", "coverage_50": "coverage_50",
           "coverage_90": "coverage_90", "elpd": "elpd"}  # fmt: skip
"""Scores that are kept, and their names. Baselines are the columns that begin with "crps "; these must not."""
PREFIX = "discrepancy_"
QUANTILES = {"median": "size", "lower": "low", "upper": "high"}
GRID_POINTS, COURSE_DRAWS, RESIDUAL_DRAWS = 81, 200, 200
MOST_R_HAT = 1.01


def check_discrepancy(problem: Problem, split: Split, processes: Processes, along: Along | None = None) -> None:
    """Refuse what has no closed form before anything is computed.

    Raises:
        ProblemError: the noise, the readings, their times or their doses do not allow a discrepancy.
    """
    form = {"shared": processes == "shared", "along": along}
    MarginalLikelihood(problem, **form)
    for fold in split.folds:
        train = MarginalLikelihood(problem.with_rows(fold.train), **form)
        for rows in train.rows:
            length_prior(train.time[rows])
            if train.dose is not None:
                reach_prior(train.dose[rows])


def add_discrepancy(
    assessment: Assessment,
    problem: Problem,
    results: list[FoldResult],
    limits: AssayLimits,
    *,
    processes: Processes,
    along: Along | None = None,
    sampling: dict[str, Any],
    seed: int,
    quiet: bool,
) -> Assessment:
    """The assessment with a discrepancy, sampled on the training rows of every fold; nothing else of it changes.

    Args:
        assessment: Without discrepancy.
        problem: The problem with all rows.
        results: Results of the folds; their fits are where the chains start.
        limits: Limits of every row, natural scale.
        processes: One discrepancy per observable for all series, or one for each of them.
        along: A number of the series, such as a dose, along which the one discrepancy may differ.
        sampling: Chains, warm-up and draws.
        seed: Seed of everything random.
        quiet: Show no progress.
    """
    begin = time.perf_counter()
    found = [
        sample_discrepancy(
            r.train,
            shared=processes == "shared",
            along=along,
            seed=seed + 101 * i,
            initial=r.fit,
            quiet=quiet,
            **sampling,
        )
        for i, r in enumerate(results)
    ]
    scores = pd.concat([_scores(problem, d, r, limits, seed) for d, r in zip(found, results, strict=True)])
    row = {name: float(scores[f"{PREFIX}{name}"].mean()) for name in COLUMNS.values()}
    row["elpd"] = float(scores[f"{PREFIX}elpd"].sum())
    each = "a discrepancy per observable" + ("" if processes == "shared" else " and series")
    each += "" if along is None else f", along {label_of(along)}"
    size = found[0].table().rename(columns=QUANTILES)
    size.insert(4, "unit", "noise scales")
    course = _course(found[0])
    by_dose = None if along is None else found[0].by_dose().rename(columns=QUANTILES)
    forecasters, alone = assessment.by_forecaster, float(assessment.scores["crps"].mean())
    added = pd.DataFrame([{"forecaster": FORECASTER, **row, "note": f"{each}; no baseline"}])
    return replace(
        assessment,
        scores=assessment.scores.assign(**{name: scores[name].to_numpy() for name in scores}),
        by_forecaster=pd.concat([forecasters.iloc[:1], added, forecasters.iloc[1:]], ignore_index=True),
        layers={**assessment.layers, LAYER: _checks(size, by_dose, found, alone, row["crps"])},
        diagnostics={**assessment.diagnostics, "seconds_discrepancy": time.perf_counter() - begin},
        discrepancy=size,
        discrepancy_by_dose=by_dose,
        discrepancy_course=course,
        discrepancy_residuals=_residuals(found[0], course),
    )


def _scores(problem: Problem, found: Discrepancy, result: FoldResult, limits: AssayLimits, seed: int) -> pd.DataFrame:
    fold = result.fold
    predicted = predict_with_discrepancy(found, problem, fold.train, seed=seed)
    if predicted.ok.sum() < 2:
        raise SimulationError(
            f"{int((~predicted.ok).sum())} of {len(predicted.ok)} draws with discrepancy cannot be integrated over the "
            "held-out rows",
            where=f"{problem.name}, fold {fold.label!r}",
            fix="raise max_steps, or assess without discrepancy",
        )
    scored = score_readings(
        problem.measurements.table.loc[fold.test],
        predicted.reading[predicted.ok][:, fold.test],
        scale=problem.score_scale,
        limits=limits[fold.test],
        log_likelihood=predicted.log_likelihood[predicted.ok][:, fold.test],
        seed=seed,
    )
    return pd.DataFrame({f"{PREFIX}{name}": scored[column] for column, name in COLUMNS.items()})


def _course(found: Discrepancy) -> pd.DataFrame:
    """Quantiles of the discrepancy on a grid over the readings of every process, and of every dose of it."""
    like = found.likelihood
    table = like.problem.bindings
    parts = []
    for name, rows in zip(like.observables, like.rows, strict=True):
        places: list[tuple[np.ndarray, tuple[str, str] | None, float | None]]
        if like.dose is not None:
            places = [(rows[like.dose[rows] == dose], None, float(dose)) for dose in np.unique(like.dose[rows])]
        elif like.shared:
            places = [(rows, None, None)]
        else:
            lanes = dict.fromkeys(table.lane[rows])
            places = [(rows[table.lane[rows] == lane], table.series[lane], None) for lane in lanes]
        for chosen, series, dose in places:
            read = like.time[chosen]
            # A series read once has a point; times of readings are on the grid, for what remains of residuals.
            times = np.unique(np.concatenate([np.linspace(read.min(), read.max(), GRID_POINTS), read]))
            draws = found.course(times, name, series, dose=dose, draws=COURSE_DRAWS)
            low, mid, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
            experiment, subject = series or ("", "")
            parts.append(
                pd.DataFrame({"observable": name, "experiment": experiment, "subject": subject,
                              "dose": np.nan if dose is None else dose, "time": times,
                              "q05": low, "q50": mid, "q95": high})
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _residuals(found: Discrepancy, course: pd.DataFrame) -> pd.DataFrame:
    """Standardised residuals of the mechanism at the posterior median of each, and what the discrepancy leaves."""
    like = found.likelihood
    flat = found.theta.reshape(-1, found.theta.shape[-1])
    thin = flat[:: max(1, len(flat) // RESIDUAL_DRAWS)][:RESIDUAL_DRAWS]
    with float64():
        residual = np.asarray(like.residuals_many(jnp.asarray(thin))[0])
    table = like.problem.measurements.table[["observable", "experiment", "subject", "time"]]
    made = table.assign(residual=np.nanmedian(residual, axis=0), dose=np.nan if like.dose is None else like.dose)
    process = ["experiment", "subject"] if not like.shared else ([] if like.dose is None else ["dose"])
    keys = ["observable", *process, "time"]
    middle = made.merge(course[[*keys, "q50"]], on=keys, how="left", validate="many_to_one")["q50"]
    return made.assign(remaining=made["residual"].to_numpy() - middle.to_numpy()).reset_index(drop=True)


def _checks(
    size: pd.DataFrame, by_dose: pd.DataFrame | None, found: list[Discrepancy], alone: float, together: float
) -> pd.DataFrame:
    """Size by observable and dose, whether the chains agree, and the held-out score beside the mechanism's alone."""
    checks = [_check_of_size(each, each["observable"]) for each in size.to_dict("records")]
    for each in [] if by_dose is None else by_dose.to_dict("records"):
        checks.append(_check_of_size(each, f"{each['observable']} at {each['dose']:.4g}"))
    worst = max(float(d.table()["r_hat"].max()) for d in found)
    diverging = sum(d.diverging for d in found)
    transitions = sum(d.amplitude[..., 0].size for d in found)
    checks += [
        Check(
            "discrepancy_r_hat",
            "discrepancy R-hat",
            worst,
            worst < MOST_R_HAT,
            f"worst amplitude over the folds, below {MOST_R_HAT}",
        ),
        Check(
            "discrepancy_divergent",
            "discrepancy divergent transitions",
            f"{diverging} of {transitions}",
            diverging <= 1e-3 * transitions,
            "at most 0.1 %",
            diverging / transitions,
        ),
        Check(
            "discrepancy_crps",
            "held-out CRPS with discrepancy",
            f"{together:.3g} against {alone:.3g}",
            None,
            "mechanism and discrepancy together against the mechanism alone; lower is better",
            together,
        ),
    ]
    return check_table(checks)


def _check_of_size(each: dict[str, Any], what: str) -> Check:
    # Not flagged is no proof of absence: passed only where the whole interval is below the noise.
    outcome = False if each["flagged"] else (True if each["high"] < 1 else None)
    return Check(
        f"discrepancy.{what.replace(' at ', '.')}",
        f"discrepancy size {what}",
        f"{each['size']:.2g} ({each['low']:.2g} to {each['high']:.2g}) noise scales",
        outcome,
        f"above {PRACTICAL} with probability {each['practical']:.2g}: "
        + (f"flagged, above {CERTAINTY}" if each["flagged"] else f"flagged if above {CERTAINTY}"),
        each["size"],
    )
