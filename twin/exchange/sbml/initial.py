"""Initial values: every formula at the start, in terms of what stays constant."""

from __future__ import annotations

from twin.errors import CyclicAssignmentError, ModelError, UnsupportedModelError
from twin.exchange.sbml.contents import Contents, Quantity, Species
from twin.exchange.sbml.expression import Expression, call, name, negative, number, over, plus, times
from twin.exchange.sbml.operators import TIME
from twin.exchange.sbml.places import placed
from twin.exchange.sbml.roles import Roles

_GUESS = 1.0
"""Where an algebraic rule starts to look for a variable that has no value."""


class InitialValues:
    """Formulas at time 0. Constant parameters stay symbols, so that changing one changes what depends on it.

    Args:
        contents: What the model says.
        roles: What each quantity becomes.
        varying: Concentrations in compartments whose size changes.
    """

    def __init__(self, contents: Contents, roles: Roles, varying: set[str]) -> None:
        self._contents, self._roles, self._varying = contents, roles, varying
        self._definitions: dict[str, Expression | None] = {
            reaction.name: reaction.rate for reaction in contents.reactions
        }
        for key, quantity in contents.quantities.items():
            if key not in roles.fixed:
                self._definitions[key] = self._definition(key, quantity)
        self._resolved: dict[str, Expression] = {TIME: number(0.0)}

    def of(self, expression: Expression, where: str) -> Expression:
        """An expression at the start.

        Raises:
            CyclicAssignmentError: Initial values that need each other.
            ModelError: It needs a value that is not given.
        """
        with placed(where):
            self._resolve(expression, where)
            return self._put(expression, where)

    def _definition(self, key: str, quantity: Quantity) -> Expression | None:
        if key in self._roles.definitions:
            return self._roles.definitions[key]
        if quantity.initial is not None:
            return quantity.initial
        if isinstance(quantity, Species):
            amount, concentration = quantity.initial_amount, quantity.initial_concentration
            size = name(quantity.compartment)
            if quantity.amount:
                if amount is None and concentration is not None:
                    return times(number(concentration), size)
                value = amount
            elif concentration is None and amount is not None:
                return over(number(amount), size)
            else:
                value = concentration
        else:
            value = quantity.value
        if value is None and key in self._roles.constraints:
            value = _GUESS
        return None if value is None else number(value)

    def _needs(self, key: str) -> list[str]:
        definition = self._definitions[key]
        return [] if definition is None else self._open(definition)

    def _open(self, expression: Expression) -> list[str]:
        """Names of an expression that have to be resolved first."""
        names = dict(expression.names)
        for node in expression.nodes():
            if node.head == "rateOf":
                names |= self._rate(node).names
        return [key for key in names if key in self._definitions and key not in self._resolved]

    def _resolve(self, expression: Expression, where: str) -> None:
        """Depth first with a stack of our own: chains may be longer than Python's."""
        stack = [iter(self._open(expression))]
        path: dict[str, None] = {}
        keys: list[str] = []
        while stack:
            key = next((item for item in stack[-1] if item not in self._resolved), None)
            if key is None:
                stack.pop()
                if keys:
                    done = keys.pop()
                    del path[done]
                    self._resolved[done] = self._value(done, where)
                continue
            if key in path:
                cycle = [*keys[keys.index(key) :], key]
                raise CyclicAssignmentError(
                    f"these initial values need each other: {' -> '.join(cycle)}",
                    where=where,
                    expected="values that can be computed one after the other",
                )
            path[key] = None
            keys.append(key)
            stack.append(iter(self._needs(key)))

    def _value(self, key: str, where: str) -> Expression:
        definition = self._definitions[key]
        if definition is None:
            quantity = self._contents.quantities[key]
            raise ModelError(
                f"{quantity.kind} {key!r} has no value",
                where=quantity.where,
                expected="a value, an initial assignment or a rule",
                fix="give it a value",
            )
        return self._put(definition, where)

    def _put(self, expression: Expression, where: str) -> Expression:
        if expression.uses("delay") or expression.uses("rateOf"):
            expression = self._trajectory(expression, where)
        return expression.substitute(self._resolved)

    def _trajectory(self, node: Expression, where: str) -> Expression:
        """Rates and delays at the start: the past is what the states are at the start, at an earlier time."""
        if node.head == "rateOf":
            return self._put(self._rate(node), where)
        arguments = tuple(self._trajectory(argument, where) for argument in node.arguments)
        if node.head != "delay":
            return Expression(node.head, arguments, node.value)
        return self._earlier(arguments[0], negative(self._put(arguments[1], where)))

    def before_start(self, value: Expression, lag: Expression, where: str) -> Expression:
        """What a formula was before the start, a lag before the current time."""
        self._resolve(plus(value, lag), where)
        shown = self._earlier(value, plus(name(TIME), negative(lag)))
        return shown.substitute({key: known for key, known in self._resolved.items() if key != TIME})

    def _earlier(self, value: Expression, before: Expression) -> Expression:
        """A formula at an earlier time, with the states of the start: explicit time may hide in assignments."""
        for _ in range(len(self._roles.definitions)):
            hidden = {key: self._roles.definitions[key] for key in value.names if self._timed(key)}
            if not hidden:
                break
            value = value.substitute(hidden)
        return value.substitute({TIME: before})

    def _timed(self, key: str) -> bool:
        return key in self._roles.definitions and key not in self._roles.fixed

    def _rate(self, node: Expression) -> Expression:
        key = str(node.arguments[0].value)
        if key in self._roles.definitions and key not in self._roles.fixed:
            raise UnsupportedModelError(
                f"rateOf({key}) is needed at the start, and {key!r} is determined by a rule",
                where=self._contents.quantities[key].where,
                expected="rateOf of something with a rate rule or reactions in an initial value",
            )
        if self._roles.of.get(key) != "state":
            return number(0.0)
        for reaction in self._contents.reactions:
            if reaction.fast and any(term.species == key for term in reaction.terms):
                raise UnsupportedModelError(
                    f"rateOf({key}) is needed at the start, where the fast reaction {reaction.name!r} lets it jump",
                    where=self._contents.quantities[key].where,
                    expected="rateOf of something that only slow reactions change",
                )
        return total_rate(self._contents, key, key in self._varying)


def total_rate(contents: Contents, key: str, varying: bool) -> Expression:
    """Time derivative of a state, from its rate rule or from reactions.

    Args:
        contents: What the model says.
        key: Name of the state.
        varying: Whether it is a concentration in a compartment whose size changes: it is diluted then.
    """
    quantity = contents.quantities[key]
    if quantity.rule == "rate":
        assert quantity.formula is not None
        return quantity.formula
    if not isinstance(quantity, Species):
        return number(0.0)
    terms = []
    for reaction in contents.reactions if quantity.changed_by_reactions else ():
        for term in reaction.terms:
            if term.species == key:
                factors = [term.stoichiometry, name(reaction.name)]
                terms.append(times(*factors, *([name(quantity.conversion)] if quantity.conversion else [])))
    change = plus(*terms)
    if quantity.amount:
        return change
    size = name(quantity.compartment)
    if not varying:
        return over(change, size)
    return over(plus(change, negative(times(name(key), call("rateOf", size)))), size)
