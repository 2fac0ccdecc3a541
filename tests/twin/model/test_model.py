"""The model: its mathematics, its checks, its identity."""

import dataclasses

import numpy as np
import pytest
import sympy as sp

import twin.model
from twin.errors import (
    CyclicAssignmentError,
    DuplicateNameError,
    FormulaError,
    ModelError,
    UnknownSymbolError,
)
from twin.model import (
    Assignment,
    ConservedTotal,
    Input,
    Model,
    Observable,
    Parameter,
    Published,
    Reaction,
    State,
)
from twin.model.equation import parse_equation
from twin.model.symbols import symbol

T, V, B, K, N, U = (symbol(name) for name in ("T", "V", "beta", "k", "n", "u"))


def build(**changes: object) -> Model:
    """A small model in which every kind of part occurs, with some arguments replaced."""
    arguments: dict[str, object] = {
        "name": "small",
        "states": [State("T", 100.0), State("I", "T0 / n"), State("V", 1)],
        "parameters": [
            Parameter("beta", 0.1),
            Parameter("k", 2.0),
            Parameter("n", 4.0),
            Parameter("T0", 8.0),
        ],
        "reactions": [
            Reaction("infection", "T -> I", "pressure * T"),
            Reaction("release", "-> 2 V", "k * I"),
        ],
        "odes": {"V": "-infection - u * V"},
        "assignments": [Assignment("pressure", "beta * load"), Assignment("load", "V / n")],
        "inputs": [Input("u", [0, 1, 2], [0.0, "k", "load0"]), Input("w", (0.0, 1.0), (1, 2), "cubic")],
        "observables": [Observable("signal", "log10(load) + time")],
        "conserved": [ConservedTotal("cells", "T + I")],
    }
    arguments["parameters"] = [*arguments["parameters"], Parameter("load0", 1.0)]  # type: ignore[misc]
    arguments.update(changes)
    return Model(**arguments)  # type: ignore[arg-type]


def test_names_in_order_of_declaration() -> None:
    model = build()
    assert model.state_names == ("T", "I", "V")
    assert model.parameter_names == ("beta", "k", "n", "T0", "load0")
    assert model.reaction_names == ("infection", "release")
    assert model.assignment_names == ("pressure", "load")
    assert model.input_names == ("u", "w")
    assert model.observable_names == ("signal",)
    assert set(model.parts) == {
        *("T", "I", "V", "beta", "k", "n", "T0", "load0", "infection", "release"),
        *("pressure", "load", "u", "w", "signal"),
    }


def test_equations_of_motion() -> None:
    model = build()
    infection = B * T * V / N
    assert model.fluxes == (infection, K * symbol("I"))
    np.testing.assert_array_equal(model.stoichiometry, [[-1, 0], [1, 0], [0, 2]])
    assert model.rhs == (-infection, infection, 2 * K * symbol("I") - infection - U * V)


def test_initial_values_inputs_and_observables_are_expanded() -> None:
    model = build()
    assert model.initial == (100, symbol("T0") / N, 1)
    assert model.input_values["u"] == (0, K, symbol("load0"))
    assert model.observable_expr("signal") == sp.log(V / N) / sp.log(10) + symbol("time")
    assert model.expand(model.formula("2 * pressure + other", extra=["other"])) == 2 * B * V / N + symbol("other")
    assert model.formula("pressure") == symbol("pressure")


def test_a_state_that_nothing_changes_is_constant() -> None:
    model = Model("still", [State("A", 1.0)])
    assert model.rhs == (0,)
    assert model.stoichiometry.shape == (1, 0)
    assert model.fluxes == ()


def test_a_catalyst_does_not_change() -> None:
    states = [State("A", 1.0), State("E", 1.0), State("P")]
    model = Model("enzyme", states, reactions=[Reaction("r", "A + E -> P + E", "A * E")])
    np.testing.assert_array_equal(model.stoichiometry[:, 0], [-1, 0, 1])


def test_long_chains_of_assignments() -> None:
    chain = [Assignment(f"a{index}", f"a{index + 1} + 1") for index in range(1500)]
    model = Model("chain", [State("x", 1.0)], assignments=[*chain, Assignment("a1500", "x")], odes={"x": "-a0"})
    assert model.rhs == (-symbol("x") - 1500,)


