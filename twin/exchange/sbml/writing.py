"""`write_sbml`: a `twin.Model` to SBML Level 3 Version 2.

States without a compartment are species that count substance only, in a compartment without dimensions, so that
nothing is ever divided. What a state gains besides its reactions is written as one more reaction, since SBML
allows a species a rate rule or reactions, not both.
"""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path
from typing import Any

import libsbml
import sympy as sp

from twin.errors import ModelError, UnsupportedModelError
from twin.exchange.sbml.annotation import OBSERVABLE, annotate
from twin.exchange.sbml.curves import curve
from twin.exchange.sbml.digits import Digits
from twin.exchange.sbml.event_writing import write_events
from twin.exchange.sbml.mathml_writing import to_ast
from twin.exchange.sbml.names import Names
from twin.exchange.sbml.reaction_writing import write_reaction
from twin.exchange.sbml.unit_writing import unit_id
from twin.model.formula import parse
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Reaction, State
from twin.model.symbols import symbol
from twin.units import DIMENSIONLESS


def write_sbml(model: Model, path: str | os.PathLike[str] | None = None) -> str:
    """Writes a model as SBML Level 3 Version 2.

    Reading the file back with `read_sbml` gives a model with the same states, parameters and observables and the same
    trajectories. Inputs become piecewise formulas of time; published estimates, sources, conserved totals and
    references stay behind.

    Args:
        model: The model.
        path: File to write; None writes none.

    Returns:
        The text of the file.

    Raises:
        ModelError: The file cannot be written, or a number is too small for SBML.
        UnsupportedModelError: A state has a history.
    """
    if not isinstance(model, Model):
        raise ModelError(f"the model is a {type(model).__name__}", where="write_sbml", expected="a twin.Model")
    text = next(text for start in count(81_234_567) if (text := _Writer(model, Digits(start)).write()) is not None)
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise ModelError(f"the file cannot be written ({error.strerror})", where=str(path)) from None
    return text


