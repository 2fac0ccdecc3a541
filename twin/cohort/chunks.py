"""Running the simulation of some subjects: the one place that calls the integrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float, Int

from twin.compile.system import System
from twin.experiment.actions import Actions
from twin.simulation import draws_per_call, run_draws
from twin.solve import Method, Tolerance

LARGEST = 8192
"""Subjects of a chunk at most: what a kill can cost, seconds of work for a small model."""
MEMORY_FOR_OUTPUTS = 64 * 2**20
"""Bytes that the outputs of a chunk may take."""


@dataclass(frozen=True)
class Program:
    """What is the same for all subjects.

    Args:
        system: The compiled model.
        method: Integration method.
        tolerance: Its tolerances.
        expressions: What comes out.
        actions: What is done.
        times: Sample times.
        width: Subjects of a chunk; fewer are filled up, so that all chunks share one compiled program.
    """

    system: System
    method: Method
    tolerance: Tolerance
    expressions: tuple[sp.Expr, ...]
    actions: Actions
    times: Float[np.ndarray, " time"]
    width: int

    def run(
        self, p: Float[np.ndarray, "parameter subject"]
    ) -> tuple[Float[np.ndarray, "output time subject"], Int[np.ndarray, " subject"]]:
        """Outputs at the sample times, NaN where the integration failed, and how it ended."""
        count = p.shape[1]
        padded = np.concatenate([p, np.repeat(p[:, -1:], self.width - count, axis=1)], axis=1)
        arguments: tuple[Any, ...] = (self.system, self.method, self.tolerance, self.expressions, self.actions)
        outputs, status = run_draws(*arguments, padded[:, None, :], self.times)
        outputs, status = np.array(outputs[..., :count]), np.asarray(status[:count])
        outputs[..., status != 0] = np.nan
        return outputs, status


def default_width(system: System, tolerance: Tolerance, outputs: int, times: int, size: int) -> int:
    """Subjects of a chunk: bounded by `LARGEST` and by the memory for outputs, in whole calls of the integrator."""
    fitting = MEMORY_FOR_OUTPUTS // (8 * max(outputs * times, 1))
    width = max(1, min(LARGEST, fitting, size))
    lanes = draws_per_call(system, tolerance, outputs, times)
    return width - width % lanes if width > lanes else width
