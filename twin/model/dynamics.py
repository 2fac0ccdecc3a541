"""How fast each state changes, symbolically: right-hand sides, and rates used in formulas.

``rateOf(x)`` in a formula stands for the time derivative of x along the equations. It is replaced by that derivative,
written out: of a state, its right-hand side; of anything else, the chain rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from twin.errors import CyclicAssignmentError, UnsupportedModelError
from twin.model.derivative import derivatives
from twin.model.functions import Delay, RateOf
from twin.model.printing import to_text
from twin.model.symbols import START, TIME

if TYPE_CHECKING:
    from twin.model.model import Model


def right_hand_sides(model: Model) -> tuple[sp.Expr, ...]:
    """Time derivative of each state, or the residual of the constraint that determines it, expanded."""
    terms: list[list[sp.Expr]] = [[] for _ in model.states]
    for (row, column), coefficient in model.flux_coefficients.items():
        terms[row].append(coefficient * model.fluxes[column])
    for index, name in enumerate(model.state_names):
        for formulas in (model.ode_formulas, model.constraint_formulas):
            if name in formulas:
                terms[index].append(model.expand(formulas[name]))
    return tuple(sp.Add(*each) for each in terms)


def resolve_rates(model: Model, expression: sp.Basic, path: tuple[str, ...] = ()) -> sp.Basic:
    """Puts derivatives in place of ``rateOf``, assignments being put in already.

    Args:
        model: The model.
        expression: What may contain ``rateOf``.
        path: States whose derivative is being worked out.

    Raises:
        CyclicAssignmentError: The rate of a state depends on itself.
        UnsupportedModelError: The rate of something that has none in closed form.
    """
    delayed = {
        node: Delay(_since_start(model, node.args[0], path), node.args[1])
        for node in expression.atoms(Delay)
        if node.args[0].has(RateOf)
    }
    expression = expression.xreplace(delayed)
    while nodes := expression.atoms(RateOf):
        innermost = min(nodes, key=lambda node: (node.count_ops(), str(node)))
        expression = expression.xreplace({innermost: _rate(model, innermost.args[0], path)})
    return expression


def _since_start(model: Model, quantity: sp.Basic, path: tuple[str, ...]) -> sp.Basic:
    """A quantity to be delayed: before the start, rates in it are zero."""
    while nodes := quantity.atoms(RateOf):
        innermost = min(nodes, key=lambda node: (node.count_ops(), str(node)))
        rate = sp.Piecewise((_rate(model, innermost.args[0], path), TIME >= START), (0, True))
        quantity = quantity.xreplace({innermost: rate})
    return quantity


def _rate(model: Model, quantity: sp.Expr, path: tuple[str, ...]) -> sp.Expr:
    where = f"model {model.name!r}"
    for name in sorted(str(item) for item in quantity.free_symbols):
        if name in model.input_names or name in model.constraints or quantity.has(Delay):
            raise UnsupportedModelError(
                f"rateOf is asked of {to_text(quantity)!r}, whose rate has no closed form",
                where=where,
                expected="rates of what depends on parameters, states with equations, and time",
            )
    changing = [name for name in model.state_names if model.symbol(name) in quantity.free_symbols]
    slopes = derivatives(quantity, [*(model.symbol(name) for name in changing), TIME])
    rates = [*(_state_rate(model, name, path) for name in changing), sp.Integer(1)]
    return sp.Add(*(slope * rate for slope, rate in zip(slopes, rates, strict=True)))


def _state_rate(model: Model, name: str, path: tuple[str, ...]) -> sp.Expr:
    if name in path:
        walk = " -> ".join([*path[path.index(name) :], name])
        raise CyclicAssignmentError(
            f"the rate of {name!r} depends on itself: {walk}",
            where=f"model {model.name!r}",
            expected="rates that can be computed one after the other",
        )
    size = model.parts[name].compartment  # type: ignore[union-attr]
    terms = [
        changes[name] * model.definitions[reaction] / (1 if size is None else model.symbol(size))
        for reaction, changes in zip(model.reaction_names, model.net_changes, strict=True)
        if name in changes
    ]
    rate = sp.Add(*terms, model.ode_formulas.get(name, sp.Integer(0)))
    return resolve_rates(model, model.substitute(rate), (*path, name))  # type: ignore[return-value]
