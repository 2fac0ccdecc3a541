"""libRoadRunner: CVODE on code compiled by LLVM; parameters set, reset and simulated in a loop over draws.

References:
    Welsh et al. 2023, doi:10.1093/bioinformatics/btac770.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import libsbml
import numpy as np
import roadrunner

from .task import EngineError, Task, timed

DISTRIBUTION = "libroadrunner"
MAX_STEPS = 100_000


def open_task(task: Task) -> Ensemble:
    """Loads the model."""
    return Ensemble(task)


class Ensemble:
    """Trajectories of an SBML model for many draws of its parameters."""

    def __init__(self, task: Task) -> None:
        started = time.perf_counter()
        folder = Path(task["path"])
        self.task = task
        self.runner = roadrunner.RoadRunner(str(folder / "model.xml"))
        integrator = self.runner.getIntegrator()
        settings = {
            "relative_tolerance": task["rtol"],
            "absolute_tolerance": task["atol"],
            "stiff": task["stiff"],
            "maximum_num_steps": MAX_STEPS,
        }
        for name, value in settings.items():
            integrator.setValue(name, value)
        self.ts = np.load(folder / "times.npy")
        self.uniform = bool(np.allclose(np.diff(self.ts), self.ts[1] - self.ts[0]))
        self.draws = np.load(folder / "draws.npy")[: task["draws"]]
        identifiers = list(self.runner.model.getGlobalParameterIds())
        self.indices = [identifiers.index(name) for name in task["parameters"]]
        self.runner.selections = ["time", *_selections(folder / "model.xml", task["states"])]
        self._trajectory(self.draws[0])
        self.compile_s = time.perf_counter() - started

    def _trajectory(self, values: np.ndarray) -> np.ndarray:
        runner = self.runner
        runner.model.setGlobalParameterValues(self.indices, values)
        runner.reset()
        if self.uniform:
            return np.array(runner.simulate(self.ts[0], self.ts[-1], len(self.ts)))
        return np.array(runner.simulate(times=self.ts))

    def run(self) -> dict[str, float]:
        """Simulates all draws, one by one."""
        self.failures = 0
        seconds, self.result = timed(lambda: [self._or_none(values) for values in self.draws])
        return {"seconds": seconds, "wall": seconds}

    def _or_none(self, values: np.ndarray) -> np.ndarray | None:
        try:
            return self._trajectory(values)
        except RuntimeError:
            self.failures += 1
            return None

    def answer(self) -> dict[str, Any]:
        """Writes the first trajectories; the number of draws that failed."""
        if self.failures == len(self.result):
            raise EngineError("no draw succeeded")
        shape = (len(self.ts), len(self.task["states"]))
        kept = [np.full(shape, np.nan) if y is None else y[:, 1:] for y in self.result[: self.task["kept"]]]
        np.save(self.task["file"], np.stack(kept))
        return {"failures": self.failures}


def _selections(path: Path, states: list[str]) -> list[str]:
    """What the SBML identifiers stand for: a species is its concentration unless it has substance units only."""
    model = libsbml.readSBMLFromFile(str(path)).getModel()
    selections = []
    for name in states:
        species = model.getSpecies(name)
        concentration = species is not None and not species.getHasOnlySubstanceUnits()
        selections.append(f"[{name}]" if concentration else name)
    return selections