class _Writer:
    """Writes one model, list by list."""

    def __init__(self, model: Model, digits: Digits) -> None:
        self.model, self.digits = model, digits
        self.names = Names([*model.parts, *(event.name for event in model.events)])
        self.document = libsbml.SBMLDocument(3, 2)
        self.sbml: Any = self.document.createModel()
        self.sizes = {state.compartment for state in model.states if state.compartment is not None}
        self.reacting = {name for changes in model.net_changes for name in changes}
        self.nowhere: str | None = None

    def write(self) -> str | None:
        identifier = re.sub(r"\W", "_", self.model.name, flags=re.ASCII)
        self.sbml.setId(identifier if not identifier[0].isdigit() else f"_{identifier}")
        self.sbml.setName(self.model.description or self.model.name)
        annotate(self.sbml, name=self.model.name, time=_unless_plain(self.model.time_unit))
        if self.model.time_unit != DIMENSIONLESS:
            self.sbml.setTimeUnits(unit_id(self.sbml, self.model.time_unit))
        for part in self.model.parameters:
            self.parameter(part)
        for part in self.model.assignments:
            self.assignment(part)
        for state in self.model.states:
            self.state(state)
        for part in self.model.inputs:
            self.quantity(part.name, curve(self.model, part), part.unit, part.description)
        for part in self.model.observables:
            self.observable(part)
        for part, changes in zip(self.model.reactions, self.model.net_changes, strict=True):
            write_reaction(self.sbml, part, changes, self.rate(part), self.model, self.names, self.digits)
        for name, formula in self.model.constraint_formulas.items():
            self.sbml.createAlgebraicRule().setMath(to_ast(formula, self.digits))
            assert name in self.model.state_names
        write_events(self.sbml, self.model, self.digits)
        return self.digits.restored(libsbml.writeSBMLToString(self.document))

    def formula(self, text: str | float) -> sp.Expr:
        return parse(text)

    def rate(self, part: Reaction) -> sp.Expr:
        return self.model.definitions[part.name]

    def parameter(self, part: Parameter) -> None:
        element = self.compartment(part.name) if part.name in self.sizes else self.sbml.createParameter()
        element.setId(part.name)
        element.setConstant(True)
        (element.setSize if part.name in self.sizes else element.setValue)(self.digits.attribute(part.value))
        element.setUnits(unit_id(self.sbml, part.unit))
        _describe(element, part.description, unit=part.unit)

    def compartment(self, name: str) -> Any:
        element = self.sbml.createCompartment()
        element.setSpatialDimensions(3)
        return element

    def assignment(self, part: Assignment) -> None:
        compartment = part.name in self.sizes
        element = self.compartment(part.name) if compartment else self.sbml.createParameter()
        element.setId(part.name)
        element.setConstant(False)
        _describe(element, part.description, unit=part.unit or "")
        self.rule(part.name, self.model.definitions[part.name])

    def quantity(self, name: str, formula: sp.Expr, unit: str, description: str) -> Any:
        element = self.sbml.createParameter()
        element.setId(name)
        element.setConstant(False)
        _describe(element, description, unit=unit)
        self.rule(name, formula)
        return element

    def rule(self, name: str, formula: sp.Expr) -> None:
        rule = self.sbml.createAssignmentRule()
        rule.setVariable(name)
        rule.setMath(to_ast(formula, self.digits))

    def observable(self, part: Observable) -> None:
        element = self.quantity(part.name, self.model.observable_formulas[part.name], part.unit, part.description)
        annotate(element, role=OBSERVABLE, unit=_unless_plain(part.unit))

    def state(self, state: State) -> None:
        if state.history is not None:
            raise UnsupportedModelError(
                f"the state {state.name!r} has a history",
                where=f"write_sbml, model {self.model.name!r}",
                expected="states that have always been what they are at the start, as in SBML",
            )
        initial = self.formula(state.initial)
        # What no biology calls a substance, and no reaction makes, is a parameter.
        if not state.positive and state.name not in self.reacting and state.compartment is None:
            element = self.sbml.createParameter()
            set_initial = element.setValue
        else:
            element, set_initial = self.species(state)
        element.setId(state.name)
        element.setConstant(False)
        _describe(element, state.description, unit=state.unit)
        if initial.is_number:
            set_initial(self.digits.attribute(float(initial)))
        else:
            assignment = self.sbml.createInitialAssignment()
            assignment.setSymbol(state.name)
            assignment.setMath(to_ast(initial, self.digits))
        if state.name in self.model.ode_formulas:
            self.ode(state, self.model.ode_formulas[state.name])

    def species(self, state: State) -> tuple[Any, Any]:
        element = self.sbml.createSpecies()
        element.setCompartment(state.compartment or self.without_size())
        element.setHasOnlySubstanceUnits(state.compartment is None)
        element.setBoundaryCondition(state.name not in self.reacting)
        return element, element.setInitialAmount if state.compartment is None else element.setInitialConcentration

    def without_size(self) -> str:
        if self.nowhere is None:
            self.nowhere = self.names.free("space")
            element = self.sbml.createCompartment()
            element.setId(self.nowhere)
            element.setSpatialDimensions(0)
            element.setConstant(True)
        return self.nowhere

    def ode(self, state: State, formula: sp.Expr) -> None:
        if state.name not in self.reacting:
            rule = self.sbml.createRateRule()
            rule.setVariable(state.name)
            rule.setMath(to_ast(formula, self.digits))
            return
        # A reaction adds rate / size to a concentration.
        rate = formula * symbol(state.compartment) if state.compartment is not None else formula
        part = Reaction(self.names.free(f"change_of_{state.name}"), f"-> {state.name}", "0")
        write_reaction(self.sbml, part, {state.name: sp.Integer(1)}, rate, self.model, self.names, self.digits)


def _unless_plain(unit: str) -> str:
    return "" if unit == DIMENSIONLESS else unit


def _describe(element: Any, description: str, unit: str) -> None:
    if description:
        element.setName(description)
    annotate(element, unit=_unless_plain(unit))
