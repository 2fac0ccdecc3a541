"""Parallel tempering: copies of each chain at many temperatures, which exchange their places.

A small tempered population goes before: its temperatures, metrics, step sizes and particles are where the copies begin.
Copies move by Hamiltonian transitions; neighbours in temperature exchange by turns, even pairs and odd pairs, which
lets a copy travel in one direction for long. At inverse temperature 0 the copy is a fresh draw of the reference in
every iteration, so chains forget where they began even if no move crosses between modes. During warm-up temperatures
are shifted until all neighbours exchange equally often; then everything is frozen. Bridges between neighbours estimate
the evidence. Copies of all chains are lanes of one solve; transitions are blackjax's.

References:
    Syed, Bouchard-Cote, Deligiannidis & Doucet, J. R. Stat. Soc. B 84:321-350 (2022): exchanges by turns (section 3.3),
    temperatures of equal rejection (section 5, algorithm 4); Meng & Wong, Statistica Sinica 6:831-860 (1996):
    bridge sampling, here with the geometric bridge of their section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.sampling.metric import local_metric
from calibration.sampling.path import Path
from calibration.sampling.smc import GAIN, LEAPFROGS, LONGEST_STEP, TARGET_ACCEPTANCE, Population
from twin.progress import Progress

CHUNK = 25
"""Iterations per compiled call."""
ROUNDS = 3
"""Adaptations of temperatures and metrics, after doubling numbers of iterations."""
DECAY = 0.6
"""Exponent with which step sizes stop following the acceptance."""
FOR_METRIC = 400
"""Draws from which a metric is made."""

_local_metric = jax.jit(local_metric)


class Replicas(NamedTuple):
    """What the chains did after warm-up.

    Args:
        u: Draws at the posterior, unbounded coordinates.
        log_density: Log of prior times likelihood there, in unbounded coordinates.
        log_evidence: Estimate of each chain.
        inverse_temperatures: From 0 to 1.
        exchange_rate: How often each pair of neighbours exchanged.
        acceptance: Acceptance at each temperature.
        arrivals: Copies that came to each chain's posterior after having been at the reference.
        rejected_failures: Proposals rejected because their integration failed, reference draws included.
        proposals: All proposals.
    """

    u: Float[np.ndarray, "chain draw parameter"]
    log_density: Float[np.ndarray, "chain draw"]
    log_evidence: Float[np.ndarray, " chain"]
    inverse_temperatures: Float[np.ndarray, " rung"]
    exchange_rate: Float[np.ndarray, " pair"]
    acceptance: Float[np.ndarray, " rung"]
    arrivals: Float[np.ndarray, " chain"]
    rejected_failures: int
    proposals: int


class _State(NamedTuple):
    u: Array  # [chain, rung, parameter]
    log_step: Array  # [rung]
    fresh: Array  # [chain, rung]: whether the copy came from the reference since it was last at the posterior
    age: Array  # iterations so far


class _Kept(NamedTuple):
    u: Array  # [iteration, chain, rung, parameter]
    ratio: Array  # [iteration, chain, rung]
    density: Array  # [iteration, chain]
    acceptance: Array  # [iteration, rung]
    exchange: Array  # [iteration, pair], NaN where it was not the pair's turn
    arrivals: Array  # [iteration, chain]
    failures: Array  # [iteration]


def run_tempering(
    path: Path,
    pilot: Population,
    key: Array,
    rng: np.random.Generator,
    *,
    warmup: int,
    draws: int,
    line: Progress,
) -> Replicas:
    """Sample by exchanging copies.

    Args:
        path: From reference to posterior.
        pilot: A population with its history, one run per chain.
        key: Random key; consumed.
        rng: Generator of the reference draws; consumed.
        warmup: Iterations for adaptation.
        draws: Iterations kept.
        line: Progress to update.
    """
    betas, u, metrics = _from_pilot(pilot)
    chains, rungs, size = u.shape
    step = np.log(np.maximum(pilot.step_size.mean(), 1e-3))
    state = _State(u, np.full(rungs, step), np.zeros((chains, rungs), dtype=bool), np.zeros(()))  # type: ignore[arg-type]
    run_chunk = jax.jit(lambda *given: _chunk(path, *given))
    done = 0

    def iterate(count: int, adapt: bool) -> _Kept:
        nonlocal state, done
        parts = []
        for _ in range(-(-count // CHUNK)):
            fresh = path.draw(rng, CHUNK * chains).reshape(CHUNK, chains, size)
            at = jax.random.fold_in(key, done)
            state, kept = jax.tree.map(np.asarray, run_chunk(at, state, fresh, betas, metrics, adapt))
            parts.append(kept)
            done += CHUNK
            line.update(done, "drawing" if not adapt else "warming up")
        return jax.tree.map(lambda *x: np.concatenate(x), *parts)

    shares = 2.0 ** np.arange(ROUNDS)
    for length in np.ceil(warmup * shares / shares.sum()).astype(int):
        kept = iterate(length, True)
        betas, metrics = _adapt(betas, kept)
    state = state._replace(fresh=np.zeros((chains, rungs), dtype=bool))  # type: ignore[arg-type]
    before, done = done, 0
    key = jax.random.fold_in(key, before)
    kept = jax.tree.map(lambda x: x[:draws], iterate(draws, False))
    return Replicas(
        u=np.moveaxis(kept.u[:, :, -1], 0, 1),
        log_density=np.moveaxis(kept.density, 0, 1),
        log_evidence=_bridges(betas, kept.ratio),
        inverse_temperatures=betas,
        exchange_rate=np.nanmean(kept.exchange, axis=0),
        acceptance=kept.acceptance.mean(axis=0),
        arrivals=kept.arrivals.sum(axis=0),
        rejected_failures=int(kept.failures.sum()),
        proposals=draws * chains * rungs,
    )


def _from_pilot(pilot: Population) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Temperatures, states and metrics from the stages of a population."""
    mean = pilot.inverse_temperatures.mean(axis=1)
    # A run that has arrived waits for the others: stages at which the mean hardly moves are no rung of their own.
    chosen = [0]
    for index in range(1, len(mean)):
        if mean[index] > mean[chosen[-1]] * 1.02 and mean[index] < 1.0:
            chosen.append(index)
    chosen.append(len(mean) - 1)
    betas = mean[chosen]
    betas[-1] = 1.0
    u = np.stack([pilot.history[index][:, 0] for index in chosen], axis=1)
    return betas, u, np.stack([_metric(pilot.history[index]) for index in chosen])


