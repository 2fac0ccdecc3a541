"""AMICI's JAX backend: diffrax (Kvaerno5) on code that AMICI generates, gradients by reverse mode.

References:
    AMICI's documentation, "AMICI JAX".
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from pathlib import Path
from typing import Any

import diffrax
import equinox as eqx
import jax
import numpy as np
import petab.v1 as petab
from amici.importers.petab.v1 import import_petab_problem
from amici.sim.jax.petab import DEFAULT_CONTROLLER_SETTINGS, run_simulations

from ..petab_folder import estimated_parameters
from .task import EngineError, Task, timed

DISTRIBUTION = "amici"
MAX_STEPS = 2**14
DERIVATIVE = {"lin": lambda value: 1.0, "log": lambda value: value, "log10": lambda value: value * math.log(10.0)}


def open_task(task: Task) -> PetabTask:
    """Generates and compiles the model of a PEtab problem."""
    if task["kind"] != "gradient":
        raise EngineError(f"not measured for {task['kind']}")
    jax.config.update("jax_enable_x64", True)
    logging.disable(logging.WARNING)
    return PetabTask(task)


class PetabTask:
    """Log-likelihood with gradient of a PEtab problem at its nominal parameters.

    The backend computes on the linear scale; the gradient is brought to the scale of the parameter table outside of
    what is timed.
    """

    def __init__(self, task: Task) -> None:
        started = time.perf_counter()
        path = Path(task["path"])
        name, folder = path.parent.name, Path(task["build"]) / f"{path.parent.name}_jax"
        shutil.rmtree(folder, ignore_errors=True)
        self.parameters = estimated_parameters(path)
        self.problem = import_petab_problem(
            petab.Problem.from_yaml(str(path)), folder, model_name=name, jax=True, verbose=False
        )
        settings = DEFAULT_CONTROLLER_SETTINGS | {"rtol": task["rtol"], "atol": task["atol"]}
        controller = diffrax.PIDController(**settings)

        def log_likelihood(problem: Any) -> jax.Array:
            return run_simulations(problem, controller=controller, max_steps=MAX_STEPS)[0]

        self.function = eqx.filter_jit(eqx.filter_value_and_grad(log_likelihood))
        self.run()
        if not np.isfinite(self.result[0]):
            raise EngineError("the log-likelihood is not finite")
        self.compile_s = time.perf_counter() - started

    def run(self) -> dict[str, float]:
        """Evaluates value and gradient."""
        seconds, self.result = timed(lambda: jax.block_until_ready(self.function(self.problem)))
        return {"seconds": seconds, "wall": seconds}

    def answer(self) -> dict[str, Any]:
        """The result, on the scale of estimation."""
        value, slopes = self.result
        by_name = dict(zip(self.problem.parameter_ids, np.asarray(slopes.parameters), strict=True))
        values = dict(zip(self.problem.parameter_ids, np.asarray(self.problem.parameters), strict=True))
        gradient = {
            entry.name: float(by_name[entry.name] * DERIVATIVE[entry.scale](values[entry.name]))
            for entry in self.parameters
            if entry.name in by_name
        }
        return {"results": [{"value": float(value), "gradient": gradient}]}
