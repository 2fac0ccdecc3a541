"""Calibrate on the readings there are, predict those of a design, and freeze the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from calibration.predict import Draws
from calibration.problem import Problem
from calibration.prospective.design import check_design, with_design
from calibration.prospective.frozen import Frozen
from calibration.provenance import provenance
from calibration.sim2real.assay import AssayLimits, assay_limits
from calibration.sim2real.baselines import predict_baselines
from calibration.sim2real.floor import noise_floor, posterior_sigma
from calibration.sim2real.fold import Trained, calibrated
from calibration.sim2real.parameter_table import convergence
from twin.errors import ProblemError
from twin.experiment import Experiment
from twin.precision import float64

MOST_DRAWS = 1000
"""Draws kept in the file; more would not change the scores."""


def freeze(
    problem: Problem,
    design: pd.DataFrame,
    *,
    experiments: Mapping[str, Experiment] | None = None,
    seed: int = 0,
    starts: int = 24,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    question: str = "",
    quiet: bool = False,
) -> Frozen:
    """Predict readings that are not there yet.

    The mechanism and the baselines (mean, persistence, spline, Gaussian process) are calibrated on the problem's
    readings alone. Everything that scoring needs is in the result; no model is run when the readings come.

    Args:
        problem: The problem with the readings there are.
        design: What will be read: columns experiment, subject, observable, time; see `check_design`.
        experiments: What is done in experiments that the readings do not have; those of a study are known.
        seed: Seed of everything random.
        starts: Starts of the fit.
        chains: Chains of the posterior.
        warmup: Adaptation per chain.
        draws: Draws per chain; the file keeps at most 1,000 in all.
        question: What the prediction is for, in words; it becomes part of what is hashed.
        quiet: Show no progress.

    Returns:
        The predictions. ``about`` holds problem, model and its fingerprint, hash of the training readings, question,
        `frozen_at` (UTC, by the clock of this machine), noise models, score scales, units, settings, versions,
        convergence and reasons for baselines that are not defined.

    Raises:
        MeasurementError: the design cannot be used.
        ProblemError: the problem cannot be asked for other readings.
        SimulationError: no posterior draw can predict the design.

    Example:
        >>> frozen = calibration.freeze(problem, pd.DataFrame({"observable": "titre", "time": [8.0, 9.0]}))
        >>> frozen.save("titres.nc")  # the hash, to be kept by somebody else
    """
    if problem.by_reading is not None:
        raise ProblemError(
            "some parameters have a value of their own in each reading, which a reading to come does not have yet",
            where=problem.name,
            fix="give the parameters one value per experiment",
        )
    whole, asked = with_design(problem, check_design(design, problem), experiments)
    settings = {"seed": seed, "starts": starts, "chains": chains, "warmup": warmup, "draws": draws}
    trained = calibrated(
        whole,
        ~asked,
        "the design",
        seed=seed,
        sampling={"chains": chains, "warmup": warmup, "draws": draws},
        starts=starts,
        quiet=quiet,
    )
    thin = _spread(len(trained.theta))
    theta = trained.theta[thin]
    with float64():
        scale = np.asarray(whole.predict_many(theta).scale)
    table = whole.measurements.table
    # Limits and noise are those of the readings there are: a design has none.
    limits = _known_limits(problem, table["observable"])
    baselines = predict_baselines(
        table,
        ~asked,
        asked,
        scale=whole.score_scale,
        covariate=problem.study.covariate if problem.study is not None else None,
        limits=limits,
        draws=MOST_DRAWS,
        seed=seed,
    )
    predicted = Draws(*(part[thin] for part in trained.predicted))
    return Frozen(
        design=table.loc[asked, ["experiment", "subject", "observable", "time"]].reset_index(drop=True),
        value=predicted.value[:, asked],
        scale=scale[:, asked],
        reading=predicted.reading[:, asked],
        sigma=_sigma(problem, whole, predicted.value, scale, asked),
        limit=limits.lower[asked],
        baselines={name: made.draws for name, made in baselines.items() if made.draws is not None},
        about=_about(whole, problem, trained, question, settings)
        | {"undefined baselines": {n: made.reason for n, made in baselines.items() if made.draws is None}},
    )


def _spread(count: int) -> np.ndarray:
    """At most `MOST_DRAWS` places, evenly spread over the chains."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_DRAWS)).round().astype(int))


def _known_limits(problem: Problem, observable: pd.Series) -> AssayLimits:
    """The limits of the readings there are, for rows of these observables."""
    table = problem.measurements.table
    known = assay_limits(table)

    def of(ends: Float[np.ndarray, " reading"], otherwise: float) -> Float[np.ndarray, " row"]:
        by_name = dict(zip(table["observable"], ends, strict=True))
        return observable.map(by_name).astype(float).fillna(otherwise).to_numpy()

    return AssayLimits(of(known.lower, -np.inf), of(known.upper, np.inf), known.bins)


def _sigma(
    problem: Problem,
    whole: Problem,
    value: Float[np.ndarray, "draw reading"],
    scale: Float[np.ndarray, "draw reading"],
    asked: Bool[np.ndarray, " reading"],
) -> Float[np.ndarray, " row"]:
    """Noise of each asked reading on the score scale: that of the training readings of its observable.

    Where nothing was read of the observable, the posterior of the noise model is all there is.
    """
    table, study = problem.measurements.table, problem.study
    typical = np.median(value, axis=0), np.median(scale, axis=0)
    known = (part[~asked] for part in typical)
    floor = noise_floor(
        table,
        scale=problem.score_scale,
        declared=study.floor if study is not None else None,
        posterior=posterior_sigma(problem.noise_models, problem.bindings.rows_of, *known, problem.score_scale),
        families={name: noise.family for name, noise in problem.noise.items()},
    )
    sigma = posterior_sigma(whole.noise_models, whole.bindings.rows_of, *typical, problem.score_scale)
    sigma |= pd.Series(floor.sigma).groupby(table["observable"].to_numpy()).median().to_dict()
    return whole.measurements.table.loc[asked, "observable"].map(sigma).to_numpy(dtype=float)


def _about(
    whole: Problem, problem: Problem, trained: Trained, question: str, settings: dict[str, Any]
) -> dict[str, Any]:
    converged = convergence(whole, trained)
    origin = provenance(problem, settings)
    observables = whole.measurements.observables
    return {
        "problem": problem.name,
        "question": question,
        "frozen_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": origin["model"],
        "training": origin["data"] | {"readings": len(problem.measurements)},
        "settings": origin["settings"],
        "versions": origin["versions"],
        "noise": {name: {"family": whole.noise[name].family, "df": whole.noise[name].df} for name in observables},
        "score_scale": {name: whole.score_scale.get(name, "lin") for name in observables},
        "units": {name: whole.model.unit(name) for name in observables},
        "time_unit": whole.model.time_unit,
        "failed_draws": trained.failed_draws,
        "worst_r_hat": float(converged["r_hat"].max()),
        "least_ess_bulk": float(converged["ess_bulk"].min()),
        "divergences": int(trained.draws["sample_stats"]["diverging"].sum()),
    }
