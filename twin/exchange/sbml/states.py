"""States of our model from species and other quantities that change, and their equations.

A concentration in a compartment of constant size is a state in that compartment. Where the size changes, what
stays when nothing reacts is the amount: then the state is the amount ``S_amount`` and ``S`` is the assignment
``S_amount / C``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twin.errors import UnsupportedModelError
from twin.exchange.sbml.contents import Contents, Quantity, Species
from twin.exchange.sbml.expression import Expression, call, name, number, over, plain, plus, times
from twin.exchange.sbml.fast import Group, at_rest, changes_of_totals, find_groups
from twin.exchange.sbml.history import keep_history
from twin.exchange.sbml.initial import InitialValues
from twin.exchange.sbml.operators import TIME
from twin.exchange.sbml.places import placed
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
        groups: Species that fast reactions keep at equilibrium.
        changes: By species, what a change of its content by one does to each state, where that is not itself.
    """

    states: list[State] = field(default_factory=list)
    odes: dict[str, str] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    amounts: dict[str, str] = field(default_factory=dict)
    initials: InitialValues | None = None
    groups: list[Group] = field(default_factory=list)
    changes: dict[str, dict[str, Expression]] = field(default_factory=dict)


def make_states(contents: Contents, roles: Roles) -> Dynamics:
    """States and their equations, all but what reactions contribute.

    Raises:
        ModelError: A state without an initial value.
    """
    keys = [key for key, role in roles.of.items() if role == "state"]
    varying = {key for key in keys if _varying(contents.quantities[key], roles)}
    initials = InitialValues(contents, roles, varying)
    dynamics = Dynamics(initials=initials, groups=find_groups(contents, roles, initials))
    keep_history(contents, roles, initials, dynamics.groups)
    for group in dynamics.groups:
        with placed(group.where):
            _add_group(contents, dynamics, group)
    dynamics.changes = changes_of_totals(dynamics.groups)
    for key in keys:
        if key in dynamics.changes:
            continue
        quantity = contents.quantities[key]
        with placed(quantity.where):
            _add_state(contents, roles, dynamics, quantity, varying=key in varying)
    return dynamics


def _add_state(contents: Contents, roles: Roles, dynamics: Dynamics, quantity: Quantity, varying: bool) -> None:
    assert dynamics.initials is not None
    initial = dynamics.initials.of(name(quantity.name), quantity.where)
    if varying:
        assert isinstance(quantity, Species)
        _add_amount(contents, dynamics, quantity, initial)
        return
    kept = isinstance(quantity, Species) and not quantity.amount and quantity.name not in roles.constraints
    dynamics.states.append(
        State(
            quantity.name,
            plain(initial),
            quantity.unit,
            quantity.description,
            positive=isinstance(quantity, Species),
            compartment=quantity.compartment if kept else None,  # pyright: ignore[reportAttributeAccessIssue]
            history=_history(contents, dynamics.initials, quantity),
        )
    )
    if quantity.rule == "rate":
        dynamics.odes[quantity.name] = str(quantity.formula)


def _history(contents: Contents, initials: InitialValues, quantity: Quantity) -> str | None:
    """What delayed terms find before the start: the initial assignment at the earlier time, where time is in it."""
    if quantity.initial is None or not any(formula.uses("delay") for formula, _ in contents.formulas()):
        return None
    before = initials.before_start(quantity.initial, number(0.0), quantity.where)
    return str(before) if TIME in before.names else None


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
    if _history(contents, dynamics.initials, species) is not None:
        raise UnsupportedModelError(
            "its initial assignment depends on time, its compartment changes, and the model has delays",
            where=species.where,
            expected="a compartment of constant size",
        )
    start = _amount_at_start(dynamics, species, initial)
    dynamics.amounts[species.name] = amount
    dynamics.changes[species.name] = {amount: number(1.0)}
    dynamics.states.append(State(amount, plain(start), description=f"amount of {species.description or species.name}"))
    dynamics.assignments.append(
        Assignment(species.name, str(over(name(amount), size)), DIMENSIONLESS, species.description)
    )
    if species.rule == "rate":
        # d(amount)/dt = d(S C)/dt = C dS/dt + S dC/dt
        assert species.formula is not None
        growth = times(name(species.name), _rate_of_size(contents, species.compartment))
        dynamics.odes[amount] = str(plus(times(species.formula, size), growth))


def _amount_at_start(dynamics: Dynamics, species: Species, initial: Expression) -> Expression:
    assert dynamics.initials is not None
    if species.amount:
        return initial
    # An initial amount is taken as it is: amount / size * size would round.
    given = species.initial_amount if species.initial is None else None
    if given is not None:
        return number(given)
    return times(initial, dynamics.initials.of(name(species.compartment), species.where))


def _add_group(contents: Contents, dynamics: Dynamics, group: Group) -> None:
    """Totals that fast reactions keep become states; the species follow from them."""
    assert dynamics.initials is not None
    starts, amount_of = {}, {}
    for key in group.species:
        species = contents.quantities[key]
        assert isinstance(species, Species)
        starts[key] = _amount_at_start(dynamics, species, dynamics.initials.of(name(key), species.where))
        amount_of[key] = key if species.amount else contents.names.free(f"{key}_amount")
        if not species.amount:
            dynamics.amounts[key] = amount_of[key]
            formula = over(name(amount_of[key]), name(species.compartment))
            dynamics.assignments.append(Assignment(key, str(formula), DIMENSIONLESS, species.description))
    for amount, formula in at_rest(group, amount_of):
        dynamics.assignments.append(Assignment(amount, str(formula), DIMENSIONLESS))
    for key, total in group.totals.items():
        parts = [times(number(-1.0), share, starts[pivot]) for pivot, share in group.shares[key].items()]
        start = plus(starts[key], *(dynamics.initials.of(part, group.where) for part in parts))
        text = f"amount that fast reactions keep: {key} with {', '.join(group.rest)}"
        dynamics.states.append(State(total, plain(start), description=text, positive=False))


def _rate_of_size(contents: Contents, compartment: str) -> Expression:
    quantity = contents.quantities[compartment]
    if quantity.rule == "rate":
        assert quantity.formula is not None
        return quantity.formula
    return call("rateOf", name(compartment)) if quantity.rule == "assignment" or not quantity.assigned else number(0.0)


def make_reactions(contents: Contents, dynamics: Dynamics) -> tuple[list[Reaction], list[Assignment]]:
    """Reactions with what they change; those that change nothing become assignments of their rate."""
    reactions, rates = [], []
    resting = {key for group in dynamics.groups for key in group.reactions}
    for content in contents.reactions:
        if content.name in resting:
            continue
        net: dict[str, list[Expression]] = {}
        for term in content.terms:
            species = contents.quantities[term.species]
            assert isinstance(species, Species)
            if species.changed_by_reactions:
                conversion = [name(species.conversion)] if species.conversion else []
                for state, factor in dynamics.changes.get(species.name, {species.name: number(1.0)}).items():
                    net.setdefault(state, []).append(times(factor, term.stoichiometry, *conversion))
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
