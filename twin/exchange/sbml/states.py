"""States of our model from species and other quantities that change, and their equations.

A concentration in a compartment of constant size is a state in that compartment. Where the size changes, what
stays when nothing reacts is the amount: then the state is the amount ``S_amount`` and ``S`` is the assignment
``S_amount / C``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twin.exchange.sbml.contents import Contents, Quantity, Species
from twin.exchange.sbml.expression import Expression, call, name, number, over, plain, plus, times
from twin.exchange.sbml.initial import InitialValues
from twin.exchange.sbml.roles import Roles
from twin.model.parts import DIMENSIONLESS, Assignment, Observable, Parameter, Reaction, State


@dataclass
class Dynamics:
    """What changes.

    Args:
        states: All states.
        odes: Formula by state.
        assignments: Concentrations of species whose state is an amount.
        amounts: Name of the amount by name of such a species.
        initials: Formulas at the start.
    """

    states: list[State] = field(default_factory=list)
    odes: dict[str, str] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    amounts: dict[str, str] = field(default_factory=dict)
    initials: InitialValues | None = None


def make_states(contents: Contents, roles: Roles) -> Dynamics:
    """States and their equations, all but what reactions contribute.

    Raises:
        ModelError: A state without an initial value.
    """
    keys = [key for key, role in roles.of.items() if role == "state"]
    varying = {key for key in keys if _varying(contents.quantities[key], roles)}
    initials = InitialValues(contents, roles, varying)
    dynamics = Dynamics(initials=initials)
    for key in keys:
        quantity = contents.quantities[key]
        initial = initials.of(name(key), quantity.where)
        if key in varying:
            assert isinstance(quantity, Species)
            _add_amount(contents, dynamics, quantity, initial)
            continue
        concentration = isinstance(quantity, Species) and not quantity.amount and key not in roles.constraints
        dynamics.states.append(
            State(
                key,
                plain(initial),
                quantity.unit,
                quantity.description,
                positive=isinstance(quantity, Species),
                compartment=quantity.compartment if concentration else None,  # pyright: ignore[reportAttributeAccessIssue]
            )
        )
        if quantity.rule == "rate":
            dynamics.odes[key] = str(quantity.formula)
    return dynamics


def _varying(quantity: Quantity, roles: Roles) -> bool:
    """True for a concentration whose compartment changes its size, unless an algebraic rule determines it."""
    return (
        isinstance(quantity, Species)
        and not quantity.amount
        and quantity.compartment not in roles.fixed
        and quantity.name not in roles.constraints
    )


def _add_amount(contents: Contents, dynamics: Dynamics, species: Species, initial: Expression) -> None:
    assert dynamics.initials is not None
    amount = contents.names.free(f"{species.name}_amount")
    size = name(species.compartment)
    at_start = dynamics.initials.of(size, species.where)
    # An initial amount is taken as it is: amount / size * size would round.
    given = species.initial_amount if species.initial is None else None
    start = number(given) if given is not None else times(initial, at_start)
    dynamics.amounts[species.name] = amount
    dynamics.states.append(State(amount, plain(start), description=f"amount of {species.description or species.name}"))
    dynamics.assignments.append(
        Assignment(species.name, str(over(name(amount), size)), DIMENSIONLESS, species.description)
    )
    if species.rule == "rate":
        # d(amount)/dt = d(S C)/dt = C dS/dt + S dC/dt
        assert species.formula is not None
        growth = times(name(species.name), _rate_of_size(contents, species.compartment))
        dynamics.odes[amount] = str(plus(times(species.formula, size), growth))


def _rate_of_size(contents: Contents, compartment: str) -> Expression:
    quantity = contents.quantities[compartment]
    if quantity.rule == "rate":
        assert quantity.formula is not None
        return quantity.formula
    return call("rateOf", name(compartment)) if quantity.rule == "assignment" or not quantity.assigned else number(0.0)


def make_reactions(contents: Contents, dynamics: Dynamics) -> tuple[list[Reaction], list[Assignment]]:
    """Reactions with what they change; those that change nothing become assignments of their rate."""
    reactions, rates = [], []
    for content in contents.reactions:
        net: dict[str, list[Expression]] = {}
        for term in content.terms:
            species = contents.quantities[term.species]
            assert isinstance(species, Species)
            if species.changed_by_reactions:
                conversion = [name(species.conversion)] if species.conversion else []
                net.setdefault(dynamics.amounts.get(species.name, species.name), []).append(
                    times(term.stoichiometry, *conversion)
                )
        equation = {state: _total(terms) for state, terms in net.items()}
        if equation:
            reactions.append(Reaction(content.name, equation, str(content.rate), content.description))
        else:
            rates.append(Assignment(content.name, str(content.rate), DIMENSIONLESS, content.description))
    return reactions, rates


def _total(terms: list[Expression]) -> float | str:
    if all(term.head == "number" for term in terms):
        return sum(float(term.value) for term in terms)
    return str(plus(*terms))


def make_parameters(contents: Contents, roles: Roles) -> list[Parameter]:
    """Constants that have a value; one without is missed only where it is used."""
    found = []
    for key, role in roles.of.items():
        quantity = contents.quantities[key]
        if role == "parameter" and quantity.value is not None:
            found.append(Parameter(key, quantity.value, quantity.unit, quantity.description))
    return found


def make_observables(contents: Contents, roles: Roles) -> list[Observable]:
    """What we wrote as an observable and nothing else uses."""
    used = {other for formula in roles.definitions.values() for other in formula.names}
    return [
        Observable(key, str(formula), contents.quantities[key].unit, contents.quantities[key].description)
        for key, formula in roles.definitions.items()
        if contents.quantities[key].observable and key not in used
    ]


def make_assignments(contents: Contents, roles: Roles, dynamics: Dynamics, apart: set[str]) -> list[Assignment]:
    """Quantities with rules; values assigned at the start, in terms of what stays constant.

    Args:
        contents: What the model says.
        roles: What each quantity becomes.
        dynamics: States and initial values.
        apart: Names that are observables.
    """
    assert dynamics.initials is not None
    found = []
    for key, formula in roles.definitions.items():
        if key in apart:
            continue
        quantity = contents.quantities[key]
        if quantity.rule != "assignment" and quantity.initial is formula and key not in roles.fixed:
            formula = dynamics.initials.of(formula, quantity.where)
        found.append(Assignment(key, str(formula), quantity.unit, quantity.description))
    return found
