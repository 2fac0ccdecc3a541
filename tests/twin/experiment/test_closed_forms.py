"""Doses, changes, resets and equilibrations against the superposition of exponentials that they must give.

All cases run as lanes of one compiled program per method; each is then held against its own formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pytest

import twin
from twin.compile.system import compile_model
from twin.errors import TwinError
from twin.experiment.actions import collect_actions
from twin.precision import float64
from twin.simulation import parameter_matrix, run_lanes
from twin.solve import Tolerance, method_named

pytestmark = pytest.mark.xdist_group("closed_forms")

type Values = Mapping[str, float]
type Course = Callable[[np.ndarray, Values], tuple[np.ndarray, np.ndarray]]

MODEL = twin.Model(
    "oral",
    [twin.State("gut", 0.0), twin.State("body", "base")],
    [
        twin.Parameter("ka", 1.1),
        twin.Parameter("ke", 0.3),
        twin.Parameter("make", 0.0),
        twin.Parameter("base", 0.0),
        twin.Parameter("dose", 2.0),
        twin.Parameter("lag", 0.7),
        twin.Parameter("span", 1.3),
    ],
    odes={"gut": "-ka * gut", "body": "ka * gut + make - ke * body"},
)
# Draws in which the lag comes before, between and after the fixed doses, and beyond the last sample.
DRAWS = {"ka": [1.1, 0.9, 2.0, 1.4], "lag": [0.7, 2.5, 4.1, 50.0], "span": [1.3, 3.0, 0.2, 2.0]}
TS = np.unique(np.concatenate([np.linspace(0.0, 8.0, 17), np.arange(10) / 10, [0.7, 2.1, 3.3]]))
RTOL = 1e-10


def absorbed(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
    """Gut and body after a unit bolus into the gut at 0."""
    ka, ke = p["ka"], p["ke"]
    s = np.maximum(t, 0.0)
    given = t >= 0
    return given * np.exp(-ka * s), given * ka / (ka - ke) * (np.exp(-ke * s) - np.exp(-ka * s))


def decayed(t: np.ndarray, rate: float) -> np.ndarray:
    """Body after a unit bolus into the body at 0."""
    return (t >= 0) * np.exp(-rate * np.maximum(t, 0.0))


def infused(t: np.ndarray, span: float, rate: float) -> np.ndarray:
    """Body after a unit amount infused into it from 0 on."""
    during, after = np.clip(t, 0.0, span), np.maximum(t - span, 0.0)
    return -np.expm1(-rate * during) / (rate * span) * np.exp(-rate * after)


def nothing(t: np.ndarray) -> np.ndarray:
    return np.zeros_like(t)


def _oral(*doses: tuple[float, float]) -> Course:
    def course(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
        gut, body = zip(*(absorbed(t - time, p) for _, time in doses), strict=True)
        amounts = [amount for amount, _ in doses]
        return np.dot(amounts, gut), np.dot(amounts, body)

    return course


def _knocked_out(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
    """A unit bolus into the body at 2, elimination off during [2, 5)."""
    return nothing(t), (t >= 2) * np.where(t < 5, 1.0, np.exp(-p["ke"] * (t - 5)))


def _half_from_three(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
    """A unit in the body at 0; elimination halved from 3 on."""
    return nothing(t), np.exp(-p["ke"] * (np.minimum(t, 3.0) + 0.5 * np.maximum(t - 3.0, 0.0)))


def _reset(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
    """A unit at 0, reset to 4 and dosed with 1 at 3."""
    return nothing(t), np.where(t < 3, np.exp(-p["ke"] * t), 5.0 * np.exp(-p["ke"] * (t - 3)))


def _washed(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
    return nothing(t), 1.2 / p["ke"] * np.exp(-p["ke"] * t)


def _balanced(t: np.ndarray, p: Values) -> tuple[np.ndarray, np.ndarray]:
    steady = 0.6 / p["ke"]
    gut, body = absorbed(t - 1.0, p)
    return gut, steady + body


B, F, C, R, E = twin.Bolus, twin.Infusion, twin.Change, twin.Reset, twin.Experiment
CASES: dict[str, tuple[twin.Experiment, Course]] = {
    "nothing": (E(), lambda t, p: (nothing(t), nothing(t))),
    "bolus_at_t0": (E([B("gut", 3.0)]), _oral((3.0, 0.0))),
    "bolus_later": (E([B("gut", 3.0, 2.1)]), _oral((3.0, 2.1))),
    # 3 * 0.1 is not 0.3 in floating point, yet the sample at 0.3 must see the fourth dose.
    "repeated_boluses": (E([B("gut", 1.0, 0.0, every=0.1, count=8)]), _oral(*((1.0, i / 10) for i in range(8)))),
    "two_doses_at_once": (
        E([B("gut", 1.0, 2.0), B("body", 2.0, 2.0), B("gut", 0.5, 2.0)]),
        lambda t, p: (
            1.5 * absorbed(t - 2, p)[0],
            1.5 * absorbed(t - 2, p)[1] + 2.0 * decayed(t - 2, p["ke"]),
        ),
    ),
    "dose_at_the_last_sample": (E([B("gut", 3.0, 8.0)]), _oral((3.0, 8.0))),
    "dose_after_the_last_sample": (E([B("gut", 3.0, 9.0), B("body", 1.0, "lag + 100")]), _oral((0.0, 0.0))),
    "infusion": (E([F("body", 3.0, 1.0, 2.0)]), lambda t, p: (nothing(t), 3.0 * infused(t - 1, 2.0, p["ke"]))),
    "infusion_beyond_the_end": (
        E([F("body", 3.0, 7.0, 4.0)]),
        lambda t, p: (nothing(t), 3.0 * infused(t - 7, 4.0, p["ke"])),
    ),
    "overlapping_infusions": (
        E([F("body", 3.0, 1.0, 2.0), F("body", 1.0, 2.0, 3.0), F("body", 2.0, 1.0, 2.0)]),
        lambda t, p: (nothing(t), 5.0 * infused(t - 1, 2.0, p["ke"]) + infused(t - 2, 3.0, p["ke"])),
    ),
    "repeated_infusions": (
        E([F("body", 2.0, 0.5, 0.5, every=2.0, count=3)]),
        lambda t, p: (nothing(t), 2.0 * sum(infused(t - 0.5 - 2 * i, 0.5, p["ke"]) for i in range(3))),
    ),
    "lag_and_dose_by_formula": (
        E([B("gut", "2 * dose", "lag"), B("gut", 1.0, 2.1)]),
        lambda t, p: _oral((2 * p["dose"], p["lag"]), (1.0, 2.1))(t, p),
    ),
    "repeats_after_a_lag": (
        E([B("gut", 1.0, "lag", every="span", count=3)]),
        lambda t, p: _oral(*((1.0, p["lag"] + i * p["span"]) for i in range(3)))(t, p),
    ),
    "infusion_by_formula": (
        E([F("body", "dose", "lag", "span")]),
        lambda t, p: (nothing(t), p["dose"] * infused(t - p["lag"], p["span"], p["ke"])),
    ),
    "knock_out_from_a_dose_on": (E([B("body", 1.0, 2.0)], [C("ke", 0.0, 2.0, 5.0)]), _knocked_out),
    "change_by_formula_to_the_end": (E([B("body", 1.0)], [C("ke", "ke * (1 - 0.5)", 3.0)]), _half_from_three),
    "change_from_the_beginning": (
        E([B("body", 1.0)], [C("ke", "2 * ke", stop=None)]),
        lambda t, p: (nothing(t), decayed(t, 2 * p["ke"])),
    ),
    "later_change_wins": (
        E([B("body", 1.0)], [C("ke", 5.0), C("ke", "2 * ke")]),
        lambda t, p: (nothing(t), decayed(t, 2 * p["ke"])),
    ),
    "change_from_a_lag_on": (
        E([B("body", 1.0)], [C("ke", 0.0, "lag")]),
        lambda t, p: (nothing(t), np.exp(-p["ke"] * np.minimum(t, p["lag"]))),
    ),
    "reset_then_dose": (E([B("body", 1.0), B("body", 1.0, 3.0)], resets=[R("body", "2 * dose", 3.0)]), _reset),
    "initial_states": (
        E([B("body", 1.0)], initial={"body": "base + 2 * dose", "gut": 0.5}),
        lambda t, p: (0.5 * absorbed(t, p)[0], 0.5 * absorbed(t, p)[1] + 5.0 * decayed(t, p["ke"])),
    ),
    "parameters": (
        E(parameters={"base": "dose", "ke": 0.8}),
        lambda t, p: (nothing(t), p["dose"] * decayed(t, 0.8)),
    ),
    "steady_state_then_wash_out": (E(equilibrate=twin.Equilibration({"make": 1.2})), _washed),
    "steady_state_then_dose": (
        E([B("gut", 1.0, 1.0)], parameters={"make": 0.6}, equilibrate=twin.Equilibration()),
        _balanced,
    ),
    "initial_states_after_equilibration": (
        E([B("body", 1.0)], initial={"body": 3.0}, equilibrate=twin.Equilibration({"make": 1.2})),
        lambda t, p: (nothing(t), 4.0 * decayed(t, p["ke"])),
    ),
}


@cache
def simulated(method: str) -> dict[str, np.ndarray]:
    """Gut and body, shape [2, time, draw], of every case that the method can do."""
    names = [n for n, (e, _) in CASES.items() if method == "rodas5p" or e.equilibrate is None]
    experiments = [CASES[name][0] for name in names]
    system = compile_model(MODEL)
    values, _ = parameter_matrix(MODEL, DRAWS)
    with float64():
        actions = collect_actions(system, experiments, [TS[-1]] * len(names))
        outputs, status = run_lanes(
            system,
            method_named(method),
            Tolerance(RTOL, 1e-13, 4096),
            (MODEL.symbol("gut"), MODEL.symbol("body")),
            actions,
            np.repeat(values[:, None, :], len(names), axis=1),
            np.repeat(TS[:, None], len(names), axis=1),
        )
    assert not np.asarray(status).any()
    return {name: np.asarray(outputs)[:, :, index] for index, name in enumerate(names)}


@pytest.mark.parametrize(
    ("method", "name"),
    [(m, n) for m in ("rodas5p", "tsit5") for n, (e, _) in CASES.items() if m == "rodas5p" or e.equilibrate is None],
)
def test_closed_form(method: str, name: str) -> None:
    actual, course = simulated(method)[name], CASES[name][1]
    for draw in range(4):
        p = MODEL.default_parameters | {key: values[draw] for key, values in DRAWS.items()}
        expected = np.array(course(TS, p))
        # Errors of about a hundred steps of RTOL each; a steady state is believed at a hundredth of its tolerance.
        np.testing.assert_allclose(actual[:, :, draw], expected, rtol=100 * RTOL, atol=100 * RTOL)


@pytest.mark.parametrize(
    "name",
    ["nothing", "change_from_the_beginning", "initial_states", "parameters", "steady_state_then_dose"],
)
def test_alone_as_among_others(name: str) -> None:
    """Schedules without doses, changes or equilibrations take shortcuts; the result must not show it."""
    experiment = CASES[name][0]
    ds = twin.simulate(MODEL, TS, DRAWS, experiment, rtol=RTOL, atol=1e-13)
    actual = np.array([ds.gut.values.T, ds.body.values.T])
    np.testing.assert_allclose(actual, simulated("rodas5p")[name], rtol=100 * RTOL, atol=100 * RTOL)


def test_dose_is_converted_to_the_unit_of_its_state() -> None:
    model = twin.Model(
        "units",
        [twin.State("A", 0.0, "mg")],
        [twin.Parameter("k", 0.5, "1/hour")],
        odes={"A": "-k * A"},
        time_unit="hour",
    )
    doses = [twin.Bolus("A", 2.0, unit="g"), twin.Infusion("A", 3.0, 1.0, 1.0, unit="g")]
    ds = twin.simulate(model, [0.0, 2.0], experiment=twin.Experiment(doses))
    expected = [2000.0, 2000.0 * np.exp(-1.0) + 3000.0 * float(infused(np.array(1.0), 1.0, 0.5))]
    np.testing.assert_allclose(ds.A, expected, rtol=1e-7)
    assert ds.A.attrs["units"] == "mg"
    with pytest.raises(TwinError, match="hour"):
        twin.simulate(model, [0.0], experiment=twin.Experiment([twin.Bolus("A", 1.0, unit="hour")]))


def test_start_time_other_than_zero() -> None:
    experiment = twin.Experiment([twin.Bolus("body", 1.0, -2.0)], t0=-3.0)
    ds = twin.simulate(MODEL, [-3.0, -2.0, 1.0], experiment=experiment)
    np.testing.assert_allclose(ds.body, [0.0, 1.0, np.exp(-0.9)], rtol=1e-7)
