"""Experiments made ready for integration: segments without jumps, and what happens where they meet.

Given parameters, the actions of several experiments yield a `Schedule`: for every lane the borders of its segments,
the parameters and constant inflows in each segment, and the jump of the states where a segment begins. All of it is
differentiable in the parameters, the times included.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import sympy as sp
from jax import lax
from jaxtyping import Array, Float, Int

from twin.compile.system import System
from twin.experiment.actions import Actions, Column

SETTLING = 1e6
"""Longest run to the steady state that a sample at infinity asks for, in the model's time unit."""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["borders", "params", "inflow", "keep", "add", "by_formula", "initial", "clock", "origin"],
    meta_fields=["formulas", "equilibrates", "settles"],
)
@dataclass(frozen=True)
class Schedule:
    """What the integrator needs to know of each lane; the last axis is the lane.

    The axis ``segment`` of `params`, `inflow`, `keep`, `add` and `by_formula` has length 1 where nothing depends on it.

    Args:
        borders: Ends of the segments, ascending.
        params: Parameters in each segment.
        inflow: Constant inflow into each state during each segment.
        keep: Factor (0 or 1) on the states where a segment begins.
        add: What is then added to them.
        by_formula: 1 where a state is set to a formula of states, before `keep` and `add`.
        initial: States before the first segment's jump.
        clock: 1 where time runs; 0 in a segment that runs to steady state at a standing clock.
        origin: Time that a standing clock shows.
        formulas: Position of a state and the formula it may be set to.
        equilibrates: Whether any lane runs to steady state in the first segment.
        settles: Whether any does in the last one.
    """

    borders: Float[Array, "segment+1 lane"]
    params: Float[Array, "segment parameter lane"]
    inflow: Float[Array, "segment state lane"]
    keep: Float[Array, "segment state lane"]
    add: Float[Array, "segment state lane"]
    by_formula: Float[Array, "segment formula lane"]
    initial: Float[Array, "state lane"]
    clock: Float[Array, "segment lane"]
    origin: Float[Array, "segment lane"]
    formulas: tuple[tuple[int, sp.Expr], ...] = ()
    equilibrates: bool = False
    settles: bool = False

    @property
    def segments(self) -> int:
        return self.borders.shape[0] - 1

    @property
    def lanes(self) -> int:
        return self.borders.shape[1]

    def take(self, lanes: Int[Array, " lane"]) -> Schedule:
        """The schedule of some lanes."""
        return jax.tree.map(lambda x: x[..., lanes], self)

    def replace(self, **fields: Array) -> Schedule:
        """The schedule with other arrays."""
        return dataclasses.replace(self, **fields)


def make_schedule(system: System, actions: Actions, p: Float[Array, "parameter experiment draw"]) -> Schedule:
    """The schedule of every experiment and draw, lanes ordered experiment by experiment.

    Args:
        system: The compiled model.
        actions: What `collect_actions` made of the experiments.
        p: Model parameters of each experiment and draw, in the system's units.
    """
    p = jnp.asarray(p)
    base = _override(system, p, actions.parameters, system.parameters, _Values(system, p))
    values = _Values(system, base)
    borders = _borders(system, actions, values)
    middle = 0.5 * (borders[1:] + borders[:-1])
    params = _params(system, actions, values, middle, base)
    keep, add, by_formula = _jumps(system, actions, values, borders)
    clock = jnp.ones_like(middle)
    origin = jnp.broadcast_to(actions.t0[:, None], middle.shape)
    if actions.any_equilibrates:
        clock = clock.at[0].set(jnp.where(actions.equilibrates[:, None], 0.0, 1.0))
    if actions.any_settles:
        clock = clock.at[-1].set(jnp.where(actions.settles[:, None], 0.0, 1.0))
        origin = origin.at[-1].set(actions.t1[:, None])
    shape = p.shape[1:]

    def flat(x: Array) -> Array:
        return x.reshape(*x.shape[:-2], shape[0] * shape[1])

    initial = system.initial(flat(params[0])).reshape(len(system.states), *shape)
    if not actions.any_equilibrates:
        initial = _override(system, initial, actions.initial, system.states, values)
    initial = _override(system, initial, actions.before, system.states, values)
    return Schedule(
        borders=flat(borders),
        params=flat(params),
        inflow=flat(_inflow(system, actions, values, middle)),
        keep=flat(keep),
        add=flat(add),
        by_formula=flat(by_formula),
        initial=flat(initial),
        clock=flat(clock),
        origin=flat(origin),
        formulas=tuple((system.states.index(each.target), each.formula) for each in actions.formula_resets),
        equilibrates=actions.any_equilibrates,
        settles=actions.any_settles,
    )


