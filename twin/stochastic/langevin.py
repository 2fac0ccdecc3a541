"""The chemical Langevin equation over lanes: hazards with noise of their own square root.

    dX = S a(X) dt + S diag(sqrt(a(X))) dW,  a Wiener process per reaction

(Gillespie 2000; Ito). Steps are Euler and Maruyama's, weak order 1; higher schemes ask for commuting
noise, which reactions do not have. An X that the noise carries below zero stays as it is, but hazards see it as zero,
and so does the reader ("full truncation", Lord, Koekkoek & van Dijk 2010): conserved sums are kept by every
step, and no root of a negative number is taken.

References:
    Gillespie (2000), doi:10.1063/1.481811. Lord, Koekkoek & van Dijk (2010), doi:10.1080/14697680802496946.
"""

from __future__ import annotations

from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np
from jaxtyping import Array, Float

from twin.stochastic.jump_process import JumpProcess
from twin.stochastic.runs import NOT_FINITE, OK, Runs

FEW = 2.0
"""Molecules below which a hazard may be negative since it is written for whole numbers: k X (X - 1) / 2 at X = 0.5."""


def truncated_rates(
    process: JumpProcess, y: Float[Array, "state lane"], p: Float[Array, "parameter lane"], molecule: Array
) -> Float[Array, "reaction lane"]:
    """Hazards of states cut off at zero, none below zero; NaN where a hazard is negative among many molecules.

    Args:
        process: The model.
        y: States.
        p: Parameters.
        molecule: One molecule, in the unit of each state.
    """
    y = jnp.maximum(y, 0.0)
    hazards = process.rates(y, p)
    few = y < FEW * molecule[:, None]
    excused = jnp.stack([jnp.any(few[rows], axis=0) for rows in process.rows_in_hazards])
    return jnp.where((hazards >= 0) | excused, jnp.maximum(hazards, 0.0), jnp.nan)


@partial(jax.jit, static_argnums=0)
def langevin(
    process: JumpProcess,
    key: Array,
    ts: Float[Array, " time"],
    grid: Float[Array, " step"],
    p: Float[Array, "parameter lane"],
    jumps: Float[Array, "state reaction"],
    molecule: Float[Array, " state"],
    resolution: Float[Array, ""],
) -> Runs:
    """Simulate every lane from the model's initial state.

    Args:
        process: The model; static.
        key: Random key: it names the Brownian paths, whatever the grid.
        ts: Sample times, among those of the grid.
        grid: Times between which steps are taken, from the beginning on.
        p: Parameters.
        jumps: Change of each state per reaction.
        molecule: One molecule, in the unit of each state.
        resolution: Times between which the paths are known; below the shortest step.
    """
    shape = jax.ShapeDtypeStruct((jumps.shape[1], p.shape[1]), p.dtype)
    path = diffrax.VirtualBrownianTree(grid[0], grid[-1], resolution, shape, key)

    def drift(t: Array, y: Array, args: None) -> Array:
        return jumps @ truncated_rates(process, y, p, molecule)

    def noise(t: Array, y: Array, args: None) -> lineax.FunctionLinearOperator:
        root = jnp.sqrt(truncated_rates(process, y, p, molecule))
        return lineax.FunctionLinearOperator(lambda dw: jumps @ (root * dw), shape)

    found = diffrax.diffeqsolve(
        diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(noise, path)),
        diffrax.Euler(),
        grid[0],
        grid[-1],
        None,
        process.system.initial(p),
        stepsize_controller=diffrax.StepTo(grid),
        saveat=diffrax.SaveAt(ts=ts),
        max_steps=len(grid),
        adjoint=diffrax.ForwardMode(),
    )
    y = jnp.asarray(found.ys)
    status = jnp.where(jnp.all(jnp.isfinite(y), axis=(0, 1)), OK, NOT_FINITE)
    return Runs(jnp.maximum(y, 0.0), status, jnp.full(p.shape[1], len(grid) - 1))


def steps_between(t0: float, ts: Float[np.ndarray, " time"], dt: float) -> Float[np.ndarray, " step"]:
    """Times of steps no longer than `dt` that meet every sample time."""
    edges = np.unique(np.concatenate([[t0], ts]))
    parts = [
        np.linspace(begin, end, max(1, int(np.ceil((end - begin) / dt * (1 - 1e-12)))) + 1)[:-1]
        for begin, end in zip(edges[:-1], edges[1:], strict=True)
    ]
    return np.concatenate([*parts, edges[-1:]])
