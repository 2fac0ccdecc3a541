"""Exact updates: weights by the likelihood of the new readings; where too few particles are left, resampling and moves.

Mechanisms are deterministic given their parameters, so the posterior after a reading is the one before it times the
reading's likelihood, and nothing else has to be filtered. While the effective number of particles stays above a share
of the ensemble, that is all. Below it the particles are resampled and moved by Metropolis-Hastings steps that leave the
posterior given all readings so far unchanged. A reading that would leave almost no particle is taken in by degrees:
its likelihood to powers that rise to 1, each with its own resampling and moves.

References:
    Chopin, Biometrika 89:539-552 (2002): iterated batch importance sampling; Del Moral, Doucet & Jasra, J. R. Stat.
    Soc. B 68:411-436 (2006), for powers of the likelihood; Vehtari et al., JMLR 25(72) (2024), for Pareto k.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import jax
import numpy as np
from arviz_stats.base import array_stats
from blackjax.smc.resampling import systematic
from jaxtyping import Float
from scipy.special import logsumexp

from calibration.assimilate.likelihood import Likelihood, Rows, likelihood_for
from calibration.assimilate.moves import Cloud, move, shape_of
from calibration.sampling.whitening import to_unbounded
from twin.errors import ProblemError, SimulationError
from twin.live import Ensemble, Twin
from twin.live.assimilators import Assimilated, Assimilator
from twin.measurements import Measurements
from twin.precision import in_float64

THRESHOLD = 0.5
"""Share of the ensemble below which it is resampled and moved."""
KEPT = 0.4
"""Effective share that each power of the likelihood leaves."""
CORRELATED = 0.1
"""Moves end when particles are correlated no more than this with where they were resampled."""
WORST_PARETO_K = 0.7
MOST_STAGES = 60


@in_float64
def reweight(
    twin: Twin, measurements: Measurements, seed: int, *, threshold: float = THRESHOLD, most_moves: int = 200
) -> Assimilated:
    """Take readings in exactly.

    Args:
        twin: The twin.
        measurements: Checked readings.
        seed: Seed of resampling and moves.
        threshold: Share of the ensemble; below it particles are resampled and moved. 1 does so always, 0 never.
        most_moves: Most moves of each particle at a time.

    Raises:
        ProblemError: options that make no sense.
        SimulationError: no particle can explain the readings.
    """
    if not 0.0 <= threshold <= 1.0 or most_moves < 1:
        raise ProblemError(
            f"threshold is {threshold} and most_moves {most_moves}",
            where="update",
            expected="a threshold between 0 and 1, and at least one move",
        )
    likelihood, rows = likelihood_for(twin.basis, twin.readings, measurements.table)
    ensemble = twin.ensemble
    found = jax.tree.map(np.asarray, likelihood.evaluate(ensemble.theta, rows))
    before = ensemble.log_weights - logsumexp(ensemble.log_weights)
    alive = np.isfinite(before)
    failed = int(np.sum(alive & ~found.ok))
    after = before + np.where(np.isnan(found.new), -np.inf, found.new)
    if not np.isfinite(after).any():
        raise SimulationError(
            f"no particle can explain the readings ({failed} of {int(alive.sum())} could not be integrated)",
            where=twin.basis.name,
            fix="look at the readings and their units; a reading that the mechanism rules out cannot be taken in",
        )
    evidence, ess = float(logsumexp(after)), _ess(after)
    facts: dict[str, Any] = {
        "exact": True,
        "ess_before": twin.ess,
        "ess_weights": ess,
        "failed": failed,
        "evaluations": len(after),
        "pareto_k": _pareto_k(after),
        "log_predictive_density": evidence,
        "moves": 0,
        "powers": [],
    }
    remarks = _failures(failed, len(twin))
    if ess >= threshold * len(twin):
        return Assimilated(_weighted(ensemble, after), facts | {"ess": ess}, (*remarks, *_unreliable(facts, ess)))
    u = to_unbounded(ensemble.theta, likelihood.problem.lower, likelihood.problem.upper)
    cloud = Cloud(u, likelihood.log_prior(u), found.old, found.new)
    done = _rejuvenate(likelihood, rows, cloud, before, seed, most_moves)
    facts |= {
        "ess": float(len(twin)),
        "evaluations": len(after) * (1 + done.moves),
        "moves": done.moves,
        "acceptance": done.acceptance,
        "correlation": done.correlation,
        "failed_moves": done.failed,
        "powers": done.powers,
        "log_predictive_density": done.log_evidence,
        "distinct": done.distinct,
    }
    if done.correlation > CORRELATED:
        remarks = (
            *remarks,
            f"after {done.moves} moves particles are still correlated by {done.correlation:.2f} with where they were "
            "resampled: raise most_moves, or sample the whole posterior again",
        )
    theta = likelihood.thetas(done.cloud.u)
    return Assimilated(_moved(likelihood, ensemble, theta), facts, remarks)


class _Rejuvenated(NamedTuple):
    """A population that was resampled and moved, and what it took."""

    cloud: Cloud
    moves: int
    acceptance: float
    correlation: float
    failed: int
    powers: list[float]
    log_evidence: float
    distinct: int


def _rejuvenate(
    likelihood: Likelihood, rows: Rows, cloud: Cloud, log_weights: np.ndarray, seed: int, most_moves: int
) -> _Rejuvenated:
    """Take the new readings in by powers of their likelihood, resampling and moving at each."""
    key, rng = jax.random.key(seed), np.random.default_rng([seed, 17])
    count = len(cloud.u)
    b, log_evidence, powers = 0.0, 0.0, []
    failed, rates, correlation = 0, [], 0.0
    for stage in range(MOST_STAGES):
        # What cannot be integrated has no chance at any power, b = 0 included.
        ratio = np.where(np.isfinite(cloud.new), cloud.new, -np.inf)
        part = _part(log_weights, ratio, 1.0 - b)
        log_weights = log_weights + np.where(np.isfinite(ratio), part * ratio, -np.inf)
        log_evidence += float(logsumexp(log_weights))
        b = 1.0 if b + part > 1.0 - 1e-9 else b + part
        powers.append(b)
        chosen = np.asarray(
            systematic(jax.random.fold_in(key, stage), np.exp(log_weights - logsumexp(log_weights)), count)
        )
        distinct = len(np.unique(chosen))
        cloud = Cloud(*(x[chosen] for x in cloud))
        log_weights = np.full(count, -np.log(count))
        begin, shape = cloud.u, shape_of(cloud.u)
        for _ in range(most_moves):
            cloud, accepted, lost = move(likelihood, rng, cloud, shape, b, rows)
            rates.append(accepted)
            failed += lost
            correlation = _correlation(begin, cloud.u)
            if correlation <= CORRELATED:
                break
        if b == 1.0:
            accepted = float(np.mean(rates))
            return _Rejuvenated(cloud, len(rates), accepted, correlation, failed, powers, log_evidence, distinct)
    raise SimulationError(
        f"after {MOST_STAGES} powers of the likelihood the power is {b:.2g}",
        where="update",
        fix="the readings contradict the twin: look at them, or use more particles",
    )


def _part(log_weights: np.ndarray, ratio: np.ndarray, left: float) -> float:
    """The largest further power of the likelihood that leaves a share of the particles effective."""
    goal = KEPT * len(ratio)

    def ess(part: float) -> float:
        return _ess(log_weights + np.where(np.isfinite(ratio), part * ratio, -np.inf))

    if ess(left) >= goal:
        return left
    low, high = 0.0, left
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if ess(middle) >= goal else (low, middle)
    # Where not even a vanishing power leaves as many, most particles cannot be integrated; go on with what there is.
    return low if low > 1e-12 * left else min(left, 1e-3)


def _correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Largest correlation of any coordinate with where it was."""
    a, b = before - before.mean(axis=0), after - after.mean(axis=0)
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return float(np.max((a * b).sum(axis=0) / np.where(scale > 0, scale, np.inf)))


