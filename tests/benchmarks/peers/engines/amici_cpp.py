"""AMICI: C++ generated per model, CVODES, forward or adjoint sensitivities.

Seconds to compare are the solver's own (`cpu_time`, `cpu_time_b` and those of the steady states, summed over
conditions), which leave out everything that AMICI does in Python; "wall" is the user's call: parameters filled into
prepared conditions, simulation, and the sum over conditions. The code of a model is built once and kept.

References:
    Fröhlich et al. 2021, doi:10.1093/bioinformatics/btab227.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import amici.sim.sundials as ase
import petab.v1 as petab
from amici.importers.petab.v1 import import_petab_problem
from amici.sim.sundials.petab.v1._conditions import create_edatas, fill_in_parameters
from amici.sim.sundials.petab.v1._parameter_mapping import create_parameter_mapping
from amici.sim.sundials.petab.v1._simulations import aggregate_sllh

from .task import EngineError, Task, timed

DISTRIBUTION = "amici"
MAX_STEPS = (10_000, 200_000)
"""AMICI's default, and what is tried where it does not suffice: the adjoint method allocates memory for all of them."""
SECONDS_OF = ("cpu_time", "cpu_time_b", "preeq_cpu_time", "preeq_cpu_time_b", "posteq_cpu_time", "posteq_cpu_time_b")
BUILD_RECORD = "build_seconds.json"


def open_task(task: Task) -> PetabTask:
    """Builds or loads the model of a PEtab problem."""
    return PetabTask(task)


class PetabTask:
    """Likelihood with gradient (or residuals with Jacobian) of a PEtab problem at one or several vectors.

    Args:
        task: "path", "kind", "rtol", "atol", "mode" (forward or adjoint), "build" (folder of generated code) and
            "vectors" (by parameter, on the scale of the parameter table).
    """

    def __init__(self, task: Task) -> None:
        logging.disable(logging.WARNING)  # AMICI formats messages for every condition, shown or not
        self.problem = _flat(petab.Problem.from_yaml(task["path"]))
        self.model, built = _load(self.problem, Path(task["path"]).parent.name, Path(task["build"]))
        self.residuals = task["kind"] == "jacobian"
        self.vectors: list[dict[str, float]] = task["vectors"]
        self.solver = _solver(self.model, task, self.residuals)
        conditions = self.problem.get_simulation_conditions_from_measurement_df()
        arguments = {"petab_problem": self.problem, "amici_model": self.model, "simulation_conditions": conditions}
        self.mapping = create_parameter_mapping(**arguments, scaled_parameters=True)
        self.edatas = create_edatas(**arguments)
        names, values = self.problem.x_ids, self.problem.get_x_nominal(scaled=True)
        free = self.mapping.free_symbols
        self.nominal = {name: value for name, value in zip(names, values, strict=True) if name in free}
        self.compile_s = built + self._first_run()

    def _first_run(self) -> float:
        started = time.perf_counter()
        try:
            self.run()
        except EngineError:
            self.solver.set_max_steps(MAX_STEPS[1])
            self.run()
        return time.perf_counter() - started

    def run(self) -> dict[str, float]:
        """Simulates all conditions at every vector."""
        started = time.perf_counter()
        runs = [self._evaluate(vector) for vector in self.vectors]
        wall = time.perf_counter() - started
        self.results = [result for _, result in runs]
        conditions = [rdata for rdatas, _ in runs for rdata in rdatas]
        solver = 1e-3 * sum(getattr(rdata, name) for rdata in conditions for name in SECONDS_OF)
        total = 1e-3 * sum(rdata.cpu_time_total for rdata in conditions)
        return {"seconds": solver, "cpp_total": total, "wall": wall}

    def _evaluate(self, vector: dict[str, float]) -> tuple[list[Any], dict[str, Any]]:
        fill_in_parameters(
            edatas=self.edatas,
            problem_parameters=self.nominal | {k: v for k, v in vector.items() if k in self.nominal},
            scaled_parameters=True,
            parameter_mapping=self.mapping,
            amici_model=self.model,
        )
        rdatas = ase.run_simulations(self.model, self.solver, edata_list=self.edatas, num_threads=1, failfast=True)
        for rdata in rdatas:
            if rdata.status != ase.AMICI_SUCCESS:
                raise EngineError(f"integration failed: {ase.simulation_status_to_str(rdata.status)}")
        if self.residuals:
            return rdatas, {"residuals": sum(rdata.res.size for rdata in rdatas)}
        slopes = aggregate_sllh(self.model, rdatas, self.mapping, self.edatas, petab_scale=False)
        assert slopes is not None  # no condition failed
        value = float(sum(rdata.llh for rdata in rdatas))
        return rdatas, {"value": value, "gradient": {k: float(v) for k, v in slopes.items()}}

    def answer(self) -> dict[str, Any]:
        """Results by vector, and the size of the problem."""
        return {"results": self.results, "states": self.model.nx_rdata, "conditions": len(self.edatas)}


def _flat(problem: petab.Problem) -> petab.Problem:
    """Observables with parameters of their own in some readings become several: AMICI knows no others."""
    plain_noise = not petab.observable_table_has_nontrivial_noise_formula(problem.observable_df)
    if petab.measurement_table_has_timepoint_specific_mappings(
        problem.measurement_df, allow_scalar_numeric_noise_parameters=plain_noise
    ):
        petab.flatten_timepoint_specific_output_overrides(problem)
    return problem


def _solver(model: Any, task: Task, residuals: bool) -> Any:
    solver = model.create_solver()
    solver.set_relative_tolerance(task["rtol"])
    solver.set_absolute_tolerance(task["atol"])
    solver.set_max_steps(MAX_STEPS[0])
    solver.set_sensitivity_order(ase.SensitivityOrder.first)
    solver.set_sensitivity_method(getattr(ase.SensitivityMethod, task["mode"]))
    reporting = ase.RDataReporting.residuals if residuals else ase.RDataReporting.likelihood
    solver.set_return_data_reporting_mode(reporting)
    return solver


def _load(problem: petab.Problem, name: str, folder: Path) -> tuple[Any, float]:
    """The model, and the seconds that its build took (when it was built, on this machine)."""
    # CMake runs the SWIG that it finds first; another than AMICI was built with gives a module that does not load.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    target, record = folder / name, folder / f"{name}.{BUILD_RECORD}"
    if not record.exists():
        shutil.rmtree(target, ignore_errors=True)
        seconds, _ = timed(lambda: import_petab_problem(problem, target, model_name=name, verbose=False))
        record.write_text(json.dumps(seconds))
    model = import_petab_problem(problem, target, model_name=name, compile_=False, verbose=False)
    return model, float(json.loads(record.read_text()))
