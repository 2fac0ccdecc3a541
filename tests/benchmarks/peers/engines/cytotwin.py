"""This package: Rodas5P or Tsit5 in lanes, gradients by the replayed adjoint."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import twin
from calibration import read_petab

from .task import Prepared, Task, timed

DISTRIBUTION = "cytotwin"


def open_task(task: Task) -> Prepared:
    """Reads and compiles what the task names."""
    return Ensemble(task) if task["kind"] == "ensemble" else PetabTask(task)


class PetabTask:
    """Log-likelihood with gradient at one vector or many at once, or residuals with Jacobian, of a PEtab problem."""

    def __init__(self, task: Task) -> None:
        started = time.perf_counter()
        tolerance = {"rtol": task["rtol"], "atol": task["atol"], "max_steps": task.get("max_steps", 20_000)}
        self.problem = read_petab(task["path"], solver=task["solver"], **tolerance)
        self.jacobian = task["kind"] == "jacobian"
        nominal = dict(zip(self.problem.names, np.asarray(self.problem.nominal), strict=True))
        thetas = np.array([[{**nominal, **vector}[name] for name in nominal] for vector in task["vectors"]])
        self.many = task["kind"] == "batch"
        self.theta = thetas if self.many else thetas[0]
        function = jax.jacfwd(self.problem.residuals) if self.jacobian else jax.value_and_grad(self._log_likelihood)
        self.function = jax.jit(jax.vmap(function) if self.many else function)
        self.run()
        self.compile_s = time.perf_counter() - started

    def _log_likelihood(self, theta: jax.Array) -> jax.Array:
        return self.problem.log_likelihood(theta)

    def run(self) -> dict[str, float]:
        """Evaluates all vectors."""
        with twin.float64():
            seconds, self.result = timed(lambda: jax.block_until_ready(self.function(self.theta)))
        return {"seconds": seconds, "wall": seconds}

    def answer(self) -> dict[str, Any]:
        """Results by vector, and the size of the problem."""
        bindings = self.problem.predictor.bindings
        sizes = {"states": len(bindings.system.states), "series": len(bindings.series)}
        if self.jacobian:
            return {**sizes, "results": [{"residuals": int(self.result.shape[0])}]}
        values, gradients = (np.asarray(part) for part in self.result)
        pairs = zip(np.atleast_1d(values), np.atleast_2d(gradients), strict=True)
        names = self.problem.names
        results = [
            {"value": float(value), "gradient": dict(zip(names, map(float, slopes), strict=True))}
            for value, slopes in pairs
        ]
        return {**sizes, "results": results}


class Ensemble:
    """Trajectories of an SBML model for many draws of its parameters, by `twin.simulate`."""

    def __init__(self, task: Task) -> None:
        started = time.perf_counter()
        folder = Path(task["path"])
        self.task = task
        self.model = twin.read_sbml(folder / "model.xml")
        self.ts = np.load(folder / "times.npy")
        draws = np.load(folder / "draws.npy")[: task["draws"]]
        self.parameters = dict(zip(task["parameters"], draws.T, strict=True))
        self.run()
        self.compile_s = time.perf_counter() - started

    def run(self) -> dict[str, float]:
        """Simulates all draws."""
        settings = {name: self.task[name] for name in ("solver", "rtol", "atol")}
        steps = {"max_steps": self.task["max_steps"]} if "max_steps" in self.task else {}
        seconds, self.dataset = timed(
            lambda: twin.simulate(
                self.model, self.ts, self.parameters, variables=self.task["states"], **settings, **steps
            )
        )
        return {"seconds": seconds, "wall": seconds}

    def answer(self) -> dict[str, Any]:
        """Writes the first trajectories; the number of draws that failed."""
        data = self.dataset.isel(draw=slice(self.task["kept"]))
        states = [data[name].transpose("draw", "time").values for name in self.task["states"]]
        np.save(self.task["file"], np.stack(states, axis=-1))
        return {"failures": int(self.dataset.attrs["failed"])}
