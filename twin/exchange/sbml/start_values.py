"""Numbers at the start, with the values that the file gives: what an equilibrium is checked with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import sympy as sp

from twin.errors import ModelError
from twin.exchange.sbml.contents import Contents, Species
from twin.exchange.sbml.equilibrium import NoEquilibriumError
from twin.exchange.sbml.expression import name
from twin.exchange.sbml.initial import InitialValues
from twin.exchange.sbml.roles import Roles
from twin.exchange.sbml.symbolic import to_sympy
from twin.model.functions import Delay, RateOf
from twin.model.symbols import TIME, symbol


class StartValues:
    """Numbers at the start.

    Args:
        contents: What the model says.
        roles: What each quantity becomes.
        initials: Formulas at the start.
    """

    def __init__(self, contents: Contents, roles: Roles, initials: InitialValues) -> None:
        self._contents, self._roles, self._initials = contents, roles, initials
        self._known: dict[str, float | None] = {TIME.name: 0.0}

    def value(self, expression: sp.Expr, more: Mapping[sp.Symbol, float] | None = None) -> float | None:
        """A formula at the start; None if it has no finite value."""
        values = dict(more or {})
        for item in expression.free_symbols:
            if item not in values:
                found = self._of(str(item))
                if found is None:
                    return None
                values[cast("sp.Symbol", item)] = found
        if expression.has(Delay, RateOf):
            return None
        try:
            result = float(
                cast("sp.Expr", expression.xreplace({key: sp.Float(found) for key, found in values.items()}))
            )
        except (TypeError, ValueError, OverflowError):
            return None
        return result if math.isfinite(result) else None

    def constant(self, expression: sp.Expr) -> float | None:
        """The value of a formula of constants; None if it changes."""
        if all(is_constant(self._contents, self._roles, str(item)) for item in expression.free_symbols):
            return self.value(expression)
        return None

    def amount(self, key: str) -> float:
        """The amount of a species.

        Raises:
            NoEquilibriumError: It cannot be computed.
        """
        species = self._contents.quantities[key]
        assert isinstance(species, Species)
        size = 1.0 if species.amount else self._of(species.compartment)
        content = self._of(key)
        if content is None or size is None:
            raise NoEquilibriumError(f"the initial value of {key!r} cannot be computed")
        return content * size

    def total(self, key: str, share: Mapping[str, sp.Expr]) -> float:
        """The total that goes with a species; see `fast`."""
        result = self.amount(key)
        for pivot, factor in share.items():
            value = self.value(factor)
            if value is None:
                raise NoEquilibriumError("its stoichiometry cannot be computed")
            result -= value * self.amount(pivot)
        return result

    def _of(self, key: str) -> float | None:
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._computed(key)
        return self._known[key]

    def _computed(self, key: str) -> float | None:
        if self._roles.of.get(key) == "parameter":
            return self._contents.quantities[key].value
        if key in self._roles.fixed:
            return self.value(to_sympy(self._roles.definitions[key]))
        if key not in self._contents.quantities:
            return None
        try:
            formula = self._initials.of(name(key), self._contents.quantities[key].where)
        except ModelError:
            return None
        return self.value(to_sympy(formula))


def is_constant(contents: Contents, roles: Roles, key: str) -> bool:
    """True for what keeps its value from the start on."""
    quantity = contents.quantities.get(key)
    if quantity is None or quantity.assigned or quantity.rule == "rate" or key in roles.constraints:
        return False
    if key in roles.definitions:
        return key in roles.fixed or roles.definitions[key] is quantity.initial
    return not (isinstance(quantity, Species) and quantity.changed_by_reactions)


def known_signs(contents: Contents, roles: Roles) -> dict[sp.Symbol, int]:
    """Signs of what changes: species that reactions change and sizes are positive, and what events set to numbers."""
    known: dict[sp.Symbol, int] = {}
    for key, quantity in contents.quantities.items():
        if is_constant(contents, roles, key):
            continue
        reacting = isinstance(quantity, Species) and quantity.changed_by_reactions
        if (reacting or quantity.kind == "compartment") and not quantity.assigned:
            known[symbol(key)] = 1
        elif quantity.assigned and quantity.rule is None and key not in roles.definitions:
            values = [quantity.value] if quantity.initial is None else [None]
            for event in contents.events:
                if key in event.assignments:
                    given = event.assignments[key]
                    values.append(float(given.value) if given.head == "number" else None)
            if not isinstance(quantity, Species) and all(value is not None and value > 0 for value in values):
                known[symbol(key)] = 1
    return known
