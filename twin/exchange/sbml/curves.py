"""Inputs given by points, as formulas of time: SBML has no tables."""

from __future__ import annotations

from typing import cast

import numpy as np
import sympy as sp

from twin.model.model import Model
from twin.model.parts import Input
from twin.model.symbols import TIME, number


def curve(model: Model, given: Input) -> sp.Expr:
    """An input as a piecewise polynomial of time, constant beyond both ends.

    Args:
        model: The model that the input belongs to.
        given: The input; its values may be formulas of parameters.
    """
    knots = np.asarray(given.times, dtype=np.float64)
    values = model.input_values[given.name]
    pieces: list[tuple[sp.Expr, sp.Basic]] = [(values[0], sp.Lt(TIME, number(float(knots[0]))))]
    basis = _basis(knots, given.interpolation)
    for interval, (start, end) in enumerate(zip(knots[:-1], knots[1:], strict=True)):
        offset = TIME - number(float(start))
        polynomial: sp.Expr = sp.Integer(0)
        for weights in basis[::-1, interval]:
            polynomial = polynomial * offset + _weighted(weights, values)
        pieces.append((polynomial, sp.Le(TIME, number(float(end)))))
    return cast("sp.Expr", sp.Piecewise(*pieces, (values[-1], sp.true)))


def _basis(knots: np.ndarray, interpolation: str) -> np.ndarray:
    """Coefficient of ``(t - knot)^power`` that each value contributes: axes power, interval, value."""
    identity = np.eye(len(knots))
    if interpolation == "linear" or len(knots) < 3:
        return np.stack([identity[:-1], np.diff(identity, axis=0) / np.diff(knots)[:, None]])
    from scipy.interpolate import CubicSpline  # not imported for models without curves

    return CubicSpline(knots, identity, axis=0, bc_type="natural").c[::-1]


def _weighted(weights: np.ndarray, values: tuple[sp.Expr, ...]) -> sp.Expr:
    if all(value.is_number for value in values):
        return number(float(np.dot(weights, [float(value) for value in values])))
    terms = [number(float(weight)) * value for weight, value in zip(weights, values, strict=True) if weight]
    return sp.Add(*terms)
