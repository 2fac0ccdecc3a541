"""Do the units of a model fit together? Checks every sum, rate, equation, function argument and condition.

Rules:

- A number in a formula is dimensionless; zero fits anything.
- What is added, compared or chosen between must have one unit, factor included: ``ml`` and ``l`` in one sum
  are a fault, because the simulation sees bare numbers.
- A logarithm reads the number in the declared unit and is dimensionless: ``log10(V)`` with V in copies/ml is
  what laboratories report. ``sign`` is dimensionless too; ``abs``, ``floor`` and ``ceil`` keep the unit.
  Other functions take and give dimensionless numbers.
- In ``x^n`` the exponent is dimensionless. If it is not a number, x may still have a unit: then ``K^n + x^n``
  fits and ``K^n + x`` does not, whatever the value of n.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.core.relational import Relational

from twin.errors import UnitError
from twin.model.parts import Assignment, Reaction
from twin.model.printing import to_text
from twin.model.symbols import TIME
from twin.units import DIMENSIONLESS, Scale, scale

if TYPE_CHECKING:
    from twin.model.model import Model

_ONE = Scale()
_KEEP_UNIT = (sp.Abs, sp.floor, sp.ceiling)
_FORGET_UNIT = (sp.log, sp.sign, sp.Heaviside)


def check(model: Model) -> None:
    """Checks that all units of a model are known and fit.

    Raises:
        UnitError: A unit that is unknown, or a term whose unit is not the one its place needs. The message
            names the part of the model, the term, its unit and the unit expected.
    """
    units = declared(model)
    if all(unit is None or unit.is_one for unit in units.values()):
        return
    rules = _Rules(model, units)
    for part in model.assignments:
        if part.unit is not None:
            place = f"assignment {part.name!r}"
            rules.fits(model.definitions[part.name], units[part.name], place, "its declared unit")
        else:
            rules.of_name(part.name)
    _check_reactions(model, rules)
    time = units[TIME.name] or _ONE
    for name, expression in model.ode_formulas.items():
        place = f"equation of {name!r}"
        rules.fits(expression, (units[name] or _ONE) / time, place, f"the unit of {name!r} per time unit")
    for part in model.states:
        if isinstance(part.initial, str):
            expression = model.formula(part.initial)
            rules.fits(expression, units[part.name], f"initial value of {part.name!r}", "the state's unit")
    for part in model.inputs:
        for value in part.values:
            if isinstance(value, str):
                rules.fits(model.formula(value), units[part.name], f"input {part.name!r}", "the input's unit")
    for part in model.observables:
        expression = model.observable_formulas[part.name]
        rules.fits(expression, units[part.name], f"observable {part.name!r}", "its declared unit")
    for name, expression in model.constraint_formulas.items():
        rules.of(expression, f"constraint of {name!r}")
    for part, formulas in zip(model.events, model.event_formulas, strict=True):
        place = f"event {part.name!r}"
        rules.condition(formulas.trigger, place)
        rules.fits(formulas.delay, time, place, "the time unit")
        for name, value in formulas.assignments.items():
            rules.fits(value, units[name], place, f"the unit of {name!r}")
    for part in model.conserved:
        rules.of(model.formula(part.formula), f"conserved {part.name!r}")


def declared(model: Model) -> dict[str, Scale | None]:
    """Unit of every part and of ``time``; None for what follows from a formula.

    Raises:
        UnitError: A unit is unknown.
    """
    where = f"model {model.name!r}"
    units: dict[str, Scale | None] = {TIME.name: scale(model.time_unit, where=f"{where}, time_unit")}
    for name, part in model.parts.items():
        text = None if isinstance(part, Reaction) else part.unit
        place = f"{where}, {type(part).__name__.lower()} {name!r}"
        units[name] = None if text is None else scale(text, where=place)
    return units


def unit_text(model: Model, name: str) -> str:
    """Unit of a part: as declared, or as it follows from the formula of an assignment or reaction.

    Raises:
        UnitError: It has to be worked out, and the units do not fit.
    """
    part = model.parts[name]
    if not isinstance(part, (Reaction, Assignment)):
        return part.unit
    if isinstance(part, Assignment) and part.unit is not None:
        return part.unit
    result = _Rules(model, declared(model)).of_name(name)
    return DIMENSIONLESS if result is None else str(result)


def _check_reactions(model: Model, rules: _Rules) -> None:
    time = rules.units[TIME.name] or _ONE
    for part, equation in zip(model.reactions, model.equations, strict=True):
        place = f"reaction {part.name!r}"
        # A coefficient that is a formula may carry a conversion of units.
        changing = [name for name, change in equation.net.items() if change and not isinstance(change, str)]
        if not changing:
            rules.of_name(part.name)
            continue
        first, *others = changing
        unit = rules.of_amount(first)
        for other in others:
            if not unit.matches(rules.of_amount(other)):
                raise UnitError(
                    f"it turns {first!r} [{unit}] into or together with {other!r} [{rules.of_amount(other)}]",
                    where=f"model {model.name!r}, {place}",
                    expected="states of one unit in a reaction, since all change by the same flux",
                    fix="give each its own reaction or ODE",
                )
        rate_place = f"rate of reaction {part.name!r}"
        rules.fits(model.definitions[part.name], unit / time, rate_place, f"the unit of {first!r} per time unit")


class _Rules:
    """Works out the units of expressions. A result of None stands for zero, which fits any unit."""

    def __init__(self, model: Model, units: dict[str, Scale | None]) -> None:
        self.model = model
        self.units = units
        self.generic: dict[sp.Basic, float] = {}

    def of_name(self, name: str) -> Scale | None:
        """Unit of a part; the first time, that of an undeclared one is worked out from what it depends on."""
        if self.units[name] is not None:
            return self.units[name]
        for earlier in self.model.computation_order:
            if self.units[earlier] is None:
                kind = type(self.model.parts[earlier]).__name__.lower()
                found = self.of(self.model.definitions[earlier], f"{kind} {earlier!r}")
                # A quantity that is zero throughout counts as dimensionless from here on.
                self.units[earlier] = _ONE if found is None else found
            if earlier == name:
                break
        return self.units[name]

    def of_amount(self, state: str) -> Scale:
        """Unit of what reactions change: of the state, or of the state times the size it is a concentration in."""
        size = self.model.parts[state].compartment  # type: ignore[union-attr]
        unit = self.units[state] or _ONE
        return unit if size is None else unit * (self.of_name(size) or _ONE)

    def fits(self, expression: sp.Expr, wanted: Scale | None, place: str, why: str) -> None:
        """Refuses an expression that is not in the unit wanted."""
        wanted = wanted or _ONE
        if isinstance(expression, sp.Add):
            # Each term on its own, so that the message names the one that is wrong.
            for term in _in_order(expression.args):
                self._expect(term, wanted, place, why, expression)
        else:
            self._expect(expression, wanted, place, why, expression)

    def _expect(self, term: sp.Expr, wanted: Scale, place: str, why: str, whole: sp.Expr) -> None:
        found = self.of(term, place)
        if found is None or found.matches(wanted):
            return
        inside = "" if term == whole else f" in {_short(whole)}"
        raise UnitError(
            f"{_short(term)}{inside} has the unit {found}{_factor(found, wanted)}",
            where=f"model {self.model.name!r}, {place}",
            expected=f"{wanted} ({why}){self._note()}",
            fix="correct a unit, or multiply by a parameter that carries the conversion",
        )

    def of(self, expression: sp.Basic, place: str) -> Scale | None:
        """Unit of an expression, or None for zero."""
        if isinstance(expression, sp.Symbol):
            return self.of_name(expression.name) if expression.name in self.units else _ONE
        if expression.is_number:
            return None if expression.is_zero else _ONE
        if isinstance(expression, sp.Mul):
            return self._of_product(expression, place)
        if isinstance(expression, sp.Pow):
            return self._of_power(expression, place)
        if isinstance(expression, (sp.Add, sp.Min, sp.Max)):
            return self._common(_in_order(expression.args), expression, place)
        if isinstance(expression, sp.Piecewise):
            for branch in expression.args:
                self.condition(branch.args[1], place)
            return self._common([branch.args[0] for branch in expression.args], expression, place)
        if isinstance(expression, _KEEP_UNIT):
            return self.of(expression.args[0], place)
        if isinstance(expression, _FORGET_UNIT):
            self.of(expression.args[0], place)
            return _ONE
        for argument in expression.args:
            self._need_dimensionless(argument, expression, "the argument", place)
        return _ONE

    def _of_product(self, expression: sp.Mul, place: str) -> Scale:
        result = _ONE
        for factor in expression.args:
            result = result * (self.of(factor, place) or _ONE)
        return result

    def _of_power(self, expression: sp.Pow, place: str) -> Scale:
        base, exponent = expression.args
        self._need_dimensionless(exponent, expression, "the exponent", place)
        unit = self.of(base, place)
        if unit is None or unit.is_one:
            return _ONE
        if exponent.is_number:
            return unit ** float(exponent)
        return unit ** self._generic_value(exponent)

    def _generic_value(self, exponent: sp.Expr) -> float:
        # With a random number in place of each symbol, two exponents agree only if they agree identically.
        for item in sorted(exponent.free_symbols, key=str):
            self.generic.setdefault(item, random.Random(str(item)).uniform(1.1, 2.9))
        return float(sp.N(exponent.xreplace({item: sp.Float(self.generic[item]) for item in exponent.free_symbols})))

    def _note(self) -> str:
        names = ", ".join(str(item) for item in self.generic)
        return f"; a random number stands for the exponent {names}" if names else ""

    def _need_dimensionless(self, argument: sp.Basic, whole: sp.Basic, what: str, place: str) -> None:
        found = self.of(argument, place)
        if found is None or found.is_one:
            return
        raise UnitError(
            f"{what} {_short(argument)} of {_short(whole)} has the unit {found}{_factor(found, _ONE)}",
            where=f"model {self.model.name!r}, {place}",
            expected="a dimensionless quantity",
            fix="divide it by a parameter that carries the unit",
        )

    def _common(self, terms: Sequence[sp.Basic], whole: sp.Basic, place: str) -> Scale | None:
        """The one unit of several terms."""
        first: tuple[sp.Basic, Scale] | None = None
        for term in terms:
            found = self.of(term, place)
            if found is None:
                continue
            if first is None:
                first = term, found
            elif not found.matches(first[1]):
                raise UnitError(
                    f"{_short(term)} has the unit {found} beside {_short(first[0])} with {first[1]}, in "
                    f"{_short(whole)}{_factor(found, first[1])}",
                    where=f"model {self.model.name!r}, {place}",
                    expected=f"one unit for all that is added, compared or chosen between{self._note()}",
                    fix="correct a unit, or multiply by a parameter that carries the conversion",
                )
        return first[1] if first else None

    def condition(self, condition: sp.Basic, place: str) -> None:
        """Refuses comparisons of different units."""
        if isinstance(condition, Relational):
            self._common([condition.lhs, condition.rhs], condition, place)
            return
        for argument in condition.args:
            self.condition(argument, place)


def _in_order(terms: Iterable[sp.Basic]) -> list[Any]:
    # sympy's own order of arguments changes from one process to the next; messages should not. Terms with
    # symbols come first, so that a bare number is reported as the odd one out.
    return sorted(terms, key=lambda term: (bool(term.is_number), sp.default_sort_key(term)))


def _factor(found: Scale, wanted: Scale) -> str:
    factor = found.factor_to(wanted)
    return "" if factor is None else f", {factor:.6g} times the unit {wanted}"


def _short(expression: sp.Basic) -> str:
    text = to_text(expression)
    return repr(text if len(text) <= 60 else text[:57] + "...")
