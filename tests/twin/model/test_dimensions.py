"""Units of a model: what fits, what does not, and what the message says."""

import time

import pytest

from twin.errors import UnitError
from twin.model import Assignment, ConservedTotal, Input, Model, Observable, Parameter, Reaction, State

STATES = [State("T", 4e8, "cell"), State("I", 0.0, "cell"), State("V", "V0", "TCID50/ml")]
PARAMETERS = [
    Parameter("beta", 3e-5, "ml/TCID50/day"),
    Parameter("delta", 4.0, "1/day"),
    Parameter("p", 0.01, "TCID50/ml/day/cell"),
    Parameter("c", 3.0, "1/day"),
    Parameter("V0", 0.1, "TCID50/ml"),
    Parameter("K", 1e5, "TCID50/ml"),
    Parameter("n", 1.0),
    Parameter("eff", 50.0, "percent"),
    Parameter("litres", 1.0, "l"),
    Parameter("slow", 1.0, "1/hour"),
]


def build(**changes: object) -> Model:
    arguments: dict[str, object] = {
        "name": "flu",
        "states": STATES,
        "parameters": PARAMETERS,
        "reactions": [Reaction("infection", "T -> I", "beta*T*V"), Reaction("death", "I ->", "delta*I")],
        "odes": {"V": "p*I - c*V"},
        "time_unit": "day",
    }
    arguments.update(changes)
    return Model(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("formula", "unit"),
    [
        ("V", "TCID50/ml"),
        ("log10(V)", "dimensionless"),
        ("ln(V) + 1", "dimensionless"),
        ("T + I + 0", "cell"),
        ("sqrt(V*K)", "TCID50/ml"),
        ("V^2/K", "TCID50/ml"),
        ("(V/K)^n", "dimensionless"),
        ("V^n/(K^n + V^n)", "dimensionless"),
        ("V^(n + 1)/(K^n*(V + K))", "dimensionless"),
        ("piecewise(V, time > 2/c, 0)", "TCID50/ml"),
        ("piecewise(V, T > 0 && V < K, K)", "TCID50/ml"),
        ("max(V, K, 0)", "TCID50/ml"),
        ("abs(V - K)", "TCID50/ml"),
        ("floor(V)", "TCID50/ml"),
        ("sign(V - K)", "dimensionless"),
        ("exp(-c*time)*V", "TCID50/ml"),
        ("infection/delta", "cell"),
        ("60*V", "TCID50/ml"),
        ("eff", "percent"),
        ("0", "cell"),
        ("V > K", "dimensionless"),
    ],
)
def test_fits(formula: str, unit: str) -> None:
    build(observables=[Observable("reading", formula, unit)])


