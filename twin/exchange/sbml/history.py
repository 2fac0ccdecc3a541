"""Delayed values of species that fast reactions change: before the start they are what the file gives.

Fast reactions act from the start on, so a species jumps there to its equilibrium, and a delayed value jumps one lag
later (case 01539 of the semantic test suite).
"""

from __future__ import annotations

from twin.errors import UnsupportedModelError
from twin.exchange.sbml.contents import Contents
from twin.exchange.sbml.expression import Expression, call, name
from twin.exchange.sbml.fast import Group, dependents
from twin.exchange.sbml.initial import InitialValues
from twin.exchange.sbml.operators import TIME
from twin.exchange.sbml.roles import Roles


def keep_history(contents: Contents, roles: Roles, initials: InitialValues, groups: list[Group]) -> None:
    """Rewrites delays in assignments so that they give the values before the jump where these are asked for.

    Raises:
        UnsupportedModelError: Such a delay stands elsewhere, or has a lag that changes.
    """
    species = {key for group in groups for key in group.species}
    if not species:
        return
    definitions = {**roles.definitions, **{item.name: item.rate for item in contents.reactions}}
    hidden = species | dependents(definitions, species)

    def is_old(node: Expression) -> bool:
        return node.head == "delay" and bool(hidden & set(node.arguments[0].names))

    rules = {id(formula) for formula in roles.definitions.values()}
    for formula, where in contents.formulas():
        for node in formula.nodes():
            if is_old(node) and (id(formula) not in rules or set(node.arguments[1].names) - roles.fixed):
                raise UnsupportedModelError(
                    "a species that fast reactions change is asked for at an earlier time, when these may not act yet",
                    where=where,
                    expected="such a delay in an assignment rule, with a constant lag",
                )

    def rewritten(node: Expression, where: str) -> Expression:
        if not node.arguments:
            return node
        if is_old(node):
            lag = node.arguments[1]
            before = initials.before_start(*node.arguments, where)
            return call("piecewise", before, call("<=", name(TIME), lag), node)
        arguments = tuple(rewritten(argument, where) for argument in node.arguments)
        return Expression(node.head, arguments, node.value)

    for key, formula in roles.definitions.items():
        if any(is_old(node) for node in formula.nodes()):
            roles.definitions[key] = rewritten(formula, contents.quantities[key].where)
