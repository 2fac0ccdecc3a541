"""Trajectories in float32: how near they come to those in float64, and that nothing else is computed with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

import models
import twin
from twin.compile.system import compile_model
from twin.errors import ExperimentError
from twin.experiment.actions import collect_actions
from twin.precision import computing_in
from twin.simulation import check_tolerance, expression_of, parameter_matrix, run_lanes
from twin.solve import METHODS

ACCURACY = {"rtol": 1e-5, "atol": 1e-8}
SINGLE = ACCURACY | {"precision": "float32"}

BALL = twin.Model(
    "ball",
    [twin.State("height", 10.0), twin.State("speed", 0.0)],
    [twin.Parameter("g", 9.81), twin.Parameter("kept", 0.8)],
    odes={"height": "speed", "speed": "-g"},
    events=[twin.Event("bounce", "height < 0", {"speed": "-kept * speed", "height": "0"})],
)
DELAYED = twin.Model(
    "delayed",
    [twin.State("y", 0.2)],
    [twin.Parameter("r", 1.2), twin.Parameter("lag", 1.5)],
    odes={"y": "r * y * (1 - delay(y, lag))"},
)
BOUND = twin.Model(
    "bound",
    [twin.State("total", "t0"), twin.State("free", 0.3)],
    [twin.Parameter("t0", 0.8), twin.Parameter("make", 0.9), twin.Parameter("loss", 0.5), twin.Parameter("K", 0.4)],
    odes={"total": "make - loss * free"},
    constraints={"free": "free + free / (K + free) - total"},
)
LENGTH = 60
CHAIN = twin.Model(
    "chain",
    [twin.State(f"x{k}", 1.0 if k == 0 else 0.0) for k in range(LENGTH)],
    [twin.Parameter("k", 1.0)],
    [twin.Reaction(f"r{k}", f"x{k} -> x{k + 1}", f"k * x{k} / (1 + x{k})") for k in range(LENGTH - 1)],
)
DOSED = twin.Experiment(
    [twin.Bolus("A", 2.0, time=0.5)], equilibrate=twin.Equilibration(), changes=[twin.Change("loss", "2 * loss", 1.0)]
)
TURNOVER = twin.Model(
    "turnover",
    [twin.State("A", 0.0)],
    [twin.Parameter("make", 1.0), twin.Parameter("loss", 0.7)],
    odes={"A": "make - loss * A"},
)
TIMES = np.linspace(0.0, 3.0, 13)


@pytest.mark.parametrize(
    ("model", "experiment"),
    [(BALL, None), (DELAYED, None), (BOUND, None), (CHAIN, None), (TURNOVER, DOSED), ("influenza_teiv", None)],
    ids=["events", "delays", "constraints", "array code", "doses after a steady state", "a model of the library"],
)
def test_near_the_trajectories_in_float64(model: twin.Model | str, experiment: twin.Experiment | None) -> None:
    model = models.load(model) if isinstance(model, str) else model
    exact = twin.simulate(model, TIMES, experiment=experiment, rtol=1e-10, atol=1e-13)
    single = twin.simulate(model, TIMES, experiment=experiment, **SINGLE)
    assert single.attrs["precision"] == "float32"
    for name in model.state_names:
        largest = np.abs(exact[name]).max().item()
        assert np.abs(single[name] - exact[name]).max().item() < 5e-4 * largest + 10 * SINGLE["atol"]
    # And it is not float64 under another name: rounding shows.
    double = twin.simulate(model, TIMES, experiment=experiment, **ACCURACY)
    assert any((double[name] != single[name]).any() for name in model.state_names)


def _dtypes(jaxpr) -> Iterator[np.dtype]:
    for equation in jaxpr.eqns:
        for variable in equation.outvars:
            if hasattr(variable.aval, "dtype"):
                yield variable.aval.dtype
        for inner in jaxprs_in_params(equation.params):
            yield from _dtypes(inner)


def test_nothing_is_computed_in_64_bits() -> None:
    model = models.load("influenza_teiv")
    system = compile_model(model)
    values, _ = parameter_matrix(model, {"beta": model.default_parameters["beta"] * np.array([0.9, 1.1])})
    actions = collect_actions(system, [twin.Experiment()], [3.0])
    expressions = tuple(expression_of(model, name) for name in model.state_names)
    tolerance = check_tolerance(1e-5, 1e-8, 1000, "float32")

    def run(p, ts):
        return run_lanes(system, METHODS["rodas5p"], tolerance, expressions, actions, p, ts)

    with computing_in("float32"):
        jaxpr = jax.make_jaxpr(run)(values[:, None, :], TIMES[:, None])
    found = set(map(str, _dtypes(jaxpr.jaxpr)))
    assert "float32" in found
    assert not {name for name in found if name.endswith("64")}


def test_the_setting_outside_does_not_matter() -> None:
    inside = twin.simulate(TURNOVER, TIMES, **SINGLE)
    with twin.float64():
        np.testing.assert_array_equal(twin.simulate(TURNOVER, TIMES, **SINGLE).A, inside.A)


def test_cohorts(tmp_path: Path) -> None:
    cohort = twin.Cohort(50, {"loss": twin.LogNormal(0.7, cv=0.3)}, seed=1)
    exact = twin.simulate_cohort(TURNOVER, TIMES, cohort, progress=False)
    single = twin.simulate(TURNOVER, TIMES, cohort, progress=False, **SINGLE)
    np.testing.assert_allclose(single.A, exact.A, rtol=2e-4, atol=1e-5)
    assert single.attrs["precision"] == "float32"
    twin.simulate_cohort(TURNOVER, TIMES, cohort, to=tmp_path / "run.nc", progress=False, **ACCURACY).close()
    with pytest.raises(ExperimentError, match="it holds the result of another call"):
        twin.simulate_cohort(TURNOVER, TIMES, cohort, to=tmp_path / "run.nc", progress=False, **SINGLE)


def test_tolerances_that_seven_digits_cannot_keep() -> None:
    with pytest.raises(ExperimentError, match=r"rtol is 1e-08 with numbers of float32(.|\n)*at least 1e-05"):
        twin.simulate(TURNOVER, TIMES, precision="float32")


def test_an_unknown_precision() -> None:
    with pytest.raises(ExperimentError, match=r"the precision is 'float16'(.|\n)*float"):
        twin.simulate(TURNOVER, TIMES, precision="float16")
