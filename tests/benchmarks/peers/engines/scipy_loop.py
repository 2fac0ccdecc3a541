"""SciPy: `solve_ivp` in a loop over draws, the right-hand side in plain Python."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from .draws import load_draws
from .task import EngineError, Task, timed
from .written_out import right_hand_side

DISTRIBUTION = "scipy"


def open_task(task: Task) -> Ensemble:
    """Writes out the right-hand side."""
    return Ensemble(task)


class Ensemble:
    """Trajectories of a model for many draws of its parameters."""

    def __init__(self, task: Task) -> None:
        started = time.perf_counter()
        self.task = task
        model, self.ts, self.draws = load_draws(task)
        self.order = [model.state_names.index(name) for name in task["states"]]
        self.field, self.initial = right_hand_side(model, "numpy")
        self._trajectory(self.draws[0])
        self.compile_s = time.perf_counter() - started

    def _trajectory(self, p: np.ndarray) -> np.ndarray | None:
        rates, values = self.field, p.tolist()
        solution = solve_ivp(
            lambda t, y: rates(t, y, values), (self.ts[0], self.ts[-1]), self.initial(values), t_eval=self.ts,
            method=self.task["solver"], rtol=self.task["rtol"], atol=self.task["atol"],
        )  # fmt: skip
        return solution.y.T if solution.success else None

    def run(self) -> dict[str, float]:
        """Simulates all draws, one by one."""
        seconds, self.result = timed(lambda: [self._trajectory(p) for p in self.draws])
        return {"seconds": seconds, "wall": seconds}

    def answer(self) -> dict[str, Any]:
        """Writes the first trajectories; the number of draws that failed."""
        failures = sum(y is None for y in self.result)
        if failures == len(self.result):
            raise EngineError("no draw succeeded")
        shape = (len(self.ts), len(self.order))
        kept = [np.full(shape, np.nan) if y is None else y[:, self.order] for y in self.result[: self.task["kept"]]]
        np.save(self.task["file"], np.stack(kept))
        return {"failures": failures}
