"""Verifies that what a model calls conserved is: its time derivative along the equations vanishes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import sympy as sp

from twin.errors import DuplicateNameError, ModelError

if TYPE_CHECKING:
    from twin.model.model import Model

_POINTS = 3
# Rounding in a sum of a few dozen products of doubles stays below this share of the largest of them.
_TOLERANCE = 1e-9


def check(model: Model) -> None:
    """Checks every conserved total of a model.

    The derivative ``sum over states of (d total / d state) * (d state / dt)`` is computed with random values
    for every state, parameter and input; where it vanishes at three such points it vanishes identically, but
    for chance.

    Raises:
        ModelError: A total that depends on ``time`` or an input, or that the equations change.
        DuplicateNameError: Two totals of one name.
    """
    seen = set()
    for total in model.conserved:
        where = f"model {model.name!r}, conserved {total.name!r}"
        if total.name in seen:
            raise DuplicateNameError(f"two conserved totals are called {total.name!r}", where=where)
        seen.add(total.name)
        expression = model.expand(model.formula(total.formula, where=where))
        allowed = {*model.state_names, *model.parameter_names}
        for name in sorted(str(item) for item in expression.free_symbols):
            if name not in allowed:
                raise ModelError(f"{total.formula!r} depends on {name!r}", where=where, expected="a formula of states")
        _check_constant(model, expression, total.formula, where)


def _check_constant(model: Model, expression: sp.Expr, text: str, where: str) -> None:
    terms = {}
    for name, derivative in zip(model.state_names, model.rhs, strict=True):
        slope = sp.diff(expression, model.symbol(name))
        if slope != 0:
            terms[name] = slope * derivative
    # The draw is fixed so that a model either always builds or never does.
    draw = random.Random(20240229)
    for _ in range(_POINTS):
        values: dict[str, float] = {}
        for name, term in terms.items():
            at = {}
            for item in sorted(term.free_symbols, key=str):
                at[item] = sp.Float(values.setdefault(str(item), draw.uniform(0.5, 1.5)))
            number = sp.N(term.xreplace(at))
            if not number.is_real:
                return  # a root of a negative number at this point: no evidence against the author
            values[f"d {name}"] = float(number)
        changes = {name: values[f"d {name}"] for name in terms}
        scale = max((abs(change) for change in changes.values()), default=0.0)
        if abs(sum(changes.values())) > _TOLERANCE * scale:
            raise ModelError(
                f"{text!r} is not conserved: the equations change it",
                where=where,
                expected=f"terms of {', '.join(changes)} that cancel",
                fix="check the signs and coefficients, or do not declare it conserved",
            )
