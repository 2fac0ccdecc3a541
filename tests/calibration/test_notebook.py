"""Problems, fits and assessments in a notebook: what they show, and that hostile names stay words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

import twin
from calibration.notebook import assessment_html, population_html
from calibration.optimise.result import Fit
from calibration.problem import Problem
from twin.study import Estimate, Noise

HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_problem_shows_its_entries_escaped() -> None:
    model = twin.Model(
        "decay",
        [twin.State("A", "A0")],
        [twin.Parameter("k", 0.5, description=HOSTILE), twin.Parameter("A0", 2.0)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    rows = [(HOSTILE, HOSTILE, "y", t, 1.0, np.nan, "") for t in (0.0, 1.0, 2.0, 3.0)]
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    problem = Problem(
        model,
        pd.DataFrame(rows, columns=columns),
        [Estimate("k", 0.01, 10.0, per="subject"), Estimate("sd", 0.1, 1.0, nominal=0.3)],
        Noise("normal", "sd"),
        experiments={HOSTILE: twin.Experiment()},
        name=HOSTILE,
    )
    shown = problem._repr_html_()
    assert "<img" not in shown and "&lt;img" in shown
    assert "<td>0.01</td><td>10</td><td>0.5</td><td>log10</td>" in shown and "<td>sd</td>" in shown


def test_a_fit_shows_the_best_vector_with_errors() -> None:
    fit = Fit(
        names=("k", HOSTILE),
        theta=np.array([[-0.3, 1.0], [0.0, 2.0]]),
        objective=np.array([1.0, 9.0]),
        nllh=np.array([1.0, 9.0]),
        starts=np.zeros((2, 2)),
        converged=np.array([True, False]),
        redrawn=0,
        failed=0,
        at_bound=(HOSTILE,),
        seconds=1.5,
        curvature=np.diag([4.0, 25.0]),
    )
    shown = fit._repr_html_()
    assert "<img" not in shown and "&lt;img" in shown and "on a bound" in shown
    assert "reached by 1 of 2 starts; 1 did not converge, 0 failed" in shown
    assert "<td>-0.3</td><td>0.5</td>" in shown and "<td>1</td><td>0.2</td>" in shown  # 1 / sqrt of the curvature
    flat = Fit(**{**fit.__dict__, "curvature": np.zeros((2, 2))})
    assert "<td>-0.3</td><td>–</td>" in flat._repr_html_()


def test_a_population_shows_its_numbers() -> None:
    table = pd.DataFrame(
        {"estimate": [2.75, 0.26], "se": [0.2, np.nan], "lower": [2.3, 0.1], "upper": [3.1, 0.4], "cv": [np.nan, 27.0]},
        index=["CL", HOSTILE],
    )
    shrinkage = pd.Series({"CL": 0.05})
    found: Any = SimpleNamespace(table=table, shrinkage=shrinkage, converged=False, method="saem", objective=360.8)
    shown = population_html(found)
    assert "saem, not converged; -2 log-likelihood 360.80; shrinkage CL 5%" in shown and "<img" not in shown
    assert "<td>CL</td><td>2.75</td><td>0.2</td><td>2.3</td><td>3.1</td><td>–</td>" in shown


def test_an_assessment_shows_its_verdict_and_all_forecasters() -> None:
    scores = {"crps": 0.102, "coverage_50": 0.5, "coverage_90": 0.9, "interval_score": 0.8, "elpd": np.nan}
    by_forecaster = pd.DataFrame([{"forecaster": HOSTILE, **scores}])
    given: Any = SimpleNamespace(title="influenza", verdict="Better than a spline.", by_forecaster=by_forecaster)
    shown = assessment_html(given)
    assert "Better than a spline." in shown and "<img" not in shown
    assert "<td>0.102</td><td>0.5</td><td>0.9</td><td>0.8</td><td>–</td>" in shown
