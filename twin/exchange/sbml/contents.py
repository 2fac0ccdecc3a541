"""What an SBML model says, as plain records: read from libsbml, before anything is concluded from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from twin.exchange.sbml.expression import Expression
from twin.exchange.sbml.names import Names


@dataclass
class Quantity:
    """Something whose id stands for a number in maths.

    Args:
        name: Our name.
        kind: What it is in SBML.
        where: File, line and id, for messages.
        constant: Its attribute ``constant``: rules and events cannot change it.
        value: Its value as an attribute gives it; None if unset. Unused for species.
        initial: Maths of its initial assignment.
        rule: Which rule determines it; "empty" for a rule without maths, which leaves it as it is.
        formula: Maths of that rule.
        assigned: Whether an event assigns to it.
        unit: Unit as pint reads it, or "dimensionless".
        description: Its SBML name.
        observable: Whether we wrote the file and it was an observable.
    """

    name: str
    kind: Literal["compartment", "parameter", "species", "stoichiometry"]
    where: str
    constant: bool
    value: float | None = None
    initial: Expression | None = None
    rule: Literal["assignment", "rate", "empty"] | None = None
    formula: Expression | None = None
    assigned: bool = False
    unit: str = "dimensionless"
    description: str = ""
    observable: bool = False


@dataclass
class Species(Quantity):
    """A species; its name stands for a concentration, or for an amount.

    Args:
        compartment: Name of its compartment.
        amount: Whether its name stands for an amount (only substance units, or a compartment without size).
        boundary: Whether reactions leave it as it is.
        reacts: Whether a reaction consumes or produces it.
        conversion: Name of its conversion factor.
        initial_amount: Attribute; None if unset.
        initial_concentration: Attribute; None if unset.
    """

    compartment: str = ""
    amount: bool = False
    boundary: bool = False
    reacts: bool = False
    conversion: str | None = None
    initial_amount: float | None = None
    initial_concentration: float | None = None

    @property
    def changed_by_reactions(self) -> bool:
        return self.reacts and not self.boundary and not self.constant and self.rule is None


@dataclass(frozen=True)
class Term:
    """A species consumed (negative) or produced by a reaction."""

    species: str
    stoichiometry: Expression


@dataclass(frozen=True)
class ReactionContent:
    """A reaction: its flux is an extent per time. A fast one is at equilibrium at every moment."""

    name: str
    where: str
    rate: Expression
    terms: tuple[Term, ...]
    description: str = ""
    fast: bool = False


@dataclass(frozen=True)
class EventContent:
    """An event; see `twin.model.parts.Event` for the meaning of the flags."""

    name: str
    where: str
    trigger: Expression
    assignments: dict[str, Expression]
    delay: Expression | None
    priority: Expression | None
    persistent: bool
    initially: bool
    from_trigger_time: bool
    description: str = ""


@dataclass
class Contents:
    """Everything that a model says.

    Args:
        label: The file, for messages.
        title: Name of the model.
        names: Names taken and free.
        quantities: By name, in the order of the file.
        reactions: In the order of the file.
        algebraic: Maths of algebraic rules, each with its place.
        events: In the order of the file.
        time_unit: Unit of time.
        description: The model's SBML name.
    """

    label: str
    title: str
    names: Names
    quantities: dict[str, Quantity] = field(default_factory=dict)
    reactions: list[ReactionContent] = field(default_factory=list)
    algebraic: list[tuple[Expression, str]] = field(default_factory=list)
    events: list[EventContent] = field(default_factory=list)
    time_unit: str = "dimensionless"
    description: str = ""

    def formulas(self) -> Iterator[tuple[Expression, str]]:
        """Every formula with its place."""
        for quantity in self.quantities.values():
            for formula in (quantity.initial, quantity.formula):
                if formula is not None:
                    yield formula, quantity.where
        for reaction in self.reactions:
            yield reaction.rate, reaction.where
            for term in reaction.terms:
                yield term.stoichiometry, reaction.where
        yield from self.algebraic
        for event in self.events:
            for formula in (event.trigger, event.delay, event.priority, *event.assignments.values()):
                if formula is not None:
                    yield formula, event.where