def _override(system: System, base: Array, columns: Sequence[Column], names: Sequence[str], values: _Values) -> Array:
    """`base` with the rows named by `columns` replaced."""
    for column in columns:
        row = names.index(column.target)
        base = base.at[row].set(jnp.where(column.present[:, None], values(column), base[row]))
    return base


def _borders(system: System, actions: Actions, values: _Values) -> Float[Array, "segment+1 experiment draw"]:
    t0, t1 = actions.t0[:, None], actions.t1[:, None]
    shape = (1, *values.shape)
    fixed = jnp.broadcast_to(actions.times[..., None], (*actions.times.shape, values.shape[1]))
    moving = [values(column)[None] for column in actions.moving_times]
    moving += [time[None] for switch in system.switches for time in _switch_times(system, actions, values, switch)]
    inner = jnp.clip(jnp.concatenate([fixed, *moving]), t0, t1)
    if moving:
        inner = jnp.sort(inner, axis=0)
    ends = [jnp.broadcast_to(t0, shape), inner, jnp.broadcast_to(t1, shape)]
    if actions.any_equilibrates:
        ends.insert(0, jnp.broadcast_to(t0 - actions.horizon[:, None], shape))
    if actions.any_settles:
        ends.append(jnp.broadcast_to(t1 + jnp.where(actions.settles, SETTLING, 0.0)[:, None], shape))
    return jnp.concatenate(ends)


def _switch_times(system: System, actions: Actions, values: _Values, switch: sp.Expr) -> list[Array]:
    """The time of a switch, and those under every value that changes give to the parameters it depends on."""
    names = {symbol.name for symbol in switch.free_symbols}
    changed: dict[str, list[Array]] = {}
    for change in actions.changes:
        name = change.value.target
        if name in names:
            base = values.by_name[name]
            options = changed.setdefault(name, [base])
            options.append(jnp.where(change.value.present[:, None], values(change.value), base))
    return [
        values.formula(switch, dict(zip(changed, combination, strict=True)))
        for combination in itertools.product(*changed.values())
    ]


def _params(system: System, actions: Actions, values: _Values, middle: Array, base: Array) -> Array:
    if not actions.changes and not actions.any_equilibrates:
        return base[None]
    params = jnp.broadcast_to(base, (middle.shape[0], *base.shape))
    for change in actions.changes:
        row = system.parameters.index(change.value.target)
        # A segment of length zero at the stop has its middle there: the change is over.
        active = (middle >= values(change.start)) & (middle < values(change.stop))
        active &= change.value.present[:, None]
        params = params.at[:, row].set(jnp.where(active, values(change.value), params[:, row]))
    if actions.any_equilibrates:
        before = _override(system, base, actions.equilibration, system.parameters, values)
        params = params.at[0].set(jnp.where(actions.equilibrates[:, None], before, params[0]))
    return params


