"""How formulas of observables and noise depend on parameters: verified symbolically, never guessed from names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import sympy as sp

HIGHEST_DEGREE = 2
"""Of a noise scale in the inner entries: a noise scale times a prediction that is affine in a scaling."""

type Role = Literal["scaling", "offset", "noise"]


@dataclass(frozen=True)
class Dependence:
    """What a formula and its noise say of the parameters in them.

    Args:
        role: Role of each parameter, None where it is none of the three.
        conflicts: Pairs that are not affine together, as in ``s * (x + o)``; one of each can be inner.
        in_scale: Parameters of the noise scale.
        proportional: The parameter that the noise scale is proportional to, whatever the others are.
        unsuitable: Parameters of which the noise scale is no polynomial of degree two at most.
        degree: Degree of the noise scale in the others.
    """

    role: dict[sp.Symbol, Role | None]
    conflicts: tuple[tuple[sp.Symbol, sp.Symbol], ...]
    in_scale: frozenset[sp.Symbol]
    proportional: sp.Symbol | None
    unsuitable: tuple[sp.Symbol, ...]
    degree: float


def dependence(formula: sp.Expr, scale: sp.Expr, symbols: Sequence[sp.Symbol], *, logarithmic: bool) -> Dependence:
    """The roles of some parameters in an observable.

    With additive noise a parameter is a scaling or an offset where the formula is affine in it; with noise that is
    additive on the logarithm it is a scaling where the formula is proportional to a power of it.

    Args:
        formula: The observable.
        scale: The scale of its noise.
        symbols: The parameters.
        logarithmic: Whether the noise is additive on the logarithm.
    """
    inside = [symbol for symbol in symbols if formula.has(symbol)]
    in_scale = frozenset(symbol for symbol in symbols if scale.has(symbol))
    role: dict[sp.Symbol, Role | None] = dict.fromkeys(in_scale, "noise")
    if logarithmic:
        role |= {symbol: "scaling" if _is_power(formula, symbol) else None for symbol in inside}
        conflicts = ()
    else:
        role |= {symbol: _affine_role(formula, symbol, set(symbols)) for symbol in inside}
        affine = [symbol for symbol in inside if role[symbol] is not None]
        conflicts = tuple(pair for pair in combinations(affine, 2) if not _is_zero(sp.diff(formula, *pair)))
    of_noise = [symbol for symbol in in_scale if role[symbol] == "noise"]
    proportional = next((symbol for symbol in of_noise if _is_zero(sp.diff(scale / symbol, symbol))), None)
    # Of noise scales, not of scalings, the fit is better off with the scale left alone: first without them.
    mean = [symbol for symbol in in_scale if role[symbol] != "noise"]
    unsuitable = mean if mean and (logarithmic or _degree(scale, mean) > HIGHEST_DEGREE) else []
    suitable = [symbol for symbol in symbols if symbol in in_scale and symbol not in unsuitable]
    if _degree(scale, suitable) > HIGHEST_DEGREE:
        unsuitable += [symbol for symbol in of_noise if symbol in suitable]
        suitable = [symbol for symbol in suitable if symbol not in unsuitable]
    return Dependence(role, conflicts, in_scale, proportional, tuple(unsuitable), _degree(scale, suitable))


def _degree(expression: sp.Expr, symbols: Sequence[sp.Symbol]) -> float:
    """Total degree of a polynomial; infinite for what is none."""
    if not symbols:
        return 0
    if not expression.is_polynomial(*symbols):
        expression = sp.simplify(expression)
    return sp.Poly(expression, *symbols).total_degree() if expression.is_polynomial(*symbols) else math.inf


def _affine_role(formula: sp.Expr, symbol: sp.Symbol, parameters: set[sp.Symbol]) -> Role | None:
    slope = sp.diff(formula, symbol)
    if not _is_zero(sp.diff(slope, symbol)):
        return None
    return "scaling" if sp.simplify(slope).free_symbols - parameters else "offset"


def _is_power(formula: sp.Expr, symbol: sp.Symbol) -> bool:
    """Whether d ln f / d ln p is a number."""
    elasticity = sp.simplify(symbol * sp.diff(formula, symbol) / formula)
    return bool(elasticity.is_number and elasticity.is_finite and not elasticity.is_zero)


def _is_zero(expression: sp.Expr) -> bool:
    return expression == 0 or sp.simplify(expression) == 0
