"""Linear conservation laws: weighted sums of amounts that nothing in the model changes.

They follow from the stoichiometry alone: weights w with ``w' N = 0``, where the columns of N are reactions and the
terms of equations that stand alone. Laws that hold only for some parameters, or that are not linear, are not found.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import sympy as sp
from jaxtyping import Float
from sympy.polys.domains import QQ
from sympy.polys.matrices import DomainMatrix

from twin.model.model import Model

type Changes = dict[tuple[int, object], sp.Rational]
"""By (state, what changes it): how much it counts there."""


class ConservationLaws(NamedTuple):
    """``sum_i weights[law, i] * y_i / scales[i]`` does not change, whatever the parameters.

    Args:
        weights: In reduced form: the pivot of each law has weight 1 in it and 0 in the others.
        pivots: A state of each law.
        scales: What amounts are multiplied with to give states: 1, or one over the size of a compartment.
    """

    weights: Float[np.ndarray, "law state"]
    pivots: tuple[int, ...]
    scales: tuple[sp.Expr, ...]


def conservation_laws(model: Model) -> ConservationLaws:
    """All linear laws that follow from the stoichiometry of a model."""
    changes, scales = _changes(model)
    columns = {column: index for index, column in enumerate(dict.fromkeys(column for _, column in changes))}
    size = len(model.states)
    matrix = {}
    for (state, column), value in changes.items():
        matrix.setdefault(columns[column], {})[state] = QQ(value.p, value.q)
    laws = DomainMatrix(matrix, (len(columns), size), QQ).nullspace()
    reduced, pivots = laws.rref()
    weights = np.array(reduced.to_Matrix().tolist(), dtype=float).reshape(-1, size)
    return ConservationLaws(weights, tuple(pivots), scales)


def _changes(model: Model) -> tuple[Changes, tuple[sp.Expr, ...]]:
    """What changes each state and by how much, and by what its changes are all multiplied."""
    changes: Changes = {}
    scales: list[sp.Expr | None] = [None] * len(model.states)
    for (state, flux), coefficient in model.flux_coefficients.items():
        number, scale = cast("tuple[sp.Expr, sp.Expr]", coefficient.as_coeff_Mul())
        scales[state] = scales[state] or scale
        # Changes on another scale, as of a coefficient that is a formula, are a kind of their own: where they cancel,
        # they do so for some values only.
        column: object = flux if scale == scales[state] else (flux, scale)
        changes[state, column] = changes.get((state, column), sp.Rational(0)) + sp.Rational(number)
    for name, formula in model.ode_formulas.items():
        state = model.state_names.index(name)
        own = scales[state] not in (None, 1)
        for term, number in sp.expand(model.expand(formula)).as_coefficients_dict().items():
            column = (term, state) if own else term
            changes[state, column] = changes.get((state, column), sp.Rational(0)) + sp.Rational(number)
    for name in model.constraint_formulas:
        changes[model.state_names.index(name), name] = sp.Rational(1)
    return changes, tuple(sp.Integer(1) if scale is None else scale for scale in scales)
