"""Numbers for the formulas of a model at one moment, without compiling it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy

from twin.model.model import Model


def values_at(model: Model, states: Sequence[str], t: float, y: np.ndarray, p: Mapping[str, float]) -> dict[Any, Any]:
    """Numbers for every symbol of the model at one moment."""
    values: dict[Any, Any] = {model.symbol(name): value for name, value in (model.default_parameters | dict(p)).items()}
    values |= {model.symbol(name): value for name, value in zip(states, y, strict=True)}
    values[sympy.Symbol("time", real=True)] = t
    for given in model.inputs:
        values[model.symbol(given.name)] = np.interp(t, given.times, np.array(given.values, dtype=float))
    return values


def evaluate(expression: sympy.Expr, values: Mapping[Any, Any]) -> float:
    symbols = sorted(expression.free_symbols, key=str)
    return float(sympy.lambdify(symbols, expression, "numpy")(*(values[symbol] for symbol in symbols)))
