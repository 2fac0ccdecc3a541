"""The events of a model as functions of arrays: conditions, their roots, delays, priorities, new values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Bool, Float
from sympy.core.relational import Relational

from twin.compile.evaluate import Env, compile_expressions
from twin.compile.switches import jumps, switch_times
from twin.model.model import Model

NO_PRIORITY = -1e30
"""Below every priority that an author would give; float32 has it, too."""

_SLOTS, _SLOTS_WITH_DELAY = 2, 8
"""How many executions of one event may be waiting at once; without a delay only cascades can make it two."""

type Lanes = Float[Array, " lane"]


class EventProgram:
    """Events compiled to JAX; every function takes an environment of lanes (see `System.environment`).

    Args:
        model: The mechanism.
        expand: Puts everything in that formulas of the model are defined by.
        locked: Comparisons of the vector field that are to be located like those of conditions.
        frozen: Time and all parameters.

    Attributes:
        names: Names of the events.
        targets: For every event, the positions of the states that it sets.
        slots: Most executions of one event that may be waiting.
        persistent: Whether each event stays due when its condition becomes false.
        initially: Value of each condition before the start.
        from_trigger_time: Whether each event's values are those of the moment of the trigger.
        edges: Formulas of parameters for the times at which conditions on time alone change.
        draws_lots: Whether events may have equal priorities, so that chance decides (SBML L3V2, 4.11.6).
        roots_count: Number of expressions at whose sign changes a condition may change.
    """

    def __init__(
        self,
        model: Model,
        expand: Callable[[sp.Expr], sp.Expr],
        locked: Sequence[sp.Basic],
        frozen: frozenset[sp.Symbol],
    ) -> None:
        self.names = model.event_names
        formulas = model.event_formulas
        row = {name: index for index, name in enumerate(model.state_names)}
        self.targets = tuple(tuple(row[name] for name in each.assignments) for each in formulas)
        self.width = max(map(len, self.targets), default=0)
        triggers = [sp.Piecewise((1, expand(each.trigger)), (0, True)) for each in formulas]
        delays = [expand(each.delay) for each in formulas]
        self.slots = _SLOTS if all(delay == 0 for delay in delays) else _SLOTS_WITH_DELAY
        self.persistent = np.array([part.persistent for part in model.events], dtype=bool)
        self.initially = np.array([part.initially for part in model.events], dtype=bool)
        self.from_trigger_time = np.array([part.from_trigger_time for part in model.events], dtype=bool)
        self.edges = switch_times(triggers, frozen)
        compared = [*_comparisons(triggers, exclude=locked), *locked]
        self.comparisons_count = len(compared)
        comparisons = [sp.Piecewise((1, each), (0, True)) for each in compared]
        self.draws_lots = sum(each.priority is not None for each in formulas) > 1
        roots = list(dict.fromkeys(root for each in comparisons for root in jumps(each) if _moves(root)))
        self.roots_count = len(roots)
        priorities = [sp.Float(NO_PRIORITY) if each.priority is None else expand(each.priority) for each in formulas]
        values = [[expand(value) for value in each.assignments.values()] for each in formulas]
        padded = [value for each in values for value in (*each, *[sp.Integer(0)] * (self.width - len(each)))]
        nothing: frozenset[sp.Symbol] = frozenset()  # conditions on time hold now, not in the middle of a segment
        self._triggers, self._comparisons, self._roots, self._delays, self._priorities, self._values = (
            compile_expressions(group, nothing) for group in (triggers, comparisons, roots, delays, priorities, padded)
        )

    @property
    def count(self) -> int:
        return len(self.names)

    def triggers(self, env: Env, like: Lanes) -> Bool[Array, "event lane"]:
        """Whether each condition holds."""
        return _rows(self._triggers, env, like) > 0.5

    def comparisons(self, env: Env, like: Lanes) -> Bool[Array, "comparison lane"]:
        """Whether each comparison holds that conditions are made of."""
        return _rows(self._comparisons, env, like) > 0.5

    def roots(self, env: Env, like: Lanes) -> Float[Array, "root lane"]:
        """Expressions at whose sign changes a condition may change."""
        return _rows(self._roots, env, like)

    def delays(self, env: Env, like: Lanes) -> Float[Array, "event lane"]:
        """Time between trigger and execution, if triggered now."""
        return jnp.maximum(_rows(self._delays, env, like), 0.0)

    def priorities(self, env: Env, like: Lanes) -> Float[Array, "event lane"]:
        """Order among events that are due."""
        return _rows(self._priorities, env, like)

    def values(self, env: Env, like: Lanes) -> Float[Array, "event target lane"]:
        """What each event sets its targets to, computed now; padded with 0 to the longest event."""
        return _rows(self._values, env, like).reshape(self.count, self.width, *like.shape)


def _comparisons(triggers: Sequence[sp.Expr], exclude: Sequence[sp.Basic]) -> list[sp.Basic]:
    """The comparisons in some conditions, each once, in an order that does not change between processes."""
    found = {atom for trigger in triggers for atom in trigger.atoms(Relational) if atom.free_symbols}
    return sorted(found - set(exclude), key=sp.default_sort_key)


def _moves(root: sp.Expr) -> bool:
    """False for what only jumps, such as the truth value of another comparison: that one has the root."""
    flat = root.replace(lambda node: isinstance(node, sp.Piecewise) and _is_constant(node), lambda node: sp.Integer(0))
    return bool(flat.free_symbols)


def _is_constant(node: sp.Basic) -> bool:
    return not any(branch.args[0].free_symbols for branch in node.args)


def _rows(evaluate: Callable[[Env, Env], Sequence[Array]], env: Env, like: Lanes) -> Float[Array, "row lane"]:
    values = evaluate(env, env)
    if not values:
        return jnp.zeros((0, *like.shape), like.dtype)
    return jnp.stack([jnp.broadcast_to(jnp.asarray(value, like.dtype), like.shape) for value in values])
