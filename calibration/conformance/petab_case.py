"""Judges one case of PEtab's test suites, or one benchmark problem."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calibration.conformance.petab_maths import judge_expression
from calibration.conformance.petab_suite import (
    BENCHMARK,
    MATHS,
    REFERENCE_FILE,
    problem_file,
    read_yaml,
    solution_file,
)
from calibration.petab.read import read_petab
from calibration.problem import Problem
from twin.conformance.comparison import Deviation, verdict_on, worst_deviation
from twin.conformance.suite import Case
from twin.conformance.verdict import Verdict, judged
from twin.errors import TwinError, TwinWarning

BENCHMARK_TOLERANCE = 1e-3
"""Relative, of a log-likelihood at the nominal parameters; the order of what solver tolerances of 1e-8 leave open."""

_KEYS = ("observable", "time")


def judge(case: Case) -> Verdict:
    """Reads the problem and compares what it computes at the nominal parameters with what is expected."""
    if case.kind == MATHS:
        return judged(lambda: judge_expression(case))
    if "pysb" in case.tags and find_spec("pysb") is None:
        return Verdict("skipped", "the model is written in PySB, which is not installed")
    return judged(lambda: _judge_benchmark(case) if case.kind == BENCHMARK else _judge_test(case))


def _read(case: Case) -> Problem:
    with warnings.catch_warnings():
        # Fewer readings than parameters, nominal values outside the bounds: so the suites are.
        warnings.simplefilter("ignore", TwinWarning)
        return read_petab(problem_file(case.path))


def _judge_test(case: Case) -> Verdict:
    solution = read_yaml(solution_file(case.path))
    problem = _read(case)
    theta = problem.nominal
    deviations = []
    if "llh" in solution:
        deviations.append(_scalar("log-likelihood", problem.log_likelihood(theta), solution, "llh"))
    if "chi2" in solution:
        chi2 = float(np.sum(np.asarray(problem.residuals(theta)) ** 2))
        deviations.append(_scalar("chi2", chi2, solution, "chi2"))
    if "unnorm_log_posterior" in solution:
        # A density per parameter is given, each to the tolerance; we have their sum.
        each = solution["log_prior"].values()
        total = {"log_prior": sum(each), "tol_log_prior": len(each) * float(solution["tol_log_prior"])}
        deviations.append(_scalar("log-prior", problem.log_prior(theta), total, "log_prior"))
        deviations.append(_scalar("log-posterior", problem.log_posterior(theta), solution, "unnorm_log_posterior"))
    tables = [case.path / name for name in solution.get("simulation_files", ())]
    if tables:
        deviations.append(_simulations(problem, tables, float(solution["tol_simulations"]), 0.0))
    if not deviations:
        raise TwinError("the solution names nothing to compare", where=str(case.path), expected="llh, chi2, ...")
    return verdict_on(max(deviations, key=lambda deviation: deviation.size))


def _judge_benchmark(case: Case) -> Verdict:
    problem = _read(case)
    expected = _reference(case)
    if expected is not None:
        found = float(problem.log_likelihood(problem.nominal))
        return verdict_on(
            worst_deviation(
                np.array([found]), np.array([expected]), ["log-likelihood"], absolute=0.0, relative=BENCHMARK_TOLERANCE
            )
        )
    tables = sorted(case.path.glob("simulatedData_*.tsv"))
    if not tables:
        raise TwinError("there is no reference", where=case.name, expected=f"{REFERENCE_FILE} or simulatedData_*.tsv")
    return verdict_on(_simulations(problem, tables, 1e-6, BENCHMARK_TOLERANCE))


def _reference(case: Case) -> float | None:
    """The log-likelihood at the nominal parameters, from the table beside the problems."""
    path = case.path.parent / REFERENCE_FILE
    if not path.is_file():
        return None
    table = pd.read_csv(path, sep="\t")
    rows = table.loc[table["problem"] == case.name, "log_likelihood"]
    return float(rows.iloc[0]) if len(rows) else None


def _scalar(label: str, found: Any, solution: Mapping[str, Any], key: str) -> Deviation:
    return worst_deviation(
        np.array([float(found)]), np.array([float(solution[key])]), [label], float(solution[f"tol_{key}"]), 0.0
    )


def _simulations(problem: Problem, paths: list[Path], absolute: float, relative: float) -> Deviation:
    """Deviation of the predictions from tables of simulations.

    The rows of both are those of the measurements. Where they are in another order they are matched by
    observable and time, and among equals by their value.
    """
    tables = [pd.read_csv(path, sep="\t") for path in paths]
    names = {"observableId": "observable", "simulation": "value"}
    expected = pd.concat(tables, ignore_index=True).rename(columns=names)
    found = problem.measurements.table[["observable", "time"]].copy()
    found["value"] = np.asarray(problem.simulate(problem.nominal))
    if len(found) != len(expected):
        raise TwinError(
            f"there are {len(found)} readings and {len(expected)} simulations", where=str(paths[0]), expected="one each"
        )
    if not _same_rows(found, expected):
        found, expected = (table.sort_values([*_KEYS, "value"], ignore_index=True) for table in (found, expected))
        if not _same_rows(found, expected):
            raise TwinError("the simulations are not those of the readings", where=str(paths[0]))
    labels = [f"{name} at t = {time:g}" for name, time in zip(found["observable"], found["time"], strict=True)]
    return worst_deviation(found["value"].to_numpy(), expected["value"].to_numpy(), labels, absolute, relative)


def _same_rows(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    names = one["observable"].tolist() == other["observable"].tolist()
    return names and np.array_equal(one["time"].to_numpy(float), other["time"].to_numpy(float))
