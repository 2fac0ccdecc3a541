"""A mechanism as written: states, reactions, parameters, observables, checked against each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import sympy as sp
from jaxtyping import Float

from twin.errors import ModelError, UnknownSymbolError, suggestion
from twin.model import checks, conservation, dimensions, dynamics, events, show, stoichiometry, typeset
from twin.model.equation import Equation
from twin.model.formula import parse
from twin.model.functions import RateOf
from twin.model.identity import as_content, digest, without
from twin.model.parts import (
    DIMENSIONLESS,
    Assignment,
    ConservedTotal,
    Event,
    Input,
    Observable,
    Parameter,
    Reaction,
    State,
)
from twin.model.resolution import order, substitute
from twin.model.symbols import TIME, is_finite, symbol
from twin.model.unknown import unknown_name
from twin.model.variants import with_parameters


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A mechanism: ``d(state)/dt = sum over reactions of (stoichiometry * flux) / compartment + ode``.

    A state named by no reaction, ODE or constraint stays constant between events. Immutable; two models are equal when
    their content is.

    Args:
        name: Name of the model.
        states: What the differential equations carry.
        parameters: Constants, with default values.
        reactions: Transformations with rate laws.
        odes: Formula of the time derivative by state [state unit / time unit], added to what reactions
            contribute.
        constraints: Formula by state; the state is determined at every moment by ``0 = formula`` (index 1), its
            initial value being a first guess. Which formula stands at which of these states does not matter.
        assignments: Quantities computed from others, in any order.
        inputs: Time courses given by points.
        observables: What instruments read. Nothing else may refer to them.
        events: States set anew when a condition becomes true.
        conserved: Combinations of states that the equations keep constant; verified.
        time_unit: Unit of ``time``.
        description: What the model is about, in words.
        references: Citations.
        check_units: Whether units must fit together; then every number in a formula is dimensionless.

    Raises:
        ModelError: A part that makes no sense (or one of its subclasses: `FormulaError`,
            `UnknownSymbolError`, `DuplicateNameError`, `CyclicAssignmentError`).
        UnitError: Units that are unknown or do not fit.

    Example:
        >>> Model("decay", [State("A", 1.0)], [Parameter("k", 0.1)], [Reaction("loss", "A ->", "k * A")])
        <Model 'decay': 1 state, 1 parameter, 1 reaction, 0 observables>
    """

    name: str
    states: Sequence[State]
    parameters: Sequence[Parameter] = ()
    reactions: Sequence[Reaction] = ()
    odes: Mapping[str, str | float] = field(default_factory=dict)
    constraints: Mapping[str, str | float] = field(default_factory=dict)
    assignments: Sequence[Assignment] = ()
    inputs: Sequence[Input] = ()
    observables: Sequence[Observable] = ()
    events: Sequence[Event] = ()
    conserved: Sequence[ConservedTotal] = ()
    time_unit: str = DIMENSIONLESS
    description: str = ""
    references: Sequence[str] = ()
    check_units: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ModelError(f"the name of the model is {self.name!r}", expected="text")
        for kind in checks.KINDS:
            self._set(kind, checks.as_parts(kind, getattr(self, kind), self._where))
        if not (self.states or self.parameters or self.assignments):
            raise ModelError("there is nothing in it", where=self._where, expected="at least one State")
        named = {kind: getattr(self, kind) for kind in checks.KINDS if kind != "conserved"}
        checks.check_names(named, self._where)
        for kind, what in (("odes", "equation"), ("constraints", "constraint")):
            given = getattr(self, kind)
            if not isinstance(given, Mapping):
                raise ModelError(f"{kind} is not a mapping", where=self._where, expected="{state: formula}")
            formulas = {
                name: checks.number_or_text(text, "the formula", f"{self._where}, {what} of {name!r}")
                for name, text in given.items()
            }
            self._set(kind, MappingProxyType(formulas))
        self._set("references", (self.references,) if isinstance(self.references, str) else tuple(self.references))
        # Reading every formula now makes every fault show here, not at the first simulation.
        _ = (
            self.equations,
            self.ode_formulas,
            self.constraint_formulas,
            self.net_changes,
            self.definitions,
            self.computation_order,
            self.observable_formulas,
        )
        _ = (
            self.initial,
            self.input_values,
            self.histories,
            self.rhs,
            self.event_formulas,
            [self.observable_expr(name) for name in self.observable_names],
        )
        conservation.check(self)
        if self.check_units:
            dimensions.check(self)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def _where(self) -> str:
        return f"model {self.name!r}"

    # ---- names

    @property
    def state_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.states)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parameters)

    @property
    def reaction_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.reactions)

    @property
    def assignment_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.assignments)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.inputs)

    @property
    def observable_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.observables)

    @cached_property
    def parts(self) -> Mapping[str, State | Parameter | Reaction | Assignment | Input | Observable]:
        """Every named part by its name."""
        kinds = (
            self.states,
            self.parameters,
            self.reactions,
            self.assignments,
            self.inputs,
            self.observables,
        )
        return MappingProxyType({part.name: part for kind in kinds for part in kind})

    @cached_property
    def formula_names(self) -> frozenset[str]:
        """Names that formulas may use: all but the observables', and ``time``."""
        return frozenset(self.parts) - set(self.observable_names) | {TIME.name}

    @property
    def default_parameters(self) -> dict[str, float]:
        """Default value of each parameter, in its unit."""
        return {part.name: part.value for part in self.parameters}

    @property
    def event_names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.events)

    # ---- formulas

    def symbol(self, name: str) -> sp.Symbol:
        """The symbol of a part, or of ``time``.

        Raises:
            UnknownSymbolError: The model has no such part.
        """
        if name not in self.parts and name != TIME.name:
            raise unknown_name(self, name, self._where, self.parts)
        return symbol(name)

    def formula(self, text: str | float | sp.Expr, *, where: str | None = None, extra: Iterable[str] = ()) -> sp.Expr:
        """Reads a formula of states, parameters, fluxes, assignments, inputs and ``time``.

        Args:
            text: The formula, or a number.
            where: What it belongs to, for messages.
            extra: Further names it may use.

        Returns:
            The expression as written; see `expand`.

        Raises:
            FormulaError: The text is not a formula.
            UnknownSymbolError: It uses a name that is not there.
        """
        where = self._where if where is None else where
        expression = parse(text, where=where)
        known = self.formula_names.union(extra)
        for name in sorted(item.name for item in expression.free_symbols if isinstance(item, sp.Symbol)):
            if name not in known:
                shown = f" in {text!r}" if isinstance(text, str) and len(text) < 200 else ""
                raise unknown_name(self, name, where, known, shown)
        return expression

    def expand(self, expression: sp.Expr) -> sp.Expr:
        """Puts in assignments and fluxes: states, parameters, inputs, ``time`` and extra names remain.

        Raises:
            ModelError: The result is infinite, undefined or not real, such as a division by an assignment
                that is zero.
        """
        shown = str(expression)[:80]
        try:
            expanded = self.substitute(expression)
            if expanded.has(RateOf):
                expanded = cast("sp.Expr", dynamics.resolve_rates(self, expanded))
        except (ValueError, TypeError) as error:
            # sympy refuses to order or compare what it then knows is not real.
            raise ModelError(
                f"{shown!r} has no real value once the assignments are put in ({error})", where=self._where
            ) from None
        return self._finite(expanded, shown)

    def substitute(self, expression: sp.Expr) -> sp.Expr:
        """Puts in assignments and fluxes, unchecked; ``rateOf`` stays."""
        return cast("sp.Expr", expression.xreplace(self._resolved))

    def _finite(self, expression: sp.Expr, shown: str) -> sp.Expr:
        if not is_finite(expression) or expression.has(sp.I):
            raise ModelError(
                f"{shown!r} is infinite, undefined or not real once the assignments are put in",
                where=self._where,
                expected="finite, real constants",
            )
        return expression

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The stoichiometry of each reaction, as written."""
        return stoichiometry.equations(self)

    @cached_property
    def net_changes(self) -> tuple[Mapping[str, sp.Expr], ...]:
        """Change of each state when each reaction happens once, as written; states that do not change are left out."""
        return stoichiometry.net_changes(self)

    @cached_property
    def ode_formulas(self) -> Mapping[str, sp.Expr]:
        """What `odes` gives, by state, as written."""
        return self._by_state("odes", "an equation")

    @cached_property
    def constraint_formulas(self) -> Mapping[str, sp.Expr]:
        """What `constraints` gives, by state, as written."""
        formulas = self._by_state("constraints", "a constraint")
        changed = {name for changes in self.net_changes for name in changes} | set(self.odes)
        for name in formulas:
            if name in changed:
                raise ModelError(
                    f"the state {name!r} has a constraint and also changes by a reaction or an equation",
                    where=f"{self._where}, constraints",
                    expected="one or the other",
                )
        return formulas

    def _by_state(self, kind: str, what: str) -> Mapping[str, sp.Expr]:
        result = {}
        for name, text in getattr(self, kind).items():
            if name not in self.state_names:
                raise UnknownSymbolError(
                    f"there is {what} for {name!r}, which is not a state",
                    where=f"{self._where}, {kind}",
                    expected="states of the model",
                    fix=suggestion(str(name), self.state_names),
                )
            result[name] = self.formula(text, where=f"{self._where}, {what.split()[1]} of {name!r}")
        return MappingProxyType(result)

    @cached_property
    def event_formulas(self) -> tuple[events.EventFormulas, ...]:
        """Trigger, delay, priority and assignments of each event, as written."""
        return tuple(events.formulas(self, part) for part in self.events)

    @cached_property
    def definitions(self) -> Mapping[str, sp.Expr]:
        """Assignments' formulas and reactions' rates by name, as written."""
        result = {}
        for part in self.assignments:
            result[part.name] = self.formula(part.formula, where=f"{self._where}, assignment {part.name!r}")
        for part in self.reactions:
            result[part.name] = self.formula(part.rate, where=f"{self._where}, rate of reaction {part.name!r}")
        return MappingProxyType(result)

    @cached_property
    def computation_order(self) -> tuple[str, ...]:
        """Assignments and reactions so that each comes after those it uses."""
        return order(self.definitions, where=self._where)

    @cached_property
    def _resolved(self) -> dict[sp.Symbol, sp.Expr]:
        return substitute(self.definitions, self.computation_order)

    @cached_property
    def observable_formulas(self) -> Mapping[str, sp.Expr]:
        """Observables' formulas by name, as written."""
        return MappingProxyType(
            {
                part.name: self.formula(part.formula, where=f"{self._where}, observable {part.name!r}")
                for part in self.observables
            }
        )

    def observable_expr(self, name: str) -> sp.Expr:
        """An observable in terms of states, parameters, inputs and ``time``.

        Raises:
            UnknownSymbolError: The model has no such observable.
        """
        if name not in self.observable_formulas:
            raise UnknownSymbolError(
                f"unknown observable {name!r}",
                where=self._where,
                expected="an observable of the model",
                fix=suggestion(name, self.observable_names),
            )
        return self.expand(self.observable_formulas[name])

    def constant_formula(self, text: str | float, where: str, *, allow_time: bool = False) -> sp.Expr:
        """Reads a formula that parameters alone (and time, where allowed) determine, expanded.

        Raises:
            ModelError: It depends on a state, an input or ``time``.
        """
        expression = self.formula(text, where=where)
        expanded = self.expand(expression)
        parameters = {*self.parameter_names, *([TIME.name] if allow_time else ())}
        for name in sorted(str(item) for item in expanded.free_symbols):
            if name not in parameters:
                kind = "time" if name == TIME.name else f"the {type(self.parts[name]).__name__.lower()} {name!r}"
                raise ModelError(
                    f"{text!r} depends on {kind}", where=where, expected="a number or a formula of parameters"
                )
        return expanded

    # ---- mathematics

    @cached_property
    def initial(self) -> tuple[sp.Expr, ...]:
        """Initial value of each state: numbers and formulas of parameters."""
        return tuple(
            self.constant_formula(part.initial, f"{self._where}, initial value of {part.name!r}")
            for part in self.states
        )

    @cached_property
    def histories(self) -> Mapping[str, sp.Expr]:
        """Value of each state that has a history of its own before the start: formulas of parameters and time."""
        result = {}
        for part in self.states:
            if part.history is not None:
                where = f"{self._where}, history of {part.name!r}"
                result[part.name] = self.constant_formula(part.history, where, allow_time=True)
        return MappingProxyType(result)

    @cached_property
    def input_values(self) -> Mapping[str, tuple[sp.Expr, ...]]:
        """Values at the points of each input: numbers and formulas of parameters."""
        return MappingProxyType(
            {
                part.name: tuple(
                    self.constant_formula(value, f"{self._where}, input {part.name!r}") for value in part.values
                )
                for part in self.inputs
            }
        )

    @cached_property
    def fluxes(self) -> tuple[sp.Expr, ...]:
        """Flux of each reaction in terms of states, parameters, inputs and ``time``."""
        return tuple(self.expand(self.definitions[name]) for name in self.reaction_names)

    @cached_property
    def stoichiometry(self) -> Float[np.ndarray, "state reaction"]:
        """Change of each state (of its amount, where it has a compartment) when each reaction happens once; read-only.

        Raises:
            ModelError: A coefficient is a formula; see `net_changes`.
        """
        return stoichiometry.matrix(self)

    @cached_property
    def flux_coefficients(self) -> Mapping[tuple[int, int], sp.Expr]:
        """By position (state, reaction): change of the state per flux, its compartment's size included, expanded."""
        return MappingProxyType(stoichiometry.coefficients(self))

    @cached_property
    def rhs(self) -> tuple[sp.Expr, ...]:
        """Time derivative of each state in terms of states, parameters, inputs and ``time``.

        For a state that a constraint determines it is what has to be zero.
        """
        for part in self.states:
            if part.compartment is not None:
                self.constant_formula(part.compartment, f"{self._where}, compartment of {part.name!r}")
        rates = zip(self.state_names, dynamics.right_hand_sides(self), strict=True)
        return tuple(self._finite(rate, f"d{name}/dt") for name, rate in rates)

    # ---- units

    def unit(self, name: str) -> str:
        """Unit of a state, parameter, assignment, input, observable, flux, or of ``time``.

        Raises:
            UnknownSymbolError: The model has no such part.
        """
        if name == TIME.name:
            return self.time_unit
        if name not in self.parts:
            raise unknown_name(self, name, self._where, self.parts)
        return dimensions.unit_text(self, name)

    # ---- identity

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything the model says, in hexadecimal; the same on every machine."""
        return digest(self._content())

    @cached_property
    def structure_fingerprint(self) -> str:
        """SHA-256 of what decides the equations: all but default parameter values and prose."""
        return digest(without(self._content(), {"value", "published", "source", "description", "references"}))

    def _content(self) -> dict[str, Any]:
        content = {
            item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "check_units"
        }
        for kind in checks.KINDS:
            content[kind] = [as_content(part) for part in content[kind]]
        content["odes"], content["constraints"] = as_content(self.odes), as_content(self.constraints)
        return content

    def __eq__(self, other: object) -> bool:
        return self.fingerprint == other.fingerprint if isinstance(other, Model) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def with_parameters(self, **values: float) -> Model:
        """The same model with other default values.

        Raises:
            UnknownSymbolError: A name that is not a parameter.
            ModelError: A value that is not a finite number.
        """
        return with_parameters(self, values)

    def __repr__(self) -> str:
        counts = [
            f"{len(parts)} {singular}{'s' * (len(parts) != 1)}"
            for singular, parts in (
                ("state", self.states),
                ("parameter", self.parameters),
                ("reaction", self.reactions),
                ("observable", self.observables),
            )
        ]
        return f"<Model {self.name!r}: {', '.join(counts)}>"

    def __str__(self) -> str:
        return show.as_text(self)

    def _repr_html_(self) -> str:
        return typeset.as_html(self)

    def _repr_latex_(self) -> str:
        return typeset.as_latex(self)
