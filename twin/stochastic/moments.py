"""The linear noise approximation as models of differential equations, which our own solver integrates.

With hazards a, changes S and Jacobian J = d(S a)/dx, all at the mean,

    d mean / dt = S a,    d C / dt = J C + C J^T + S diag(a) S^T

(van Kampen, chapter X; Elf & Ehrenberg 2003). Where hazards are linear in the
states the moments are those of the jump process, exactly. From one reading to the next, a deviation d from the mean
goes to F d + N(0, Q), where d F / dt = J F begins with the identity and Q obeys the equation of C, beginning with zero.

References:
    van Kampen, Stochastic Processes in Physics and Chemistry (2007), chapter X. Elf & Ehrenberg (2003),
    doi:10.1101/gr.1196503.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement, product

import sympy as sp

from twin.model.derivative import derivatives
from twin.model.model import Model
from twin.model.parts import Parameter, State
from twin.model.printing import to_text
from twin.stochastic.jump_process import JumpProcess


def covariance_name(first: str, second: str) -> str:
    """State of the moment model for the covariance of two states, in the model's order."""
    return f"covariance__{first}__{second}"


def propagator_name(to: str, of: str) -> str:
    """State of the transition model for the deviation of one state that a unit deviation of another becomes."""
    return f"propagator__{to}__{of}"


def start_name(state: str) -> str:
    """Parameter of the transition model for the mean at its beginning."""
    return f"start__{state}"


@lru_cache(maxsize=32)
def moment_model(model: Model) -> Model:
    """Means and covariances from the model's initial state, which is known exactly.

    Raises:
        UnsupportedModelError: the model is no jump process.
    """
    drift, covariance = _covariance(model)
    states = [State(part.name, to_text(initial)) for part, initial in zip(model.states, model.initial, strict=True)]
    states += [State(name, 0.0, positive=False) for name in covariance]
    return _of_odes(model, "moments", states, (), drift | covariance)


@lru_cache(maxsize=32)
def transition_model(model: Model) -> Model:
    """Mean, propagator and covariance over an interval; parameters named by `start_name` are the mean at its beginning.

    Raises:
        UnsupportedModelError: the model is no jump process.
    """
    drift, covariance = _covariance(model)
    names, jacobian = model.state_names, _jacobian(model)
    states = [State(name, start_name(name)) for name in names]
    states += [State(propagator_name(i, j), float(i == j), positive=False) for i, j in product(names, names)]
    states += [State(name, 0.0, positive=False) for name in covariance]
    propagators = {
        propagator_name(i, j): sp.Add(
            *(jacobian[row, k] * sp.Symbol(propagator_name(names[k], j), real=True) for k in range(len(names)))
        )
        for (row, i), j in product(enumerate(names), names)
    }
    starts = tuple(Parameter(start_name(name), 1.0) for name in names)
    return _of_odes(model, "transition", states, starts, drift | propagators | covariance)


def _of_odes(model: Model, what: str, states: list[State], more: tuple[Parameter, ...], odes: dict) -> Model:
    parameters = [Parameter(part.name, part.value) for part in model.parameters]
    formulas = {name: to_text(formula) for name, formula in odes.items()}
    return Model(f"{model.name}_{what}", states, [*parameters, *more], odes=formulas, check_units=False)


def _jacobian(model: Model) -> sp.Matrix:
    symbols = [model.symbol(name) for name in model.state_names]
    return sp.Matrix([derivatives(formula, symbols) for formula in model.rhs])


def _covariance(model: Model) -> tuple[dict[str, sp.Expr], dict[str, sp.Expr]]:
    """Time derivatives of the means and of the covariances, by name."""
    process, names = JumpProcess(model), model.state_names
    jacobian, change = _jacobian(model), sp.zeros(len(names), len(process.hazards))
    for (state, reaction), coefficient in model.flux_coefficients.items():
        change[state, reaction] = coefficient

    def covariance(i: int, j: int) -> sp.Symbol:
        low, high = min(i, j), max(i, j)
        return sp.Symbol(covariance_name(names[low], names[high]), real=True)

    found = {}
    for i, j in combinations_with_replacement(range(len(names)), 2):
        terms = [change[i, r] * change[j, r] * hazard for r, hazard in enumerate(process.hazards)]
        terms += [jacobian[i, k] * covariance(k, j) for k in range(len(names))]
        terms += [jacobian[j, k] * covariance(i, k) for k in range(len(names))]
        found[covariance_name(names[i], names[j])] = sp.Add(*terms)
    return dict(zip(names, model.rhs, strict=True)), found
