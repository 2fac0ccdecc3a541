"""Where a fast change comes to rest: the stable root of its speed, in closed form.

With ``x`` the amount that changes and everything else held, a fast subsystem follows ``dx/dtau = g(x)``. It ends at a
root where g falls through zero, and the slow system moves along that root (Tikhonov 1952; Segel and Slemrod 1989,
doi:10.1137/1031091). A root is only given where it is known to be that one, whatever the parameters' values are
as long as they keep their signs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import sympy as sp
from sympy.matrices.exceptions import NonInvertibleMatrixError

from twin.exchange.sbml.signs import Signs, signs_where
from twin.model.symbols import is_finite

_LARGEST = 1e60
"""Largest number in a fast rate law; exact algebra with much longer ones may take hours."""

_LARGEST_WHOLE = 2**53
"""Above this doubles do not hold every whole number, and fractions become doubles again."""

_MOST_CASES = 3
"""Most piecewise formulas within one rate law that are multiplied out into their cases."""


class NoEquilibriumError(Exception):
    """No equilibrium is known to be the one that is reached; the text says why."""


def stable_root(
    speed: sp.Expr, change: Callable[[sp.Expr], sp.Expr], unknown: sp.Symbol, signs: Signs, at_start: Start
) -> sp.Expr:
    """Formula of the amount at which the fast change comes to rest.

    Args:
        speed: dx/dtau in terms of species.
        change: Puts in the species in terms of `unknown`.
        unknown: x.
        signs: What is known about signs.
        at_start: Values at the start, and x then.

    Raises:
        NoEquilibriumError: It cannot be told or written.
    """
    if not is_finite(speed) or any(not 1 / _LARGEST < abs(item) < _LARGEST for item in speed.atoms(sp.Number) if item):
        raise NoEquilibriumError(f"its rate law has numbers that are not between 1/{_LARGEST:g} and {_LARGEST:g}")
    # Exact fractions instead of doubles, so that what cancels does so entirely.
    exact = speed.xreplace({item: sp.Rational(repr(float(item))) for item in speed.atoms(sp.Float)})
    cases = _cases(cast("sp.Expr", exact), change, unknown)
    roots, met = [], False
    known: dict[sp.Symbol, int] = {}
    for value, condition in cases:
        inside = signs.with_known({**known, **signs_where(condition)})
        polynomial = _polynomial(value, change, unknown, inside)
        root = _root(polynomial, unknown, inside)
        if not met and at_start.holds(condition):
            met = True
            _check_reached(polynomial, root, at_start)
        roots.append((root, condition))
        known |= signs_where(sp.Not(condition))
    if not met:
        raise NoEquilibriumError("which case of its rate law applies at the start cannot be told")
    result = roots[0][0] if len(roots) == 1 else cast("sp.Expr", sp.Piecewise(*roots))
    long = [item for item in result.atoms(sp.Rational) if max(abs(item.p), item.q) > _LARGEST_WHOLE]
    return cast("sp.Expr", result.xreplace({item: sp.Float(item) for item in long}))


class Start:
    """Values at the start.

    Args:
        value: Value of a formula; None if it has none.
        unknown: Value of the unknown.
    """

    def __init__(self, value: Callable[[sp.Expr], float | None], unknown: float) -> None:
        self.value, self.unknown = value, unknown

    def holds(self, condition: Any) -> bool:
        if condition in (sp.true, sp.false):
            return condition == sp.true
        return self.value(sp.Piecewise((1, condition), (0, True))) == 1.0


def linear_rest(
    speeds: Sequence[sp.Expr], change: Callable[[sp.Expr], sp.Expr], unknowns: Sequence[sp.Symbol], signs: Signs
) -> list[sp.Expr]:
    """Formulas of several amounts at which linked fast changes come to rest, all linear with constant coefficients.

    Raises:
        NoEquilibriumError: They are not, or do not come to rest.
    """
    changed = [sp.expand(change(speed)) for speed in speeds]
    slopes = sp.Matrix([[sp.diff(speed, unknown) for unknown in unknowns] for speed in changed])
    values = [signs.constant(entry) for entry in slopes]
    if any(value is None for value in values):
        raise NoEquilibriumError("it shares species with other fast ones and not all are linear with constant rates")
    matrix = np.asarray(values, dtype=np.float64).reshape(slopes.shape)
    # Rounding must not make something of an eigenvalue that is zero.
    if np.linalg.eigvals(matrix).real.max() >= -1e-9 * np.abs(matrix).max():
        raise NoEquilibriumError("its equilibrium is not stable")
    rest = sp.Matrix([-speed.xreplace(dict.fromkeys(unknowns, sp.Integer(0))) for speed in changed])
    try:
        return [sp.together(value) for value in slopes.LUsolve(rest)]
    except NonInvertibleMatrixError:
        raise NoEquilibriumError("its equilibrium is not the only one") from None


def _cases(speed: sp.Expr, change: Callable[[sp.Expr], sp.Expr], unknown: sp.Symbol) -> list[tuple[sp.Expr, Any]]:
    """The speed in the cases of its piecewise formulas."""
    inside = [node for node in speed.atoms(sp.Piecewise) if unknown in change(cast("sp.Expr", node)).free_symbols]
    if not inside:
        return [(speed, sp.true)]
    if len(inside) > _MOST_CASES:
        raise NoEquilibriumError("its rate law has too many cases")
    folded = sp.piecewise_fold(speed)
    if not isinstance(folded, sp.Piecewise):
        return [(cast("sp.Expr", folded), sp.true)]
    cases = [(value, condition) for value, condition in folded.args]  # pyright: ignore[reportGeneralTypeIssues]
    if any(unknown in change(condition).free_symbols for _, condition in cases):
        raise NoEquilibriumError("the cases of its rate law depend on what it changes")
    if cases[-1][1] != sp.true:
        raise NoEquilibriumError("its rate law has no value in some cases")
    return cases


def _polynomial(
    speed: sp.Expr, change: Callable[[sp.Expr], sp.Expr], unknown: sp.Symbol, signs: Signs
) -> list[sp.Expr]:
    """Coefficients, lowest first, of a polynomial with the speed's sign."""
    above, below = sp.fraction(sp.together(speed))
    more_above, more_below = sp.fraction(sp.together(change(above)))
    sign = signs.of(below)
    more = signs.of(more_below)
    if not sign or not more:
        raise NoEquilibriumError("the sign of a denominator in its rate law is not known")
    try:
        coefficients = sp.Poly(sign * more * more_above, unknown).all_coeffs()[::-1]
    except sp.PolynomialError:
        coefficients = [sp.sin(unknown)]
    if any(unknown in item.free_symbols for item in coefficients):
        raise NoEquilibriumError("its rate law is no quotient of polynomials in what it changes")
    return [sp.Integer(0) if item == 0 else item for item in coefficients]