def _metric(u: np.ndarray) -> np.ndarray:
    """Metric of draws [..., parameter], evenly thinned."""
    flat = u.reshape(-1, u.shape[-1])
    chosen = flat[np.linspace(0, len(flat) - 1, FOR_METRIC).astype(int)]
    return np.asarray(_local_metric(chosen))


def _adapt(betas: np.ndarray, kept: _Kept) -> tuple[np.ndarray, np.ndarray]:
    """Temperatures between which rejections are equal, and the metrics of the copies there."""
    rejection = 1 - np.nan_to_num(np.nanmean(kept.exchange, axis=0), nan=0.5)
    barrier = np.concatenate([[0.0], np.cumsum(np.maximum(rejection, 1e-3))])
    equal = np.interp(np.linspace(0, barrier[-1], len(betas)), barrier, betas)
    equal[0], equal[-1] = 0.0, 1.0
    half = kept.u[len(kept.u) // 2 :]
    metrics = np.stack([_metric(half[:, :, rung]) for rung in range(len(betas))])
    # Each new temperature has the metric of the nearest old one.
    nearest = np.abs(np.log(equal[1:, None]) - np.log(betas[None, 1:])).argmin(axis=1) + 1
    return equal, metrics[[0, *nearest]]


def _bridges(betas: np.ndarray, ratio: np.ndarray) -> Float[np.ndarray, " chain"]:
    """Log evidence of each chain from log ratios [draw, chain, rung].

    Between neighbours the density halfway is the bridge: the ratio of their constants is the mean weight of the bridge
    under the hotter one over that under the colder one.
    """
    half = 0.5 * np.diff(betas)
    up, down = half * ratio[:, :, :-1], -half * ratio[:, :, 1:]
    return np.sum(np.logaddexp.reduce(up, axis=0) - np.logaddexp.reduce(down, axis=0), axis=-1)


def _chunk(path: Path, key: Array, state: _State, fresh: Array, betas: Array, metrics: Array, adapt: Array):
    """A number of iterations, given as many draws of the reference."""
    kernel = blackjax.hmc.build_kernel()
    rungs = len(betas)

    def transition(key: Array, u: Array, b: Array, log_step: Array, metric: Array, length: Array):
        def density(x: Array) -> Array:
            return path.between(x, b, ())

        return kernel(key, blackjax.hmc.init(u, density), density, jnp.exp(log_step), metric, length)

    over_rungs = jax.vmap(transition, in_axes=(0, 0, 0, 0, 0, None))
    over_chains = jax.vmap(over_rungs, in_axes=(0, 0, None, None, None, None))
    both = jax.vmap(jax.vmap(lambda u: (path.reference(u), path.target(u, ()))))

    def iteration(state: _State, given):
        key, proposal = given
        chains = state.u.shape[0]
        a, b, c = jax.random.split(key, 3)
        length = jax.random.randint(a, (), 1, 2 * LEAPFROGS)
        moved, info = over_chains(
            jax.random.split(b, (chains, rungs - 1)), state.u[:, 1:], betas[1:], state.log_step[1:], metrics[1:], length
        )
        accepted = jnp.mean(info.acceptance_rate, axis=0)
        gain = jnp.where(adapt, GAIN * (1.0 + state.age) ** -DECAY, 0.0)
        log_step = jnp.minimum(state.log_step[1:] + gain * (accepted - TARGET_ACCEPTANCE), np.log(LONGEST_STEP))
        # The copy at the reference is drawn anew; where the draw cannot be integrated it stays, for the reference is
        # conditional on success.
        tried = jnp.concatenate([proposal[:, None], moved.position], axis=1)
        reference, target = both(jnp.concatenate([tried, state.u[:, :1]], axis=1))
        drawn = jnp.isfinite(target[:, 0])
        u = tried.at[:, 0].set(jnp.where(drawn[:, None], tried[:, 0], state.u[:, 0]))
        reference = reference[:, :-1].at[:, 0].set(jnp.where(drawn, reference[:, 0], reference[:, -1]))
        target = target[:, :-1].at[:, 0].set(jnp.where(drawn, target[:, 0], target[:, -1]))
        came = state.fresh.at[:, 0].set(True)
        u, ratio, density, came, exchange = _exchange(c, state.age, betas, u, target - reference, target, came)
        arrivals = came[:, -1]
        failures = jnp.sum(~drawn) + jnp.sum(jnp.isneginf(info.proposal.logdensity))
        kept = _Kept(u, ratio, density[:, -1], jnp.append(1.0, accepted), exchange, arrivals, failures)
        state = _State(u, jnp.append(state.log_step[:1], log_step), came.at[:, -1].set(False), state.age + 1.0)
        return state, kept

    return jax.lax.scan(iteration, state, (jax.random.split(key, CHUNK), fresh))


def _exchange(key: Array, age: Array, betas: Array, u: Array, ratio: Array, target: Array, came: Array):
    """Neighbours of this turn change places with the Metropolis probability."""
    chains, rungs = ratio.shape
    turn = (jnp.arange(rungs - 1) + age.astype(int)) % 2 == 0
    log_probability = jnp.minimum(jnp.diff(betas) * (ratio[:, :-1] - ratio[:, 1:]), 0.0)
    draw = jnp.log(jax.random.uniform(key, (chains, rungs - 1)))
    swap = turn & (draw < log_probability)
    no = jnp.zeros((chains, 1), dtype=bool)
    up = jnp.concatenate([swap, no], axis=1)  # takes its place from the next rung
    down = jnp.concatenate([no, swap], axis=1)
    place = jnp.arange(rungs) + up - down

    def rearrange(x: Array) -> Array:
        index = place.reshape(*place.shape, *[1] * (x.ndim - 2))
        return jnp.take_along_axis(x, index, axis=1)

    rate = jnp.where(turn, jnp.mean(jnp.exp(log_probability), axis=0), jnp.nan)
    return rearrange(u), rearrange(ratio), rearrange(target), rearrange(came), rate