def _inflow(system: System, actions: Actions, values: _Values, middle: Array) -> Array:
    states = len(system.states)
    if not actions.infusions:
        return jnp.zeros((1, states, *values.shape))
    inflow = jnp.zeros((middle.shape[0], states, *values.shape))
    for infusion in actions.infusions:
        row = system.states.index(infusion.value.target)
        start, duration = values(infusion.start), values(infusion.stop)
        present = infusion.value.present[:, None]
        active = present & (middle >= start) & (middle < start + duration)
        rate = values(infusion.value) / jnp.where(present, duration, 1.0)
        inflow = inflow.at[:, row].add(jnp.where(active, rate, 0.0))
    return inflow


def _jumps(system: System, actions: Actions, values: _Values, borders: Array) -> tuple[Array, Array, Array]:
    """What resets and boluses do at the first border that is not earlier than their time."""
    states, first = len(system.states), int(actions.any_equilibrates)
    if not (actions.boluses or actions.resets or actions.formula_resets or first):
        shape = (1, states, *values.shape)
        return jnp.ones(shape), jnp.zeros(shape), jnp.zeros((1, 0, *values.shape))
    starts = borders[first:-1]
    keep = jnp.ones((borders.shape[0] - 1, states, *values.shape))
    add = jnp.zeros_like(keep)
    if first:
        for column in actions.initial:
            row, here = system.states.index(column.target), column.present[:, None]
            keep = keep.at[first, row].set(jnp.where(here, 0.0, keep[first, row]))
            add = add.at[first, row].set(jnp.where(here, values(column), add[first, row]))
    order = jnp.arange(starts.shape[0])[:, None, None]

    def due(start: Column) -> Array:
        time = jnp.maximum(values(start), actions.t0[:, None])
        happens = start.present[:, None] & (time <= actions.t1[:, None])
        return happens & (order == jnp.sum(starts < time, axis=0))

    by_formula = jnp.zeros((keep.shape[0], len(actions.formula_resets), *values.shape))
    for index, formula_reset in enumerate(actions.formula_resets):
        by_formula = by_formula.at[first:, index].set(due(formula_reset.start))
    for reset in actions.resets:
        row, at = system.states.index(reset.value.target), due(reset.start)
        keep = keep.at[first:, row].set(jnp.where(at, 0.0, keep[first:, row]))
        add = add.at[first:, row].set(jnp.where(at, values(reset.value), add[first:, row]))
    for bolus in actions.boluses:
        row = system.states.index(bolus.value.target)
        add = add.at[first:, row].add(jnp.where(due(bolus.start), values(bolus.value), 0.0))
    return keep, add, by_formula


class _Values:
    """Evaluates columns of numbers and formulas at the parameters of every experiment and draw."""

    def __init__(self, system: System, p: Float[Array, "parameter experiment draw"]) -> None:
        self._system = system
        self.by_name = dict(zip(system.parameters, p, strict=True))
        self.shape = p.shape[1:]
        self._known: dict[sp.Expr, Array] = {}

    def formula(
        self, expression: sp.Expr, instead: Mapping[str, Array] | None = None
    ) -> Float[Array, "experiment draw"]:
        """Value of a formula, with some parameters replaced."""
        if instead:
            return self._evaluate(expression, {**self.by_name, **instead})
        if expression not in self._known:
            self._known[expression] = self._evaluate(expression, self.by_name)
        return self._known[expression]

    def _evaluate(self, expression: sp.Expr, by_name: Mapping[str, Array]) -> Array:
        value = self._system.evaluate_formulas([expression], by_name)[0]
        # Times are compared with borders computed from the same formula: were XLA free to compute it anew inside each
        # fusion, with other roundings, a dose could fall into the segment after its own.
        return lax.optimization_barrier(jnp.broadcast_to(jnp.asarray(value, dtype=float), self.shape))

    def __call__(self, column: Column) -> Float[Array, "experiment draw"]:
        result = jnp.broadcast_to(jnp.asarray(column.numbers)[:, None], self.shape)
        for expression, mask in zip(column.formulas, column.masks, strict=True):
            result = jnp.where(mask[:, None], self.formula(expression), result)
        return result