def test_immutable() -> None:
    model = build()
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        model.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError, match="does not support item assignment"):
        model.odes["T"] = "1"  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        model.stoichiometry[0, 0] = 5
    with pytest.raises(TypeError, match="does not support item assignment"):
        model.parts["T"] = State("T")  # type: ignore[index]
    model.default_parameters["k"] = 7.0
    assert model.default_parameters["k"] == 2.0


def test_arguments_given_later_changed_do_not_change_the_model() -> None:
    odes = {"A": "1"}
    states = [State("A")]
    model = Model("m", states, odes=odes)
    odes["A"], states[0] = "2", State("B")
    assert model.rhs == (1,)
    assert model.state_names == ("A",)


# ---- identity


def test_equality_is_that_of_content() -> None:
    assert build() == build()
    assert hash(build()) == hash(build())
    assert build() != build(name="other")
    assert build() != "small"
    numbers = build(inputs=[Input("u", np.array([0, 1.0]), np.array([0, 1])), Input("w", [0, 1], [0, 1])])
    assert numbers == build(inputs=[Input("u", [0, 1], [0, 1]), Input("w", [0, 1], [0, 1])])


def test_fingerprint_is_stable() -> None:
    """Provenance written by one version must be found again by the next; change this only with a note."""
    assert Model("m", [State("A", 1.0)]).fingerprint == FINGERPRINT


FINGERPRINT = "7a3d6dc5d51de187636c2e20a1653bd45ecbdb659800f76f0a04ccd63f1c516f"


@pytest.mark.parametrize(
    ("change", "same_structure"),
    [
        ({"description": "words"}, True),
        ({"references": ["A 2020"]}, True),
        ({"time_unit": "day", "check_units": False}, False),
        ({"odes": {"V": "-u * V - infection * 1"}}, False),
        ({"conserved": []}, False),
        ({"observables": []}, False),
    ],
)
def test_fingerprints(change: dict[str, object], same_structure: bool) -> None:
    model, other = build(), build(**change)
    assert model.fingerprint != other.fingerprint
    assert (model.structure_fingerprint == other.structure_fingerprint) is same_structure


def test_with_parameters() -> None:
    model = build()
    other = model.with_parameters(k=3, beta=np.float64(0.5))
    assert other.default_parameters == {**model.default_parameters, "k": 3.0, "beta": 0.5}
    assert other.parts["k"] == Parameter("k", 3.0)
    assert other != model
    assert other.structure_fingerprint == model.structure_fingerprint
    assert other.rhs == model.rhs
    assert other.with_parameters(k=2.0, beta=0.1) == model
    assert model.default_parameters["k"] == 2.0
    rebuilt = build(parameters=other.parameters)
    assert rebuilt == other
    with pytest.raises(UnknownSymbolError, match="unknown parameter 'bta'(.|\n)*'beta'"):
        model.with_parameters(bta=1.0)
    with pytest.raises(ModelError, match="the value of 'k' is nan"):
        model.with_parameters(k=float("nan"))


# ---- what is refused


