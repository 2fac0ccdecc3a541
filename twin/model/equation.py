"""The stoichiometry of a reaction, read from text such as ``"2 A + B -> C"``."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from twin.errors import FormulaError, UnknownSymbolError, suggestion

ARROW = "->"
NOTHING = ("", "∅")
_TERM = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*\*?\s*)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*"
)
_OTHER_ARROWS = ("<->", "<=>", "<-->", "⇌", "-->", "=>", "→", "<-")


@dataclass(frozen=True)
class Equation:
    """Both sides of a reaction.

    Args:
        consumed: State name and coefficient on the left, in the order written.
        produced: The same on the right; coefficients that are formulas, of either sign, stand here as text.
    """

    consumed: tuple[tuple[str, float], ...]
    produced: tuple[tuple[str, float | str], ...]

    @property
    def net(self) -> dict[str, float | str]:
        """Change of each state when the reaction happens once, a number or a formula; 0 for a catalyst."""
        # Fractions keep 0.1 + 0.2 - 0.3 at what the author meant.
        total: dict[str, Fraction] = {}
        formulas = {name: coefficient for name, coefficient in self.produced if isinstance(coefficient, str)}
        for side, sign in ((self.consumed, -1), (self.produced, 1)):
            for name, coefficient in side:
                if name not in formulas:
                    total[name] = total.get(name, Fraction(0)) + sign * Fraction(str(coefficient))
        return {name: float(value) for name, value in total.items()} | formulas


def equation_of(changes: Mapping[str, float | str], states: Collection[str], *, where: str) -> Equation:
    """The equation with the given net change of each state.

    Raises:
        UnknownSymbolError: A name is not a state.
    """
    consumed: list[tuple[str, float]] = []
    produced: list[tuple[str, float | str]] = []
    for name, change in changes.items():
        if name not in states:
            raise UnknownSymbolError(
                f"the reaction changes {name!r}, which is not a state",
                where=where,
                expected="states of the model",
                fix=suggestion(str(name), states),
            )
        if isinstance(change, str) or change >= 0:
            produced.append((name, change))
        else:
            consumed.append((name, -change))
    return Equation(tuple(consumed), tuple(produced))


def parse_equation(text: str, states: Collection[str], *, where: str) -> Equation:
    """Reads a reaction equation.

    A side is a sum of states with positive coefficients (``2 A``, ``2*A`` or ``0.5 A``), or nothing (empty or
    ``∅``).

    Args:
        text: The equation, with one ``->``.
        states: Names of the model's states.
        where: What the equation belongs to, for messages.

    Raises:
        FormulaError: The text is not an equation.
        UnknownSymbolError: A name in it is not a state.

    Example:
        >>> parse_equation("T + V -> I", ["T", "V", "I"], where="infection").net
        {'T': -1.0, 'V': -1.0, 'I': 1.0}
    """
    form = "an equation such as 'A + 2 B -> C', '-> A' or 'A ->'"
    if not isinstance(text, str):
        raise FormulaError(f"the equation is a {type(text).__name__}", where=where, expected=form)
    other = next((arrow for arrow in _OTHER_ARROWS if arrow in text), None)
    if other is not None:
        two_way = other in ("<->", "<=>", "<-->", "⇌")
        raise FormulaError(
            f"the equation {text!r} has the arrow {other!r}",
            where=where,
            expected=form,
            fix="write two reactions, one for each direction" if two_way else f"write {ARROW!r}",
        )
    sides = text.split(ARROW)
    if len(sides) != 2:
        raise FormulaError(f"the equation {text!r} has {len(sides) - 1} arrows", where=where, expected=form)
    equation = Equation(*(_side(side, text, states, where) for side in sides))
    if not equation.consumed and not equation.produced:
        raise FormulaError(f"the equation {text!r} has no state in it", where=where, expected=form)
    return equation


def _side(side: str, text: str, states: Collection[str], where: str) -> tuple[tuple[str, float], ...]:
    if side.strip() in NOTHING:
        return ()
    terms = []
    for term in side.split("+"):
        match = _TERM.fullmatch(term)
        if match is None:
            raise FormulaError(
                f"{term.strip()!r} in the equation {text!r} is not a state with a coefficient",
                where=where,
                expected="terms such as 'A' or '2 A', joined by '+'",
            )
        name = match["name"]
        if name not in states:
            raise UnknownSymbolError(
                f"the equation {text!r} names {name!r}, which is not a state",
                where=where,
                expected="states of the model",
                fix=suggestion(name, states),
            )
        coefficient = float(match["number"] or 1)
        if not 0 < coefficient < math.inf:
            raise FormulaError(
                f"the coefficient of {name!r} in {text!r} is {coefficient:g}",
                where=where,
                expected="a positive, finite number",
            )
        terms.append((name, coefficient))
    return tuple(terms)