@pytest.mark.parametrize(
    ("formula", "unit", "match"),
    [
        (
            "V + T",
            "TCID50/ml",
            "observable 'reading': 'T' in 'T \\+ V' has the unit cell\n  expected: TCID50/ml",
        ),
        ("V + 1", "TCID50/ml", "'1' in 'V \\+ 1' has the unit dimensionless"),
        ("V", "TCID50/l", "'V' has the unit TCID50/ml, 1000 times the unit TCID50/l"),
        ("1 - eff", "dimensionless", "'-eff' in '1 - eff' has the unit %, 0.01 times the unit dimensionless"),
        ("T*(V + K*T)", "cell", "beside 'V' with TCID50/ml, in"),
        ("exp(V)", "dimensionless", r"the argument 'V' of 'exp\(V\)' has the unit TCID50/ml"),
        ("sin(time)", "dimensionless", r"the argument 'time' of 'sin\(time\)' has the unit d"),
        ("exp(-slow*time)", "dimensionless", "has the unit d/h, 24 times the unit dimensionless"),
        ("2^V", "dimensionless", "the exponent 'V'"),
        ("V^n/(K + V^n)", "dimensionless", "a random number stands for the exponent n"),
        (
            "piecewise(V, time > c, 0)",
            "TCID50/ml",
            "'time' has the unit d beside 'c' with 1/d, in 'c < time'",
        ),
        ("piecewise(V, c > 3 || T > 1, 0)", "TCID50/ml", "expected: one unit for all that is added"),
        ("piecewise(V, c*time > 3, T)", "TCID50/ml", "'T' has the unit cell beside 'V'"),
        ("min(V, T)", "TCID50/ml", "'V' has the unit TCID50/ml beside 'T' with cell, in 'min"),
        ("log10(V + T)", "dimensionless", "beside"),
        ("c + slow", "1/day", "'slow' in 'c \\+ slow' has the unit 1/h, 24 times the unit 1/d"),
        ("V*litres", "TCID50", "l/ml, 1000 times the unit TCID50"),
        ("T", "cels", "flu', observable 'reading': unknown unit 'cels'(.|\n)*did you mean 'cells?'"),
        ("T", "degC", "'degC' is not proportional"),
    ],
)
def test_does_not_fit(formula: str, unit: str, match: str) -> None:
    with pytest.raises(UnitError, match=match):
        build(observables=[Observable("reading", formula, unit)])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"time_unit": "hour"},
            "rate of reaction 'infection'(.|\n)*unit cell/d, 0.0416667 times the unit cell/h",
        ),
        ({"time_unit": "fortnit"}, "model 'flu', time_unit: unknown unit 'fortnit'"),
        (
            {"reactions": [Reaction("r", "T + V -> I", "beta*T*V")]},
            r"reaction 'r': it turns 'T' \[cell\] into or together with 'V' \[TCID50/ml\]",
        ),
        (
            {"reactions": [Reaction("r", "T -> I", "beta*T")]},
            "expected: cell/d .the unit of 'T' per time unit",
        ),
        ({"odes": {"V": "p*I - c*T"}}, r"equation of 'V': '-T\*c' in 'I\*p - T\*c' has the unit cell/d"),
        ({"odes": {"V": "1"}}, "'1' has the unit dimensionless"),
        (
            {"states": [*STATES, State("W", "V0", "cell")]},
            "initial value of 'W': 'V0' has the unit TCID50/ml",
        ),
        (
            {"inputs": [Input("u", [0, 1], [1.0, "V0"], unit="cell")]},
            "input 'u': 'V0' has the unit TCID50/ml",
        ),
        ({"assignments": [Assignment("a", "c*V", "TCID50/ml")]}, "assignment 'a'(.|\n)*its declared unit"),
        (
            {"assignments": [Assignment("a", "c + V")]},
            "assignment 'a': 'c' has the unit|assignment 'a': 'V' has",
        ),
        (
            {"reactions": [Reaction("r", "T + V -> T + V", "c + V")]},
            "reaction 'r'",
        ),
        (
            {
                "states": [State("A", 1.0, "cell"), State("W", 1.0, "l")],
                "reactions": (),
                "odes": {},
                "conserved": [ConservedTotal("all", "A + W")],
            },
            "conserved 'all'",
        ),
    ],
)
def test_every_part_is_checked(changes: dict[str, object], match: str) -> None:
    with pytest.raises(UnitError, match=match):
        build(**changes)


def test_units_follow_from_formulas() -> None:
    model = build(
        assignments=[Assignment("later", "2*earlier"), Assignment("earlier", "c*V"), Assignment("none", "0")],
        observables=[Observable("titre", "later", "TCID50/ml/day")],
    )
    assert model.unit("later") == "TCID50/d/ml" or model.unit("later") == "TCID50/ml/d"
    assert model.unit("infection") == "cell/d"
    assert model.unit("none") == "dimensionless"
    assert model.unit("time") == "day"
    assert model.unit("V") == "TCID50/ml"
    assert model.unit("titre") == "TCID50/ml/day"


def test_a_factor_between_units_has_to_be_a_parameter() -> None:
    parameters = [*PARAMETERS, Parameter("per_litre", 1000.0, "ml/l")]
    build(parameters=parameters, observables=[Observable("reading", "V*per_litre", "TCID50/l")])


def test_unchecked_models_build() -> None:
    model = build(check_units=False, odes={"V": "T + 1"})
    assert model.unit("V") == "TCID50/ml"
    Model("m", [State("x", 1.0, "nonsense")], check_units=False)


def test_dimensionless_models_pass() -> None:
    Model("m", [State("x", 1.0)], odes={"x": "exp(x) + x^2 - time"}, assignments=[Assignment("a", "x + 1")])


def test_twenty_states_are_checked_quickly() -> None:
    states = [State(f"x{index}", 1.0, "nM") for index in range(20)]
    parameters = [Parameter(f"k{index}", 1.0, "1/min") for index in range(20)] + [Parameter("K", 1.0, "nM")]
    reactions = [
        Reaction(
            f"r{index}",
            f"x{index} -> x{index + 1}",
            f"k{index}*x{index}*x{index + 1}^2/(K^2 + x{index + 1}^2)",
        )
        for index in range(19)
    ]
    Model("warm", states[:1], time_unit="min")  # pint is imported here
    start = time.perf_counter()
    Model("big", states, parameters, reactions, time_unit="min")
    # 0.3 s is what we promise; a shared machine gets some slack.
    assert time.perf_counter() - start < 1.0
