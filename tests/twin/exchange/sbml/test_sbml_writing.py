"""Round trips: what is written and read again is the same model."""

from importlib import import_module

import libsbml
import numpy as np
import pytest
import sympy as sp

import models
from twin.errors import ModelError, UnsupportedModelError
from twin.exchange.sbml import read_sbml, write_sbml
from twin.model.model import Model
from twin.model.parts import Assignment, Event, Input, Observable, Parameter, Reaction, State
from twin.simulation import simulate


def library() -> list[str]:
    catalogue = import_module("models.catalogue")
    return list(catalogue.LIBRARY.models)


def faults(text: str) -> list[str]:
    document = libsbml.readSBMLFromString(text)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, False)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_MODELING_PRACTICE, False)
    document.checkConsistency()
    errors = (document.getError(index) for index in range(document.getNumErrors()))
    return [error.getMessage() for error in errors if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR]


def point(model: Model) -> dict[sp.Basic, float]:
    names = sorted([*model.state_names, *model.parameter_names])
    return {model.symbol(name): 0.3 + 0.1 * index for index, name in enumerate(names)} | {model.symbol("time"): 0.7}


@pytest.mark.parametrize("name", library())
def test_library_models_come_back(name):
    model = models.load(name)
    text = write_sbml(model)
    assert faults(text) == []
    again = read_sbml(text)
    assert again.name == model.name and again.time_unit == model.time_unit
    assert again.state_names == model.state_names
    assert again.observable_names == model.observable_names
    assert again.default_parameters == model.default_parameters
    assert {part.name: part.unit for part in again.parameters} == {part.name: part.unit for part in model.parameters}
    if not model.inputs:
        before, after = point(model), point(again)
        for one, other in zip(model.rhs, again.rhs, strict=True):
            assert float(one.subs(before)) == pytest.approx(float(other.subs(after)), rel=1e-12)


@pytest.mark.parametrize("name", ["stat5_boehm", "jakstat_swameye"])
def test_trajectories_come_back(name):
    model = models.load(name)
    ts = np.linspace(0, 60, 7)
    one, other = simulate(model, ts), simulate(read_sbml(write_sbml(model)), ts)
    for variable in one:
        np.testing.assert_allclose(one[variable], other[variable], rtol=1e-7, atol=1e-10)


def everything() -> Model:
    return Model(
        "all of it",
        states=(
            State("A", "a0 / size", compartment="size"),
            State("B", 1.0, description="made & <eaten>"),
            State("X", 2.0, positive=False),
            State("Z", 1.0),
        ),
        parameters=(Parameter("a0", 3.0), Parameter("size", 2.0, "liter"), Parameter("k", 1e-5, "1/hour")),
        reactions=(
            Reaction("J", {"A": -1.0, "B": "k * X"}, "k * A * size"),
            Reaction("L", "2 B -> B", "piecewise(k * B, B > 1 && time < 3, sign(X) * B)"),
        ),
        odes={"A": "sin(time)", "X": "u - X"},
        constraints={"Z": "Z^3 - B"},
        assignments=(Assignment("both", "A * size + B"),),
        inputs=(Input("u", (0.0, 1.0, 3.0), ("k", 2.0, 1.0), "cubic"),),
        observables=(Observable("seen", "log10(both + 1)", "percent", "what is seen"),),
        events=(
            Event("E", "A > 1", {"X": "X / 2", "A": 0.5}, delay="k", priority=2.0, persistent=False, initially=False),
        ),
        time_unit="hour",
        check_units=False,
    )


def test_every_kind_of_part_is_written_and_read():
    model = everything()
    text = write_sbml(model)
    assert faults(text) == []
    again = read_sbml(text)
    # Species come before parameters in SBML.
    assert {state.name: (state.initial, state.compartment, state.positive) for state in again.states} == {
        "A": ("a0 / size", "size", True),
        "B": (1.0, None, True),
        "X": (2.0, None, False),
        "Z": (1.0, None, True),
    }
    assert again.observables == model.observables
    assert {part.name: part.unit for part in again.parameters} == {part.name: part.unit for part in model.parameters}
    assert str(again.constraint_formulas["Z"]) == str(model.constraint_formulas["Z"])
    (event,) = again.events
    assert (event.name, event.priority, event.delay) == ("E", "2", "k")
    assert not event.persistent and not event.initially
    assert dict(event.assignments) == {"X": "0.5 * X", "A": 0.5}
    before, after = point(model), point(again)
    curve = again.expand(again.formula("u"))
    for name, one in zip(model.state_names, model.rhs, strict=True):
        other = again.rhs[again.state_names.index(name)].subs(after)
        # The input is a symbol there and a formula of time here.
        one = one.subs(model.symbol("u"), curve).subs(before)
        assert float(one) == pytest.approx(float(other), rel=1e-12)


@pytest.mark.parametrize("time", [-1.0, 0.0, 0.4, 1.0, 2.5, 3.0, 7.0])
def test_an_input_is_the_spline_it_was(time):
    from scipy.interpolate import CubicSpline

    again = read_sbml(write_sbml(everything()))
    expression = again.expand(again.formula("u")).subs({again.symbol("k"): 1e-5, again.symbol("time"): time})
    spline = CubicSpline([0.0, 1.0, 3.0], [1e-5, 2.0, 1.0], bc_type="natural")
    assert float(expression) == pytest.approx(float(spline(min(max(time, 0.0), 3.0))), abs=1e-12)


def test_a_file_is_written(tmp_path):
    path = tmp_path / "model.xml"
    assert write_sbml(everything(), path) == path.read_text()
    with pytest.raises(ModelError, match="cannot be written"):
        write_sbml(everything(), tmp_path / "none" / "model.xml")


def test_every_digit_comes_back():
    generator = np.random.default_rng(0)
    values = [0.1 + 0.2, 1e-5 / 3, -1 / 7, 1e300 / 3, 1e-300 / 7, *np.exp(generator.normal(0, 30, 100)).tolist()]
    model = Model(
        # The name holds what stands in for long numbers while the file is written.
        "812345670000000",
        [State("x", 0.1 * 3)],
        [Parameter(f"p{index}", value) for index, value in enumerate(values)],
        [Reaction("r", {"x": 1 / 3}, "x * 0.30000000000000004 + 1.2345678901234567e-7")],
    )
    again = read_sbml(write_sbml(model))
    assert again.default_parameters == model.default_parameters
    assert again.initial == model.initial and again.rhs == model.rhs


def test_what_sbml_cannot_say_is_refused():
    with pytest.raises(ModelError, match="the number 5e-324 cannot be written"):
        write_sbml(Model("m", [State("x")], [Parameter("k", 5e-324)]))
    with pytest.raises(UnsupportedModelError, match="the state 'x' has a history"):
        write_sbml(Model("m", [State("x", history="time")], odes={"x": "delay(x, 1)"}))
