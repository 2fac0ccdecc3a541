"""Results in R and DuckDB, and problems in pyPESTO: what was written here, opened and computed there.

    uv sync --group peers && uv run python -m tests.benchmarks.opened_elsewhere

Programs that are not installed are named and left out (Debian: r-base-core r-cran-ncdf4; `pip install duckdb`). A line
says what was compared and by how much the other program differs. pyPESTO's objective with libroadrunner (0.7.0) takes
readings of log-normal noise as normal ones, so it is asked of studies with normal noise only.
"""

from __future__ import annotations

import importlib.util
import itertools
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import calibration
import models
import twin

if TYPE_CHECKING:
    import petab.v1

STUDIES = ("timekill_regoes2004", "stat5_boehm2014")
"""Studies without doses and censored readings, which version 1 of PEtab does not have."""


def results(folder: Path) -> Iterator[tuple[str, str, str]]:
    """A simulation with draws: every number of one variable, read back by another program."""
    ds = twin.simulate(models.load("influenza_teiv"), np.linspace(0, 7, 71), {"beta": [2e-5, 3e-5]})
    wanted = ds["V"].to_numpy()
    for name in ("run.nc", "run.parquet"):
        twin.write_results(ds, folder / name)
    script = f"""
        nc <- ncdf4::nc_open("{folder / "run.nc"}")
        v <- ncdf4::ncvar_get(nc, "V")
        cat(dim(v), formatC(v, digits = 17, format = "g"), ncdf4::ncatt_get(nc, "V", "units")$value)
    """
    if shutil.which("Rscript") is None:
        yield "netCDF in R (ncdf4)", "not tried", "no Rscript"
    else:
        said = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=False)
        if said.returncode:
            yield "netCDF in R (ncdf4)", "failed", said.stderr.strip().splitlines()[-1]
        else:
            words = said.stdout.split()
            first, second = map(int, words[:2])
            # R runs through the first dimension first.
            read = np.array(words[2 : 2 + first * second], dtype=float).reshape(second, first)
            yield "netCDF in R (ncdf4)", _difference(read, wanted), f"unit {' '.join(words[2 + first * second :])}"
    if importlib.util.find_spec("duckdb") is None:
        yield "Parquet in DuckDB", "not tried", "not installed"
    else:
        import duckdb

        rows = duckdb.sql(f"select V from read_parquet('{folder / 'run.parquet'}') order by draw, time").fetchall()
        yield "Parquet in DuckDB", _difference(np.array(rows).reshape(wanted.shape), wanted), f"{len(rows)} rows"


def problems(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Log-likelihoods at the nominal vector and around it."""
    if importlib.util.find_spec("pypesto") is None:
        yield "PEtab in petab and pyPESTO", "not tried", "pypesto is not installed"
        return
    import petab.v1
    from pypesto.petab import PetabImporter

    for name in STUDIES:
        problem = calibration.Problem.from_study(name, rtol=1e-10, atol=1e-12)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = calibration.write_petab(problem, folder / name, version="1", priors="omit")
            read = petab.v1.Problem.from_yaml(str(path))
        order = [problem.names.index(entry) for entry in read.x_free_ids]
        rng = np.random.default_rng(0)
        thetas = [problem.nominal + step * rng.uniform(-1, 1, len(problem.names)) for step in (0.0, 0.05, 0.1)]
        ours = np.array([-float(problem.log_likelihood(theta)) for theta in thetas])
        said = f"-log L {ours[0]:.6f} at the nominal vector"
        by_petab = np.array([_by_petab(problem, read, theta) for theta in thetas])
        yield f"{name}: petab's likelihood of our predictions", _difference(by_petab, ours), said
        if all(noise.family == "normal" for noise in problem.noise.values()):
            objective = PetabImporter(read, simulator_type="roadrunner").create_problem().objective
            # With priors the objective is a sum, of which the readings' is the first.
            objective = getattr(objective, "_objectives", [objective])[0]
            objective.solver_options.relative_tolerance, objective.solver_options.absolute_tolerance = 1e-8, 1e-10
            theirs = np.array([float(objective(theta[order])) for theta in thetas])
            yield f"{name}: pyPESTO with libroadrunner", _difference(theirs, ours), said


def _by_petab(problem: calibration.Problem, read: petab.v1.Problem, theta: np.ndarray) -> float:
    """Minus the log-likelihood by petab's own formulas, at our predictions."""
    from petab.v1.calculate import calculate_llh
    from petab.v1.parameters import unscale

    simulated = read.measurement_df.assign(simulation=np.asarray(problem.simulate(theta)))
    parameters = read.parameter_df.copy()
    for name, value in zip(problem.names, theta, strict=True):
        parameters.loc[name, "nominalValue"] = unscale(value, parameters.loc[name, "parameterScale"])
    return -calculate_llh(read.measurement_df, simulated, read.observable_df, parameters)


def _difference(read: np.ndarray, wanted: np.ndarray) -> str:
    return f"{np.max(np.abs(read - wanted) / np.maximum(np.abs(wanted), 1e-300)):.1e}"


def main() -> None:
    """Print the table."""
    print("| what | largest relative difference | |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for found in itertools.chain(results(Path(folder)), problems(Path(folder))):
            print("| " + " | ".join(found) + " |", flush=True)


if __name__ == "__main__":
    main()
