"""The linear noise approximation as models of differential equations, which our own solver integrates.

With hazards a, changes S and Jacobian J = d(S a)/dx, all at the mean,

    d mean / dt = S a,    d C / dt = J C + C J^T + S diag(a) S^T

(van Kampen, chapter X; Elf & Ehrenberg 2003). Where hazards are linear in the
states the moments are those of the jump process, exactly. From one reading to the next, a deviation d from the mean
goes to F d + N(0, Q), where d F / dt = J F begins with the identity and Q obeys the equation of C, beginning with zero.

Where not reactions but unknown influences make a course scatter, S diag(a) S^T gives way to diag((s x)^2): every state
gets noise in proportion to itself, of the size s.

References:
    van Kampen, Stochastic Processes in Physics and Chemistry (2007), chapter X. Elf & Ehrenberg (2003),
    doi:10.1101/gr.1196503.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations_with_replacement, product

import sympy as sp

from twin.errors import UnsupportedModelError, suggestion
from twin.model.derivative import derivatives
from twin.model.model import Model
from twin.model.parts import Parameter, State
from twin.model.printing import to_text
from twin.model.symbols import TIME
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
    covariance = _covariance(model, _of_reactions(model))
    drift = dict(zip(model.state_names, model.rhs, strict=True))
    states = [State(part.name, to_text(initial)) for part, initial in zip(model.states, model.initial, strict=True)]
    states += [State(name, 0.0, positive=False) for name in covariance]
    return _of_odes(model, "moments", states, (), drift | covariance)


@lru_cache(maxsize=32)
def transition_model(model: Model, sizes: tuple[tuple[str, str], ...] | None = None) -> Model:
    """Mean, propagator and covariance over an interval; parameters named by `start_name` are the mean at its beginning.

    Args:
        model: The mechanism.
        sizes: States that scatter in proportion to themselves, each with the parameter that is the size of its noise
            [time^(-1/2)]; default: reactions happen by chance.

    Raises:
        UnsupportedModelError: the model is no jump process; or, with `sizes`, it is more than differential equations
            that do not depend on time, or has no such state.
    """
    noise = _of_reactions(model) if sizes is None else _of_states(model, sizes)
    covariance, drift = _covariance(model, noise), dict(zip(model.state_names, model.rhs, strict=True))
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


def _of_reactions(model: Model) -> sp.Matrix:
    """S diag(a) S^T."""
    process = JumpProcess(model)
    change = sp.zeros(len(model.state_names), len(process.hazards))
    for (state, reaction), coefficient in model.flux_coefficients.items():
        change[state, reaction] = coefficient
    return change * sp.diag(*process.hazards) * change.T


def _of_states(model: Model, sizes: Sequence[tuple[str, str]]) -> sp.Matrix:
    """diag((s x)^2)."""
    where = f"model {model.name!r} with noise in its states"
    parts = {
        "constraints": tuple(model.constraints),
        "events": tuple(event.name for event in model.events),
        "delays": tuple(model.histories),
    }
    for what, found in parts.items():
        if found:
            raise UnsupportedModelError(
                f"it has {what}: {', '.join(found)}", where=where, expected="differential equations alone"
            )
    moving = {model.symbol(name) for name in model.input_names} | {TIME}
    for name, rate in zip(model.state_names, model.rhs, strict=True):
        if rate.free_symbols & moving:
            raise UnsupportedModelError(
                f"the rate of {name!r} depends on time", where=where, expected="rates of states and parameters"
            )
    noise = sp.zeros(len(model.state_names))
    for state, size in sizes:
        if state not in model.state_names:
            raise UnsupportedModelError(
                f"it has no state {state!r}", where=where, fix=suggestion(state, model.state_names)
            )
        row = model.state_names.index(state)
        noise[row, row] = (model.symbol(size) * model.symbol(state)) ** 2
    return noise


def _covariance(model: Model, noise: sp.Matrix) -> dict[str, sp.Expr]:
    """Time derivatives of the covariances, by name."""
    names, jacobian = model.state_names, _jacobian(model)

    def covariance(i: int, j: int) -> sp.Symbol:
        low, high = min(i, j), max(i, j)
        return sp.Symbol(covariance_name(names[low], names[high]), real=True)

    found = {}
    for i, j in combinations_with_replacement(range(len(names)), 2):
        terms = [noise[i, j]]
        terms += [jacobian[i, k] * covariance(k, j) for k in range(len(names))]
        terms += [jacobian[j, k] * covariance(i, k) for k in range(len(names))]
        found[covariance_name(names[i], names[j])] = sp.Add(*terms)
    return found