def test_a_model_of_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="model 'empty': there is nothing in it"):
        Model("empty", [])
    assert Model("constants", [], [Parameter("k", 1.0)]).rhs == ()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"name": " "}, ModelError, "the name of the model"),
        ({"states": "T"}, ModelError, "states is a str"),
        ({"states": ["T"]}, ModelError, "states holds a str(.|\n)*only State"),
        ({"odes": ["V"]}, ModelError, "odes is not a mapping"),
        ({"states": [State("2T")]}, ModelError, "'2T' cannot name a part"),
        ({"states": [State("T cell")]}, ModelError, "'T cell' cannot name"),
        ({"states": [State("β")]}, ModelError, "letters, digits and underscores"),
        ({"states": [State("time")]}, ModelError, "'time' is reserved"),
        (
            {"observables": [Observable("exp", "T")]},
            ModelError,
            "model 'small', observables: the name 'exp' is res",
        ),
        ({"states": [State("NaN")]}, ModelError, "'NaN' is reserved"),
        (
            {"observables": [Observable("T", "T")]},
            DuplicateNameError,
            r"'T' is used twice \(kinds: state, observable",
        ),
        ({"states": [State("T", float("inf"))]}, ModelError, "state 'T': the initial value is inf"),
        ({"states": [State("T", True)]}, ModelError, "the initial value is True"),
        ({"states": [State("T", None)]}, ModelError, "the initial value is a NoneType"),  # type: ignore[arg-type]
        ({"parameters": [Parameter("k", float("nan"))]}, ModelError, "parameter 'k': the value is nan"),
        ({"parameters": [Parameter("k", "2")]}, ModelError, "the value is '2'"),  # type: ignore[arg-type]
        (
            {"parameters": [Parameter("k", 1.0, published=(Published(1.0, lower=float("inf")),))]},
            ModelError,
            "parameter 'k': the published lower is inf",
        ),
        ({"parameters": [Parameter("k", 1.0, published=(3.0,))]}, ModelError, "published holds a float"),  # type: ignore[arg-type]
        ({"inputs": [Input("u", [0, 0], [1, 2])]}, ModelError, "input 'u': the time 0 follows 0"),
        ({"inputs": [Input("u", [0, float("nan")], [1, 2])]}, ModelError, "input 'u': a time is nan"),
        ({"inputs": [Input("u", [0], [1])]}, ModelError, "input 'u': 1 point\n(.|\n)*at least 2"),
        ({"inputs": [Input("u", [0, 1], [1])]}, ModelError, "2 times with 1 values"),
        ({"inputs": [Input("u", [0, 1], [1, "T"])]}, ModelError, "input 'u': 'T' depends on the state 'T'"),
        ({"inputs": [Input("u", [0, 1], [1, 2], "step")]}, ModelError, "the interpolation is 'step'"),  # type: ignore[arg-type]
        ({"odes": {"W": "1"}}, UnknownSymbolError, "odes: there is an equation for 'W'"),
        (
            {"odes": {"V": "Tt"}},
            UnknownSymbolError,
            "equation of 'V': unknown name 'Tt' in 'Tt'(.|\n)*mean 'T",
        ),
        ({"odes": {"V": "signal"}}, UnknownSymbolError, "equation of 'V': the observable 'signal' is used"),
        ({"odes": {"V": "pi * T"}}, UnknownSymbolError, "unknown name 'pi'(.|\n)*write 3.14159"),
        (
            {"odes": {"V": "T +"}},
            FormulaError,
            "model 'small', equation of 'V': the formula ends at position 4",
        ),
        (
            {"reactions": [Reaction("infection", "T -> I", "T * Q")]},
            UnknownSymbolError,
            "rate of reaction 'infection': unknown name 'Q' in 'T \\* Q'",
        ),
        (
            {"reactions": [Reaction("infection", "T -> J", "T")]},
            UnknownSymbolError,
            "reaction 'infection': the equation 'T -> J' names 'J'",
        ),
        (
            {"observables": [Observable("one", "T"), Observable("two", "one")]},
            UnknownSymbolError,
            "observable 'two': the observable 'one' is used(.|\n)*declare an Assignment",
        ),
        (
            {"assignments": [Assignment("pressure", "load"), Assignment("load", "2 * pressure")]},
            CyclicAssignmentError,
            "defined by each other: pressure -> load -> pressure",
        ),
        (
            {"assignments": [Assignment("pressure", "infection"), Assignment("load", "1")]},
            CyclicAssignmentError,
            "pressure -> infection -> pressure",
        ),
        (
            {"assignments": [Assignment("load", "load")], "observables": []},
            ModelError,
            "load -> load|pressure",
        ),
        (
            {"states": [State("T", "V"), State("I"), State("V")]},
            ModelError,
            "initial value of 'T': 'V' depends on",
        ),
        (
            {"states": [State("T", "2*time"), State("I"), State("V")]},
            ModelError,
            r"'2\*time' depends on time",
        ),
        (
            {"states": [State("T", "load"), State("I"), State("V")]},
            ModelError,
            "'load' depends on the state 'V'",
        ),
        ({"states": [State("T", "u"), State("I"), State("V")]}, ModelError, "'u' depends on the input 'u'"),
        (
            {"assignments": [Assignment("pressure", "1 / load"), Assignment("load", "0")]},
            ModelError,
            "infinite, undefined or not real once the assignments are put in",
        ),
        (
            {"assignments": [Assignment("pressure", "min(sqrt(load), T)"), Assignment("load", "-1")]},
            ModelError,
            "has no real value once|not real once",
        ),
        (
            {"assignments": [Assignment("pressure", "sqrt(load)"), Assignment("load", "-1")]},
            ModelError,
            "not real once the assignments are put in",
        ),
        (
            {"conserved": [ConservedTotal("t", "T + V")]},
            ModelError,
            "conserved 't': 'T \\+ V' is not conserved",
        ),
        ({"conserved": [ConservedTotal("t", "T + time")]}, ModelError, "depends on 'time'"),
        (
            {"conserved": [ConservedTotal("t", "T + I")] * 2},
            DuplicateNameError,
            "two conserved totals are called 't'",
        ),
    ],
)
def test_refused(change: dict[str, object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        build(**change)


def test_unknown_names_in_calls() -> None:
    model = build()
    with pytest.raises(UnknownSymbolError, match="unknown name 'betta'(.|\n)*'beta'"):
        model.symbol("betta")
    with pytest.raises(UnknownSymbolError, match="unknown observable 'sgnal'(.|\n)*'signal'"):
        model.observable_expr("sgnal")
    with pytest.raises(UnknownSymbolError, match="^noise: unknown name 'sd'"):
        model.formula("sd * T", where="noise")
    with pytest.raises(UnknownSymbolError, match="unknown name 'Q'"):
        model.unit("Q")


def test_conservation_with_coefficients() -> None:
    states = [State("A", 1.0), State("A2"), State("C")]
    reactions = [Reaction("bind", "2 A -> A2", "k * A^2"), Reaction("split", "A2 -> 2 A", "A2 / k")]
    parameters = [Parameter("k", 0.3)]
    Model(
        "dimer",
        states,
        parameters,
        reactions,
        conserved=[ConservedTotal("A", "A + 2*A2"), ConservedTotal("C", "C")],
    )
    with pytest.raises(ModelError, match="is not conserved"):
        Model("dimer", states, parameters, reactions, conserved=[ConservedTotal("A", "A + A2")])


# ---- reaction equations


@pytest.mark.parametrize(
    ("text", "net"),
    [
        ("T + V -> I", {"T": -1, "V": -1, "I": 1}),
        ("-> T", {"T": 1}),
        ("T ->", {"T": -1}),
        ("∅ -> T", {"T": 1}),
        ("2 T -> I", {"T": -2, "I": 1}),
        ("2T->I", {"T": -2, "I": 1}),
        ("0.5*T -> 1.5e1 I", {"T": -0.5, "I": 15}),
        ("T + T -> I", {"T": -2, "I": 1}),
        ("0.1 T + 0.2 T -> 0.3 T + I", {"T": 0, "I": 1}),
    ],
)
def test_reaction_equation(text: str, net: dict[str, float]) -> None:
    assert parse_equation(text, ("T", "V", "I"), where="r").net == net


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("T <-> I", "the arrow '<->'(.|\n)*two reactions"),
        ("T => I", "the arrow '=>'(.|\n)*write '->'"),
        ("T --> I", "the arrow '-->'"),
        ("T", "has 0 arrows"),
        ("T -> I -> V", "has 2 arrows"),
        ("->", "has no state in it"),
        ("T + -> I", "'' in the equation 'T \\+ -> I' is not a state"),
        ("T * V -> I", r"'T \* V' in the equation"),
        ("-1 T -> I", "'-1 T' in the equation"),
        ("0 T -> I", "the coefficient of 'T' in '0 T -> I' is 0"),
        (3, "the equation is a int"),
    ],
)
def test_reaction_equation_refused(text: str, match: str) -> None:
    with pytest.raises(FormulaError, match=match):
        parse_equation(text, ("T", "V", "I"), where="r")


def test_public_names() -> None:
    assert twin.model.__all__ == [
        "Assignment",
        "ConservedTotal",
        "Event",
        "Input",
        "Model",
        "Observable",
        "Parameter",
        "Published",
        "Reaction",
        "State",
    ]
    assert all(hasattr(twin.model, name) for name in twin.model.__all__)