def _ess(log_weights: Float[np.ndarray, " draw"]) -> float:
    if not np.isfinite(log_weights).any():
        return 0.0
    return float(np.exp(2 * logsumexp(log_weights) - logsumexp(2 * log_weights)))


def _pareto_k(log_weights: Float[np.ndarray, " draw"]) -> float | None:
    """Shape of the tail of the weights; None where they are all alike, or too few for it."""
    finite = log_weights[np.isfinite(log_weights)]
    if len(finite) < 25 or np.ptp(finite) < 1e-9:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It takes log ratios with their sign turned, as leave-one-out needs them.
        _, k = array_stats.psislw(-finite)
    return float(k) if np.isfinite(float(k)) else None


def _failures(failed: int, count: int) -> tuple[str, ...]:
    if not failed:
        return ()
    return (f"{failed} of {count} particles could not be integrated up to the new readings; their weight is 0",)


def _unreliable(facts: dict[str, Any], ess: float) -> tuple[str, ...]:
    k = facts["pareto_k"]
    if k is None or k <= WORST_PARETO_K:
        return ()
    return (
        f"the Pareto k of the weights is {k:.2f}, above {WORST_PARETO_K}, with {ess:.0f} effective particles: what "
        "they say is not to be trusted; raise the threshold, so that particles are moved",
    )


def _weighted(ensemble: Ensemble, log_weights: np.ndarray) -> Ensemble:
    shifted = log_weights - log_weights.max()
    return Ensemble(ensemble.names, ensemble.scales, ensemble.theta, shifted, ensemble.values)


def _moved(likelihood: Likelihood, ensemble: Ensemble, theta: np.ndarray) -> Ensemble:
    return Ensemble(ensemble.names, ensemble.scales, theta, np.zeros(len(theta)), likelihood.values(theta))


REWEIGHT = Assimilator("reweight", "weights by the likelihood, with resampling and moves; exact", reweight)
