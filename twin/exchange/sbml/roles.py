"""What each quantity becomes in our model: parameter, state, or assignment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from twin.exchange.sbml.algebraic import Algebra, solve_algebraic
from twin.exchange.sbml.contents import Contents, Quantity, Species
from twin.exchange.sbml.expression import Expression
from twin.exchange.sbml.operators import TIME

Role = Literal["parameter", "assignment", "state"]


@dataclass
class Roles:
    """The role of each quantity.

    Args:
        of: Role by name.
        definitions: Formula of each assignment by name: its rule, or what algebraic rules make of it.
        constraints: Algebraic rule by the state that it determines.
        fixed: Names of parameters, and of assignments that depend on parameters alone.
    """

    of: dict[str, Role] = field(default_factory=dict)
    definitions: dict[str, Expression] = field(default_factory=dict)
    constraints: dict[str, Expression] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)


def find_roles(contents: Contents) -> Roles:
    """Decides what each quantity becomes.

    Raises:
        ModelError: Algebraic rules that determine too much.
    """
    algebra = solve_algebraic(contents)
    roles = Roles(constraints=algebra.constraints)
    delayed = any(formula.uses("delay") for formula, _ in contents.formulas())
    for name, quantity in contents.quantities.items():
        roles.of[name] = _role(name, quantity, algebra, delayed)
        if roles.of[name] == "assignment":
            formula = algebra.solutions.get(
                name, quantity.formula if quantity.rule == "assignment" else quantity.initial
            )
            assert formula is not None
            roles.definitions[name] = formula
    _find_fixed(roles)
    return roles


def _role(name: str, quantity: Quantity, algebra: Algebra, delayed: bool) -> Role:
    if quantity.rule == "assignment" or name in algebra.solutions:
        return "assignment"
    if quantity.rule == "rate" or quantity.assigned or name in algebra.constraints or isinstance(quantity, Species):
        return "state"
    if quantity.initial is None:
        return "parameter"
    # Before the start an initial assignment counts at the earlier time: only a state has a history.
    return "state" if delayed and TIME in quantity.initial.names else "assignment"


def _find_fixed(roles: Roles) -> None:
    """Takes in, round by round, assignments all of whose names are known to stay as they are."""
    roles.fixed = {name for name, role in roles.of.items() if role == "parameter"}
    needs = {name: set(formula.names) - {"true", "false"} for name, formula in roles.definitions.items()}
    users: dict[str, list[str]] = {}
    for name, needed in needs.items():
        for other in needed:
            users.setdefault(other, []).append(name)
    missing = {name: len(needed - roles.fixed) for name, needed in needs.items() if TIME not in needed}
    ready = [name for name, count in missing.items() if not count and not _dynamic(roles.definitions[name])]
    while ready:
        name = ready.pop()
        roles.fixed.add(name)
        for user in users.get(name, ()):
            if user in missing:
                missing[user] -= 1
                if not missing[user] and not _dynamic(roles.definitions[user]):
                    ready.append(user)


def _dynamic(formula: Expression) -> bool:
    return formula.uses("delay") or formula.uses("rateOf")
