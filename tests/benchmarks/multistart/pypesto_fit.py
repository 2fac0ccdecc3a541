"""One problem fitted by pyPESTO with AMICI and fides; writes a line of JSON for every start.

fides takes its default Hessian update, or the Fisher information matrix as Hessian, which is better on some problems;
starting points whose objective is not finite are drawn anew.

References:
    Schälte et al. 2023, doi:10.1093/bioinformatics/btad711; Fröhlich & Sorger 2022, doi:10.1371/journal.pcbi.1010322.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path

import numpy as np
import petab.v1 as petab
import pypesto
import pypesto.optimize as optimize
from pypesto.petab import PetabImporter

TOLERANCE = 1e-8


def main(task: dict) -> None:
    """Fits the starts one by one."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.WARNING)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    description = petab.Problem.from_yaml(task["path"])
    plain = not petab.observable_table_has_nontrivial_noise_formula(description.observable_df)
    if petab.measurement_table_has_timepoint_specific_mappings(
        description.measurement_df, allow_scalar_numeric_noise_parameters=plain
    ):
        petab.flatten_timepoint_specific_output_overrides(description)
    name = Path(task["path"]).parent.name
    importer = PetabImporter(description, str(Path(task["build"]) / name), name, validate_petab=False)
    problem = importer.create_problem(verbose=False)
    solver = problem.objective.amici_solver if hasattr(problem.objective, "amici_solver") else None
    for objective in getattr(problem.objective, "_objectives", [problem.objective]):
        if hasattr(objective, "amici_solver"):
            solver = objective.amici_solver
    solver.set_relative_tolerance(TOLERANCE)
    solver.set_absolute_tolerance(TOLERANCE)
    options = {"hessian_update": None} if task["engine"].endswith("FIM") else {}
    optimizer = optimize.FidesOptimizer(verbose=logging.ERROR, **options)
    points = pypesto.startpoint.LatinHypercubeStartpoints(check_fval=True)
    np.random.seed(task["seed"])
    print(json.dumps({"built": True}), file=replies, flush=True)
    began = time.perf_counter()
    drawn = points(n_starts=task["starts"], problem=problem)
    for number, point in enumerate(drawn):
        problem.startpoint_method = pypesto.startpoint.FunctionStartpoints(lambda point=point, **_: point[None])
        engine = pypesto.engine.SingleCoreEngine()
        result = optimize.minimize(problem, optimizer, n_starts=1, engine=engine, progress_bar=False)
        row = {"start": number, "objective": float(result.optimize_result[0]["fval"])}
        print(json.dumps({**row, "seconds": time.perf_counter() - began}), file=replies, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
