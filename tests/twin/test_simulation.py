"""`twin.simulate`: what it returns, refuses, and does when some draws fail."""

from __future__ import annotations

from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

import twin
from twin.errors import ExperimentError, ModelError, SimulationError, TwinWarning, UnknownSymbolError

pytestmark = pytest.mark.xdist_group("simulation")

DECAY = twin.Model(
    "decay",
    [twin.State("A", 2.0, "mg"), twin.State("B", 0.0, "mg")],
    [twin.Parameter("k", 1.0, "1/hour"), twin.Parameter("unused", 1.0)],
    reactions=[twin.Reaction("turn", "A -> B", "k * A")],
    assignments=[twin.Assignment("total", "A + B", "mg")],
    observables=[twin.Observable("twice", "2 * A", "mg")],
    time_unit="hour",
)
TS = np.linspace(0.0, 2.0, 5)
BLOW_UP = twin.Model("blow_up", [twin.State("y", 1.0)], [twin.Parameter("a", 1.0)], odes={"y": "a * y^2"})


def test_one_parameter_set() -> None:
    ds = twin.simulate(DECAY, TS)
    assert list(ds.data_vars) == ["A", "B", "twice"]
    assert ds.sizes == {"time": 5}
    assert ds.A.attrs == {"units": "mg"}
    assert ds.time.attrs == {"units": "hour"}
    assert ds.A.dtype == np.float64
    np.testing.assert_allclose(ds.A, 2.0 * np.exp(-TS), rtol=1e-7)
    np.testing.assert_allclose(ds.twice, 2.0 * ds.A, rtol=1e-15)
    assert ds.attrs["model"] == "decay"
    assert ds.attrs["model_fingerprint"] == DECAY.fingerprint
    assert ds.attrs["solver"] == "rodas5p"
    assert (ds.attrs["rtol"], ds.attrs["atol"], ds.attrs["failed"]) == (1e-8, 1e-12, 0)


def test_draws_and_variables() -> None:
    k = np.array([0.5, 1.0, 3.0])
    variables = ["A + B", "total", "turn", "k", "A * exp(time)", "twice"]
    ds = twin.simulate(DECAY, TS, {"k": k, "unused": 7.0}, variables=variables)
    assert ds.sizes == {"draw": 3, "time": 5}
    a = 2.0 * np.exp(-k[:, None] * TS)
    np.testing.assert_allclose(ds["A + B"], 2.0, rtol=1e-12)
    np.testing.assert_allclose(ds.total, 2.0, rtol=1e-12)
    np.testing.assert_allclose(ds.turn, k[:, None] * a, rtol=1e-7)
    np.testing.assert_allclose(ds.k, k[:, None] * np.ones(5))
    np.testing.assert_allclose(ds["A * exp(time)"], a * np.exp(TS), rtol=1e-7)
    assert ds.turn.attrs["units"] == DECAY.unit("turn")
    assert ds["A + B"].attrs == {}


def test_one_draw_keeps_its_dimension() -> None:
    assert twin.simulate(DECAY, TS, {"k": [1.0]}).sizes == {"draw": 1, "time": 5}


def test_parameters_seen_are_those_in_force() -> None:
    experiment = twin.Experiment(changes=[twin.Change("k", 0.0, 0.5, 1.5)])
    ds = twin.simulate(DECAY, TS, experiment=experiment, variables=["k"])
    np.testing.assert_array_equal(ds.k, [1.0, 0.0, 0.0, 1.0, 1.0])


def test_single_time_and_repeated_times() -> None:
    np.testing.assert_allclose(twin.simulate(DECAY, 0.0).A, [2.0])
    np.testing.assert_allclose(twin.simulate(DECAY, [0.0, 1.0, 1.0]).A, 2.0 * np.exp([0.0, -1.0, -1.0]), rtol=1e-7)


def test_negative_times_start_there() -> None:
    np.testing.assert_allclose(twin.simulate(DECAY, [-1.0, 0.0]).A, 2.0 * np.exp([0.0, -1.0]), rtol=1e-7)


def test_no_parameters_and_no_variables() -> None:
    model = twin.Model("clock", [twin.State("t", 0.0)], odes={"t": 1})
    np.testing.assert_allclose(twin.simulate(model, [0.0, 3.0]).t, [0.0, 3.0], rtol=1e-12)
    assert not twin.simulate(model, [0.0, 3.0], variables=[]).data_vars


