"""Tempered sequential Monte Carlo: populations that follow the path from the reference to the posterior.

Each run is a population of its own with temperatures of its own, and all particles of all runs are lanes of one solve.
At every stage the next temperature is the one at which the weights keep a share of their effective size; the particles
are resampled by their weights and moved by Hamiltonian transitions with a metric of the population. The
product of the mean weights estimates the evidence. Runs share nothing but the length of trajectories, so their spread
is the error of whatever they estimate. Effective sizes, resampling and transitions are blackjax's.

References:
    Del Moral, Doucet & Jasra, J. R. Stat. Soc. B 68:411-436 (2006); Jasra et al., Scand. J. Stat. 38:1-22 (2011) for
    the adaptive temperatures; Buchholz, Chopin & Jacob, Bayesian Analysis 16:745-771 (2021) for Hamiltonian moves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.smc.ess import ess_solver
from blackjax.smc.resampling import systematic
from blackjax.smc.solver import dichotomy
from jaxtyping import Array, Float

from calibration.sampling.metric import local_metric
from calibration.sampling.path import Path
from twin.errors import SimulationError
from twin.progress import Progress

SHARE_KEPT = 0.5
"""Effective size that the weights of a stage keep."""
TARGET_ACCEPTANCE = 0.8
GAIN = 1.5
"""How strongly the logarithm of the step size follows the acceptance of a move."""
LONGEST_STEP = 1.2
"""In units of the metric: beyond it leapfrog steps of a normal density resonate."""
LEAPFROGS = 6
"""Mean length of a trajectory in steps; lengths are uniform from 1 to twice this less 1."""
MOST_STAGES = 200
FINAL_MOVES = 2
"""The population at the posterior gets this many times the moves of a stage."""


class Stage(NamedTuple):
    """Populations at one stage.

    Args:
        u: Particles, unbounded coordinates.
        inverse_temperature: Of each run.
        log_step: Logarithm of each run's step size.
        log_evidence: Estimate so far.
    """

    u: Float[Array, "run particle parameter"]
    inverse_temperature: Float[Array, " run"]
    log_step: Float[Array, " run"]
    log_evidence: Float[Array, " run"]


class Population(NamedTuple):
    """Result of all runs.

    Args:
        u: Particles at the posterior, equally weighted.
        log_evidence: Estimate of each run.
        stages: Stages until the last run arrived.
        inverse_temperatures: Temperatures of all runs at every stage, from 0 to 1.
        acceptance: Mean acceptance of each stage.
        step_size: Last step size of each run.
        rejected_failures: Proposals rejected because their integration failed.
        proposals: All proposals.
        history: Particles of every stage, if asked for.
    """

    u: Float[np.ndarray, "run particle parameter"]
    log_evidence: Float[np.ndarray, " run"]
    stages: int
    inverse_temperatures: Float[np.ndarray, "stage run"]
    acceptance: Float[np.ndarray, " stage"]
    step_size: Float[np.ndarray, " run"]
    rejected_failures: int
    proposals: int
    history: list[np.ndarray]


class TemperedSMC:
    """The sampler of one path; its compiled stage serves any data of the same shapes.

    Args:
        path: From reference to posterior.
        moves: Hamiltonian transitions per stage.
    """

    def __init__(self, path: Path, moves: int) -> None:
        self.path, self.moves = path, moves
        self._advance = jax.jit(self._stage)
        self._kernel = blackjax.hmc.build_kernel()

    def run(
        self,
        u: Float[np.ndarray, "run particle parameter"],
        key: Array,
        line: Progress,
        data: Any = (),
        keep_history: bool = False,
    ) -> Population:
        """Take populations of the reference to the posterior.

        Args:
            u: Draws of the reference at which the target is positive.
            key: Random key; consumed.
            line: Progress, in hundredths of the path on a logarithmic scale of temperatures.
            data: Data argument of the target, each leaf with a leading axis of runs.
            keep_history: Keep the particles of every stage.

        Raises:
            SimulationError: the path takes more stages than any sound one.
        """
        runs, _, size = u.shape
        stage = Stage(u, np.zeros(runs), np.full(runs, np.log(size**-0.25)), np.zeros(runs))  # type: ignore[arg-type]
        temperatures, acceptance, failures, proposals, history = [np.zeros(runs)], [], 0, 0, []
        arrived = False
        for index in range(MOST_STAGES + FINAL_MOVES):
            if keep_history:
                history.append(np.asarray(stage.u))
            stage, accepted, failed = jax.tree.map(
                np.asarray, self._advance(jax.random.fold_in(key, index), stage, data)
            )
            temperatures.append(stage.inverse_temperature)
            acceptance.append(float(accepted))
            failures, proposals = failures + int(failed), proposals + u.shape[0] * u.shape[1] * self.moves
            slowest = max(float(stage.inverse_temperature.min()), 1e-12)
            line.update(round(100 * (1 + np.log10(slowest) / 12)), f"inverse temperature {slowest:.2g}")
            if slowest == 1.0 and arrived:
                break
            arrived = slowest == 1.0
        else:
            raise SimulationError(
                f"after {MOST_STAGES} stages the inverse temperature is {slowest:.2g}",
                where="tempering",
                fix="use more particles (draws), or begin from a fit",
            )
        if keep_history:
            history.append(np.asarray(stage.u))
        return Population(
            stage.u,  # type: ignore[arg-type]
            stage.log_evidence,  # type: ignore[arg-type]
            len(acceptance),
            np.stack(temperatures),
            np.array(acceptance),
            np.exp(stage.log_step),
            failures,
            proposals,
            history,
        )

    def _stage(self, key: Array, stage: Stage, data: Any) -> tuple[Stage, Array, Array]:
        runs, count, _ = stage.u.shape
        pick, move = jax.random.split(key)
        ratio = jax.vmap(lambda u, d: jax.vmap(lambda each: self.path.ratio(each, d))(u))(stage.u, data)

        def reweigh(key: Array, u: Array, ratio: Array, b: Array, log_evidence: Array):
            step = ess_solver(lambda _: ratio, u, SHARE_KEPT, 1.0 - b, dichotomy)
            # The last stretch is taken whole, so that the end is exactly 1.
            later = jnp.where(b + step > 1.0 - 1e-9, 1.0, b + step)
            log_weights = (later - b) * ratio
            total = jax.nn.logsumexp(log_weights)
            weights = jnp.exp(log_weights - total)
            chosen = u[systematic(key, weights, count)]
            return chosen, local_metric(chosen), later, log_evidence + total - jnp.log(count)

        u, metric, b, log_evidence = jax.vmap(reweigh)(
            jax.random.split(pick, runs), stage.u, ratio, stage.inverse_temperature, stage.log_evidence
        )
        u, log_step, accepted, failed = self._move(move, u, metric, b, stage.log_step, data)
        return Stage(u, b, log_step, log_evidence), accepted, failed

    def _move(self, key: Array, u: Array, metric: Array, b: Array, log_step: Array, data: Any):
        runs, count, _ = u.shape

        def of_run(keys: Array, states: Any, metric: Array, b: Array, log_step: Array, data: Any, length: Array):
            def density(x: Array) -> Array:
                return self.path.between(x, b, data)

            def transition(key: Array, state: Any):
                return self._kernel(key, state, density, jnp.exp(log_step), metric, length)

            return jax.vmap(transition)(keys, states)

        def one_move(carry, key):
            states, log_step = carry
            first, second = jax.random.split(key)
            # One length for all lanes: they are solved together, and would wait for the longest.
            length = jax.random.randint(first, (), 1, 2 * LEAPFROGS)
            keys = jax.random.split(second, (runs, count))
            states, info = jax.vmap(of_run, in_axes=(0, 0, 0, 0, 0, 0, None))(
                keys, states, metric, b, log_step, data, length
            )
            accepted = jnp.mean(info.acceptance_rate, axis=1)
            log_step = jnp.minimum(log_step + GAIN * (accepted - TARGET_ACCEPTANCE), np.log(LONGEST_STEP))
            return (states, log_step), (jnp.mean(accepted), jnp.sum(jnp.isneginf(info.proposal.logdensity)))

        start = jax.vmap(
            lambda u, b, d: jax.vmap(lambda x: blackjax.hmc.init(x, lambda y: self.path.between(y, b, d)))(u)
        )
        states = start(u, b, data)
        (states, log_step), (accepted, failed) = jax.lax.scan(
            one_move, (states, log_step), jax.random.split(key, self.moves)
        )
        return states.position, log_step, jnp.mean(accepted), jnp.sum(failed)


def combine_evidence(log_evidence: Float[np.ndarray, " run"]) -> tuple[float, float]:
    """The evidence of independent runs and its standard error, both as logarithms.

    Estimates of the evidence itself are unbiased, so they are averaged before the logarithm is taken. The error is that
    of the mean of their logarithms; it is not a number for a single run.
    """
    runs = len(log_evidence)
    mean = float(np.logaddexp.reduce(log_evidence) - np.log(runs))
    return mean, float(np.std(log_evidence, ddof=1) / np.sqrt(runs)) if runs > 1 else float("nan")
