"""An ensemble Kalman step for the parameters, on the estimation scale, and so for the states that follow from them.

Each particle moves by ``K (y + e - f)``: f its prediction, e a draw of the noise, K = C_tf (C_ff + R)^-1 with
covariances over the ensemble and R the mean noise variance; of logarithms where the noise is log-normal.
For a mechanism that is linear in normal parameters, with known normal noise, this samples the posterior as the ensemble
grows; elsewhere it is an approximation whose error does not vanish with the size of the ensemble.

States are not moved beside the parameters: a deterministic mechanism gives each parameter vector one state, and moving
both apart would make states that no parameters explain (the Kalman step is "restarted" from the beginning).

References:
    Burgers, van Leeuwen & Evensen, Mon. Weather Rev. 126:1719-1724 (1998), for perturbed observations; Iglesias, Law &
    Stuart, Inverse Problems 29:045001 (2013), for parameters of deterministic models.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from blackjax.smc.resampling import systematic
from jaxtyping import Float

from calibration.assimilate.likelihood import Likelihood, likelihood_for
from twin.errors import ProblemError, SimulationError
from twin.live import Ensemble, Twin
from twin.live.assimilators import Assimilated, Assimilator
from twin.measurements import Measurements
from twin.precision import in_float64

FAMILIES = ("normal", "log_normal")
LEAST_MEMBERS = 3


@in_float64
def kalman(twin: Twin, measurements: Measurements, seed: int) -> Assimilated:
    """Take readings in by one ensemble Kalman step.

    Args:
        twin: The twin.
        measurements: Checked readings, all taken in at once.
        seed: Seed of resampling and of the perturbations.

    Raises:
        ProblemError: censored readings, or noise that is neither normal nor log-normal.
        SimulationError: nearly no particle can be integrated.
    """
    _check(twin, measurements)
    likelihood, rows = likelihood_for(twin.basis, twin.readings, measurements.table)
    theta, rng = _equally_weighted(twin, seed), np.random.default_rng([seed, 23])
    found = jax.tree.map(np.asarray, likelihood.evaluate(theta, rows))
    here, ok = np.flatnonzero(rows.new > 0), found.ok
    if ok.sum() < LEAST_MEMBERS:
        raise SimulationError(
            f"{int((~ok).sum())} of {len(ok)} particles could not be integrated up to the readings",
            where=twin.basis.name,
            fix="raise max_steps, or look at the posterior: it may lie where solutions blow up",
        )
    # Those that fail give their places to others.
    chosen = np.where(ok, np.arange(len(ok)), rng.choice(np.flatnonzero(ok), size=len(ok)))
    value, scale = (x[chosen][:, here] for x in (found.value, found.scale))
    reading, predicted = _additive(likelihood, here, np.asarray(rows.value)[here], value)
    moved = _step(theta[chosen], predicted, reading, scale, rng)
    lower, upper = likelihood.problem.lower, likelihood.problem.upper
    outside = int(((moved < lower) | (moved > upper)).any(axis=1).sum())
    moved = np.clip(moved, lower, upper)
    failed = int((~ok).sum())
    facts: dict[str, Any] = {
        "exact": False,
        "ess_before": twin.ess,
        "ess": float(len(moved)),
        "failed": failed,
        "evaluations": len(moved),
        "clipped": outside,
    }
    remarks = ()
    if failed:
        remarks = (
            f"{failed} of {len(ok)} particles could not be integrated up to the new readings; others replace them",
        )
    ensemble = twin.ensemble
    new = Ensemble(ensemble.names, ensemble.scales, moved, np.zeros(len(moved)), likelihood.values(moved))
    return Assimilated(new, facts, remarks)


def _check(twin: Twin, measurements: Measurements) -> None:
    table = measurements.table
    for row, (name, kind) in enumerate(zip(table["observable"], table["censoring"], strict=True), 1):
        if kind:
            raise ProblemError(
                f"reading {row} of {name!r} is censored ({kind})",
                where="update by enkf",
                expected="numbers: a Kalman step knows no limits",
                fix="take method='reweight'",
            )
        if (family := twin.basis.noise[name].family) not in FAMILIES:
            raise ProblemError(
                f"the noise of {name!r} is {family}",
                where="update by enkf",
                expected=" or ".join(FAMILIES),
                fix="take method='reweight'",
            )


def _equally_weighted(twin: Twin, seed: int) -> Float[np.ndarray, "draw entry"]:
    weights = twin.weights
    if np.ptp(weights) < 1e-15:
        return twin.ensemble.theta
    return twin.ensemble.theta[np.asarray(systematic(jax.random.key(seed), weights, len(twin)))]


def _additive(
    likelihood: Likelihood, here: np.ndarray, reading: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Readings and predictions on the scale on which the noise is additive."""
    reading, value = reading.copy(), value.copy()
    for name, rows in likelihood.problem.bindings.rows_of.items():
        if likelihood.problem.noise_models[name].positive:
            columns = np.isin(here, rows)
            reading[columns] = np.log(reading[columns])
            value[:, columns] = np.log(np.maximum(value[:, columns], np.finfo(float).tiny))
    return reading, value


def _step(
    theta: Float[np.ndarray, "draw entry"],
    predicted: Float[np.ndarray, "draw reading"],
    reading: Float[np.ndarray, " reading"],
    scale: Float[np.ndarray, "draw reading"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "draw entry"]:
    """The Kalman step with perturbed readings."""
    count = len(theta)
    away, spread = theta - theta.mean(axis=0), predicted - predicted.mean(axis=0)
    of_readings = spread.T @ spread / (count - 1) + np.diag((scale**2).mean(axis=0))
    gain = np.linalg.solve(of_readings, spread.T @ away / (count - 1)).T
    perturbed = reading + scale * rng.normal(size=predicted.shape)
    return theta + (perturbed - predicted) @ gain.T


ENKF = Assimilator("enkf", "ensemble Kalman step on the estimation scale; approximate", kalman)