def test_a_draw_does_not_depend_on_its_neighbours() -> None:
    model = twin.Model(
        "oscillator",
        [twin.State("x", 2.0), twin.State("v", 0.0)],
        [twin.Parameter("mu", 1.0)],
        odes={"x": "v", "v": "mu * (1 - x^2) * v - x"},
    )
    mu = np.array([0.1, 5.0, 1.0, 40.0, 0.0, 2.0, 10.0])
    ts = np.linspace(0.0, 10.0, 6)
    together = twin.simulate(model, ts, {"mu": mu})
    backwards = twin.simulate(model, ts, {"mu": mu[::-1]})
    # The same program, other places: the vectorised loop's body and its remainder round alike to an ulp.
    np.testing.assert_allclose(backwards.x[::-1], together.x, rtol=1e-9, atol=1e-10)
    alone = twin.simulate(model, ts, {"mu": [40.0]})
    np.testing.assert_allclose(alone.x[0], together.x[3], rtol=1e-9, atol=1e-10)


def test_some_draws_fail() -> None:
    with pytest.warns(TwinWarning, match="1 of 3 draws failed .*step size became too small.*; they are NaN") as record:
        ds = twin.simulate(BLOW_UP, [0.0, 0.4, 0.9], {"a": [1.0, 2.0, -1.0]})
    assert record[0].filename == __file__
    assert ds.attrs["failed"] == 1
    assert np.isnan(ds.y[1]).all()
    np.testing.assert_allclose(ds.y[0], [1.0, 1 / 0.6, 10.0], rtol=1e-6)
    np.testing.assert_allclose(ds.y[2], [1.0, 1 / 1.4, 1 / 1.9], rtol=1e-7)


def test_the_only_trajectory_fails() -> None:
    with pytest.raises(SimulationError, match="the integration failed: 1 with the step size became too small"):
        twin.simulate(BLOW_UP, [0.0, 2.0])


def test_all_draws_fail() -> None:
    with pytest.raises(SimulationError, match="all 2 draws failed: 2 with"):
        twin.simulate(BLOW_UP, [0.0, 2.0], {"a": [1.0, 2.0]})


def test_too_many_steps() -> None:
    with pytest.raises(SimulationError, match=r"1 with more steps than allowed(.|\n)*raise max_steps"):
        twin.simulate(DECAY, TS, max_steps=3)


def test_vector_field_that_is_not_finite() -> None:
    model = twin.Model("undefined", [twin.State("y", -1.0)], odes={"y": "ln(y)"})
    with pytest.raises(SimulationError, match="values that are not finite"):
        twin.simulate(model, [0.0, 1.0])


def test_no_steady_state() -> None:
    model = twin.Model("growth", [twin.State("y", 1.0)], [twin.Parameter("r", 1e-3)], odes={"y": "r"})
    experiment = twin.Experiment(equilibrate=twin.Equilibration(horizon=100.0))
    with pytest.raises(SimulationError, match="no steady state within the horizon"):
        twin.simulate(model, [0.0, 1.0], experiment=experiment)


