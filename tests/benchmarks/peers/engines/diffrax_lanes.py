"""diffrax: Kvaerno5 or Tsit5 under `jit(vmap)`, 256 trajectories at once."""

from __future__ import annotations

import time
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from .draws import load_draws
from .task import EngineError, Task, timed
from .written_out import right_hand_side

DISTRIBUTION = "diffrax"
LANES = 256
MAX_STEPS = 16_384


def open_task(task: Task) -> Ensemble:
    """Compiles the ensemble."""
    jax.config.update("jax_enable_x64", True)
    return Ensemble(task)


class Ensemble:
    """Trajectories of a model for many draws of its parameters."""

    def __init__(self, task: Task) -> None:
        started = time.perf_counter()
        self.task = task
        model, ts, self.draws = load_draws(task)
        self.order = [model.state_names.index(name) for name in task["states"]]
        field, initial = right_hand_side(model, "jax")
        solver = getattr(diffrax, task["solver"])()
        controller = diffrax.PIDController(rtol=task["rtol"], atol=task["atol"])
        first, last, save = float(ts[0]), float(ts[-1]), diffrax.SaveAt(ts=jnp.asarray(ts))
        term = diffrax.ODETerm(lambda t, y, p: jnp.stack([jnp.asarray(rate, y.dtype) for rate in field(t, y, p)]))

        def trajectory(p: jax.Array) -> tuple[jax.Array, jax.Array]:
            y0 = jnp.stack([jnp.asarray(value, p.dtype) for value in initial(p)])
            solution = diffrax.diffeqsolve(
                term, solver, first, last, None, y0, p, saveat=save, stepsize_controller=controller,
                max_steps=MAX_STEPS, throw=False, adjoint=diffrax.ForwardMode(),
            )  # fmt: skip
            assert solution.ys is not None
            return solution.ys, solution.result == diffrax.RESULTS.successful

        self.function = jax.jit(jax.vmap(trajectory))
        jax.block_until_ready(self.function(self._parts()[0]))
        self.compile_s = time.perf_counter() - started

    def _parts(self) -> list[np.ndarray]:
        """Draws in equal parts; the last is filled up with its last row."""
        rows = np.arange(-(-len(self.draws) // LANES) * LANES).clip(max=len(self.draws) - 1)
        return np.split(self.draws[rows], len(rows) // LANES)

    def run(self) -> dict[str, float]:
        """Simulates all draws."""
        parts = self._parts()
        seconds, self.result = timed(lambda: [jax.block_until_ready(self.function(part)) for part in parts])
        return {"seconds": seconds * len(self.draws) / (len(parts) * LANES), "wall": seconds}

    def answer(self) -> dict[str, Any]:
        """Writes the first trajectories; the number of draws that failed."""
        ok = np.concatenate([np.asarray(part) for _, part in self.result])[: len(self.draws)]
        if not ok.any():
            raise EngineError(f"no draw succeeded within {MAX_STEPS} steps")
        np.save(self.task["file"], np.asarray(self.result[0][0])[: self.task["kept"]][..., self.order])
        return {"failures": int((~ok).sum())}