def _root(polynomial: Sequence[sp.Expr], unknown: sp.Symbol, signs: Signs) -> sp.Expr:
    """The root where the polynomial falls through zero.

    With c + b x + a x^2 and b < 0 it is 2 c / (-b + sqrt(b^2 - 4 a c)): there the slope b + 2 a x is -sqrt(...), and
    nothing cancels.
    """
    if len(polynomial) < 2:
        raise NoEquilibriumError("its rate does not depend on what it changes")
    constant, slope = polynomial[:2]
    if signs.of(slope) != -1:
        raise NoEquilibriumError("it is not known that its rate falls as it proceeds")
    if constant == 0:
        return sp.Integer(0)
    if len(polynomial) == 2:
        return -constant / slope
    if len(polynomial) > 3:
        raise NoEquilibriumError("its equilibrium is the root of a cubic or more")
    square = sp.expand(slope**2 - 4 * polynomial[2] * constant)
    if square == 0 or all(power % 2 == 0 for _, power in sp.sqf_list(square)[1]):
        raise NoEquilibriumError("its equilibrium has a kink where two reactants are exhausted together")
    return 2 * constant / (-slope + sp.sqrt(square))


def _check_reached(polynomial: Sequence[sp.Expr], root: sp.Expr, start: Start) -> None:
    """Refuses an equilibrium that is not reached from where the model starts: another root lies between."""
    values = [start.value(item) for item in polynomial]
    end = start.value(root)
    if end is None or any(value is None for value in values):
        raise NoEquilibriumError("its equilibrium at the start cannot be computed from the values given")
    numbers = np.asarray(values, dtype=np.float64)
    falls = sum(power * value * end ** (power - 1) for power, value in enumerate(numbers) if power) < 0
    scale = max(abs(end), abs(start.unknown), 1e-300)
    roots = np.roots(np.trim_zeros(numbers[::-1], "f")) if np.any(numbers[1:]) else np.zeros(0)
    real = roots[np.abs(roots.imag) < 1e-9 * scale].real
    others = np.delete(real, np.argmin(np.abs(real - end))) if len(real) else real
    low, high = sorted((start.unknown, end))
    margin = 1e-9 * scale
    if not falls or np.any((others > low - margin) & (others < high + margin)):
        raise NoEquilibriumError("its equilibrium is not stable, or not reached from the initial values")