def test_a_first_step_as_long_as_the_horizon_can_lead_to_a_steady_state() -> None:
    # Hardly anything moves beside what is kept, yet by more than counts as steady: one step comes to it, and one
    # more has to show that it is.
    model = twin.Model(
        "faint",
        [twin.State("kept", 1.0), twin.State("y", 0.0)],
        [twin.Parameter("make", 1e-9)],
        odes={"y": "make - y"},
    )
    before = twin.Experiment(equilibrate=twin.Equilibration())
    ds = twin.simulate(model, [0.0, 1.0], experiment=before, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(ds.y, 1e-9, rtol=0, atol=1e-10)


# ---- inputs and switches

KNOTS, HEIGHTS = [0.5, 1.0, 2.0, 3.5, 4.0], [0.0, 2.0, 1.0, 3.0, 0.5]


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_measured_input_with_knots_inside_and_outside_the_span(interpolation: str) -> None:
    model = twin.Model(
        "driven",
        [twin.State("A", 0.3), twin.State("area", 0.0)],
        odes={"A": "u - A^2", "area": "u"},
        inputs=[twin.Input("u", KNOTS, HEIGHTS, interpolation)],
    )
    # From before the first knot to beyond the last; and from a start between knots.
    spline = CubicSpline(KNOTS, HEIGHTS, bc_type="natural")

    def drive(t: float) -> float:
        inside = np.clip(t, KNOTS[0], KNOTS[-1])
        return float(spline(inside)) if interpolation == "cubic" else float(np.interp(inside, KNOTS, HEIGHTS))

    for ts in (np.linspace(-1.0, 5.0, 13), np.array([1.2, 1.4, 3.0])):
        ds = twin.simulate(model, ts, experiment=twin.Experiment(t0=ts[0]), variables=["A", "area", "u"])
        y, expected = np.array([0.3, 0.0]), [np.array([0.3, 0.0])]
        stops = np.union1d(ts, [k for k in KNOTS if ts[0] < k < ts[-1]])
        for start, end in pairwise(stops):
            rhs = lambda t, y: [drive(t) - y[0] ** 2, drive(t)]  # noqa: E731
            y = solve_ivp(rhs, (start, end), y, "DOP853", rtol=1e-11, atol=1e-12).y[:, -1]
            if end in ts:
                expected.append(y)
        np.testing.assert_allclose([ds.A, ds.area], np.transpose(expected), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(ds.u, [drive(t) for t in ts], rtol=1e-12, atol=1e-14)


def test_switches_in_time_are_exact() -> None:
    """A polynomial of low degree between switches is integrated without error, at any tolerance."""
    model = twin.Model(
        "switched",
        [twin.State("a", 0.0), twin.State("b", 0.0), twin.State("c", 0.0), twin.State("d", 0.0)],
        [twin.Parameter("on", 1.3), twin.Parameter("width", 0.4)],
        odes={
            "a": "piecewise(5, time >= on && time < on + width, 0)",
            "b": "max(0, time - on, 1 - time)",
            "c": "abs(time - on) + min(time, width)",
            "d": "sign(time - on)",
        },
    )
    on, width = np.array([1.3, 0.2, 5.0, 3.999]), np.array([0.4, 1e-4, 1.0, 2.0])
    ts = np.array([0.0, 0.6, 1.3, 2.0, 4.0])
    ds = twin.simulate(model, ts, {"on": on, "width": width}, rtol=1e-3, atol=1e-3)
    on, width = on[:, None], width[:, None]
    np.testing.assert_allclose(ds.a, 5.0 * np.clip(ts - on, 0.0, width), rtol=1e-10, atol=1e-12)
    rising = 0.5 * np.maximum(ts - on, 0.0) ** 2
    falling = 0.5 * (1.0 - np.maximum(1.0 - ts, 0.0) ** 2)
    # The two ramps overlap only where on < 1: there they cross at (1 + on) / 2.
    cross = np.minimum((1 + on) / 2, 1.0)
    early = 0.5 * (1.0 - (1.0 - np.minimum(ts, cross)) ** 2)
    late = 0.5 * (np.maximum(ts, cross) - on) ** 2 - 0.5 * (cross - on) ** 2
    np.testing.assert_allclose(ds.b, np.where(on < 1, early + late, falling + rising), rtol=1e-10, atol=1e-12)
    c = 0.5 * on**2 + 0.5 * (ts - on) * np.abs(ts - on)
    c = c + 0.5 * np.minimum(ts, width) ** 2 + width * np.maximum(ts - width, 0.0)
    np.testing.assert_allclose(ds.c, c, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ds.d, np.abs(ts - on) - on, rtol=1e-10, atol=1e-12)


def test_switch_whose_parameter_changes() -> None:
    """The switch happens where the changed parameter puts it."""
    model = twin.Model(
        "moved", [twin.State("a", 0.0)], [twin.Parameter("on", 2.0)], odes={"a": "piecewise(1, time >= on, 0)"}
    )
    experiment = twin.Experiment(changes=[twin.Change("on", 3.3, 1.0), twin.Change("on", "on + 2.5", 3.0)])
    ds = twin.simulate(model, [0.0, 3.2, 4.0, 5.0], experiment=experiment)
    np.testing.assert_allclose(ds.a, [0.0, 0.0, 0.0, 0.5], atol=1e-12)


def test_hill_term_before_the_first_dose() -> None:
    """With sympy's derivative of a power, D**n at D = 0 would be 0/0."""
    model = twin.Model(
        "hill",
        [twin.State("D", 0.0), twin.State("R", 0.0)],
        [twin.Parameter("n", 1.5), twin.Parameter("half", 2.0)],
        odes={"D": "-D", "R": "(D / half)^n / (1 + (D / half)^n) + 0.1 * abs(D^n - 1) + 0.01 * floor(D)"},
    )
    ds = twin.simulate(model, [0.0, 1.0, 4.0], experiment=twin.Experiment([twin.Bolus("D", 10.0, 1.0)]))
    np.testing.assert_allclose(ds.R[1], 0.1, rtol=1e-7)

    def rhs(t: float, y: np.ndarray) -> list[float]:
        d = 10.0 * np.exp(-t)
        hill = (d / 2.0) ** 1.5
        return [hill / (1 + hill) + 0.1 * abs(d**1.5 - 1) + 0.01 * np.floor(d)]

    edges = [0.0, *np.log(10.0 / np.arange(9.0, 0.0, -1.0)), 3.0]
    total = 0.1
    for start, end in pairwise(edges):
        total += solve_ivp(rhs, (start + 1e-12, end - 1e-12), [0.0], "DOP853", rtol=1e-10, atol=1e-12).y[0, -1]
    np.testing.assert_allclose(ds.R[2], total, rtol=1e-6)


# ---- precision


@pytest.mark.parametrize("x64", [False, True])
def test_float64_whatever_the_global_switch(x64: bool) -> None:
    with jax.enable_x64(x64):
        ds = twin.simulate(DECAY, TS)
        assert jax.numpy.zeros(1).dtype == (np.float64 if x64 else np.float32)
    assert ds.A.dtype == np.float64
    np.testing.assert_allclose(ds.A, 2.0 * np.exp(-TS), rtol=1e-7)


# ---- what is refused

REFUSED = [
    ({"ts": []}, ExperimentError, "sample times have shape"),
    ({"ts": [[0.0, 1.0]]}, ExperimentError, "sample times have shape"),
    ({"ts": [0.0, np.nan]}, ExperimentError, "sample time 1 is nan"),
    ({"ts": [0.0, np.inf]}, ExperimentError, "sample time 1 is inf"),
    ({"ts": [1.0, 0.5]}, ExperimentError, "sample time 1 .0.5. is earlier"),
    ({"ts": ["soon"]}, ExperimentError, "the sample times are .*soon"),
    ({"ts": [-1.0], "experiment": twin.Experiment()}, ExperimentError, "before the start at 0"),
    ({"parameters": {"kk": 1.0}}, ExperimentError, "'kk' is no parameter of the model 'decay'"),
    ({"parameters": {"k": np.nan}}, ExperimentError, "'k' is not finite"),
    ({"parameters": {"k": [1.0, np.inf]}}, ExperimentError, "'k' is not finite at draw 1"),
    ({"parameters": {"k": "fast"}}, ExperimentError, "'k' is 'fast'"),
    ({"parameters": {"k": [[1.0]]}}, ExperimentError, "'k' has shape"),
    ({"parameters": {"k": []}}, ExperimentError, "'k' has shape"),
    ({"parameters": {"k": [1.0, 2.0], "unused": [1.0]}}, ExperimentError, "numbers of draws differ"),
    ({"parameters": [1.0]}, ExperimentError, "the parameters are a list"),
    ({"variables": ["C"]}, UnknownSymbolError, "unknown name 'C'"),
    ({"variables": "A"}, ExperimentError, "the variables are the text 'A'"),
    ({"variables": ["time"]}, ExperimentError, "'time' is asked for"),
    ({"variables": [3]}, ExperimentError, "3 is asked for"),
    ({"experiment": [twin.Bolus("A", 1.0)]}, ExperimentError, "the experiment is a list"),
    ({"experiment": twin.Experiment([twin.Bolus("C", 1.0)])}, ExperimentError, "bolus names 'C'"),
    ({"solver": "euler"}, ExperimentError, "no integration method 'euler'"),
    ({"rtol": 0.0}, ExperimentError, "rtol is 0.0"),
    ({"atol": -1.0}, ExperimentError, "atol is -1.0"),
    ({"rtol": "small"}, ExperimentError, "rtol is 'small'"),
    ({"max_steps": 0}, ExperimentError, "max_steps is 0"),
    ({"max_steps": 1e3}, ExperimentError, "max_steps is 1000.0"),
    ({"model": "decay"}, ModelError, "the model is a str"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_nonsense_is_refused(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        twin.simulate(**({"model": DECAY, "ts": TS} | arguments))
