"""A model's right-hand side as one Python function of (t, y, p), as someone would write it by hand for a solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from twin.compile.system import TIME
from twin.model.model import Model

from .task import EngineError


def right_hand_side(model: Model, modules: str) -> tuple[Callable[..., list[Any]], Callable[..., list[Any]]]:
    """dy/dt as a function of (t, y, p), and the initial states as a function of p, as lists.

    Args:
        model: A mechanism without events.
        modules: "numpy" or "jax".
    """
    if model.events:
        raise EngineError("the model has events; the solver knows none")
    y = [model.symbol(name) for name in model.state_names]
    p = [model.symbol(name) for name in model.parameter_names]
    field = [model.expand(formula) for formula in model.rhs]
    initial = [model.expand(formula) for formula in model.initial]
    return (
        sp.lambdify((TIME, y, p), field, modules=modules, cse=True),
        sp.lambdify((p,), initial, modules=modules, cse=True),
    )
