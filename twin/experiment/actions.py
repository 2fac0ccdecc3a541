"""Experiments checked against a model and lined up as columns: one number or formula per experiment.

Experiments that give the same kind of action to the same target share columns, so that a hundred subjects with a
hundred doses are one column of a hundred numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import sympy as sp
from jaxtyping import Bool, Float

from twin.compile.system import System
from twin.errors import ExperimentError, UnsupportedModelError, suggestion
from twin.experiment.experiment import Bolus, Equilibration, Experiment, Infusion, Value
from twin.units import convert


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["present", "numbers", "masks"],
    meta_fields=["target", "formulas"],
)
@dataclass(frozen=True)
class Column:
    """One quantity across all experiments.

    Args:
        target: The state or parameter it concerns.
        present: Which experiments have it.
        numbers: Its number, 0 where absent or given by a formula.
        formulas: Formulas that some experiments use instead of a number.
        masks: Which experiments use each formula.
    """

    target: str
    present: Bool[np.ndarray, " experiment"]
    numbers: Float[np.ndarray, " experiment"]
    formulas: tuple[sp.Expr, ...]
    masks: Bool[np.ndarray, "formula experiment"]


class Action(NamedTuple):
    """Something done at `start`, with a `value`; `stop` is an end or, for infusions, a duration."""

    value: Column
    start: Column
    stop: Column


@partial(jax.tree_util.register_dataclass, data_fields=["start"], meta_fields=["target", "formula"])
@dataclass(frozen=True)
class FormulaReset:
    """A state set to a formula of states."""

    target: str
    formula: sp.Expr
    start: Column


@partial(
    jax.tree_util.register_dataclass,
    data_fields=[
        "t0",
        "t1",
        "times",
        "moving_times",
        "boluses",
        "infusions",
        "changes",
        "resets",
        "parameters",
        "formula_resets",
        "initial",
        "equilibrates",
        "equilibration",
        "before",
        "horizon",
        "settles",
    ],
    meta_fields=["any_equilibrates", "any_settles"],
)
@dataclass(frozen=True)
class Actions:
    """All that is done in all experiments: a pytree whose structure is static and whose numbers are data.

    Experiments that differ only in numbers (doses, times) therefore share one compiled program.

    Args:
        t0: Start of each experiment.
        t1: Its last time of interest.
        times: Times known beforehand at which segments end, padded with `t1`.
        moving_times: Times given by formulas of parameters.
        boluses: Amounts added.
        infusions: Amounts that flow in; `stop` is the duration.
        changes: Parameter changes.
        resets: States set to numbers and formulas of parameters.
        formula_resets: States set to formulas of states.
        parameters: Parameters that an experiment sets throughout.
        initial: Initial states that an experiment sets.
        equilibrates: Which experiments run to steady state first.
        equilibration: Parameters during that run.
        before: Initial states of that run that an experiment sets.
        horizon: Longest such run; 0 where there is none.
        settles: Which experiments end with a run to steady state.
        any_equilibrates: Whether any runs to steady state first.
        any_settles: Whether any does at its end.
    """

    t0: Float[np.ndarray, " experiment"]
    t1: Float[np.ndarray, " experiment"]
    times: Float[np.ndarray, "time experiment"]
    moving_times: tuple[Column, ...]
    boluses: tuple[Action, ...]
    infusions: tuple[Action, ...]
    changes: tuple[Action, ...]
    resets: tuple[Action, ...]
    formula_resets: tuple[FormulaReset, ...]
    parameters: tuple[Column, ...]
    initial: tuple[Column, ...]
    equilibrates: Bool[np.ndarray, " experiment"]
    equilibration: tuple[Column, ...]
    before: tuple[Column, ...]
    horizon: Float[np.ndarray, " experiment"]
    settles: Bool[np.ndarray, " experiment"]
    any_equilibrates: bool
    any_settles: bool


class _Entry(NamedTuple):
    target: str
    value: Value | sp.Expr
    start: Value | sp.Expr
    stop: Value | sp.Expr


def collect_actions(
    system: System, experiments: Sequence[Experiment], t1: Sequence[float], settles: Sequence[bool] | None = None
) -> Actions:
    """Check experiments against a system and line up their actions.

    Args:
        system: The compiled model.
        experiments: What is done.
        t1: Last time of interest of each, finite.
        settles: Which of them then run to steady state at a standing clock; default: none.

    Raises:
        ExperimentError: an unknown target or symbol, or an end before the start.
    """
    reader = _Reader(system)
    entries = {kind: [reader.entries(e, kind) for e in experiments] for kind in _KINDS}
    formula_resets = _formula_resets(system, entries["reset"])
    boluses, infusions, changes, resets = (_line_up(entries[kind]) for kind in _KINDS)
    settling = np.zeros(len(experiments), dtype=bool) if settles is None else np.asarray(settles, dtype=bool)
    if system.delays.act and (settling.any() or any(e.equilibrate is not None for e in experiments)):
        raise UnsupportedModelError(
            "a run to steady state is asked for, and the equations look back in time",
            where=f"model {system.model.name!r}",
            expected="equations without delays: at a standing clock there is no past",
            fix="start the experiment early enough for the system to settle",
        )
    equilibrations = [e.equilibrate or Equilibration(horizon=1.0) for e in experiments]
    ends = [_check_end(e, float(end)) for e, end in zip(experiments, t1, strict=True)]
    start_columns = [a.start for a in (*boluses, *resets, *formula_resets, *changes, *infusions)]
    stop_columns = [a.stop for a in changes] + [_end_of_infusion(a) for a in infusions]
    borders = [*start_columns, *stop_columns]
    t0 = np.array([e.t0 for e in experiments], dtype=float)
    equilibrates = np.array([e.equilibrate is not None for e in experiments])
    return Actions(
        t0=t0,
        t1=np.array(ends),
        times=_fixed_times(borders, system.knots, t0, np.array(ends)),
        moving_times=tuple(column for column in borders if column.formulas),
        boluses=boluses,
        infusions=infusions,
        changes=changes,
        resets=resets,
        formula_resets=formula_resets,
        parameters=reader.columns([e.parameters for e in experiments], system.parameters, "parameter"),
        initial=reader.columns([e.initial for e in experiments], system.states, "state"),
        equilibrates=equilibrates,
        equilibration=reader.columns([e.parameters for e in equilibrations], system.parameters, "parameter"),
        before=reader.columns([e.initial for e in equilibrations], system.states, "state"),
        horizon=np.where(equilibrates, [e.horizon for e in equilibrations], 0.0),
        settles=settling,
        any_equilibrates=bool(equilibrates.any()),
        any_settles=bool(settling.any()),
    )


_KINDS = ("bolus", "infusion", "change", "reset")


class _Reader:
    """Turns what an experiment says into checked entries in the model's units."""

    def __init__(self, system: System) -> None:
        self.system, self.model = system, system.model

    def entries(self, experiment: Experiment, kind: str) -> list[_Entry]:
        if kind == "bolus":
            return [x for d in experiment.doses if isinstance(d, Bolus) for x in self._bolus(d)]
        if kind == "infusion":
            return [x for d in experiment.doses if isinstance(d, Infusion) for x in self._infusion(d)]
        if kind == "reset":
            return [
                _Entry(
                    self._state(r.target, "reset"),
                    self.value(r.value, "reset", of_states=True),
                    self.value(r.time, "reset"),
                    0.0,
                )
                for r in experiment.resets
            ]
        return [
            _Entry(
                self._known(c.target, self.system.parameters, "parameter", "change"),
                self.value(c.value, f"change of {c.target!r}"),
                -np.inf if c.start is None else self.value(c.start, "start of a change"),
                np.inf if c.stop is None else self.value(c.stop, "stop of a change"),
            )
            for c in experiment.changes
        ]

    def _bolus(self, dose: Bolus) -> list[_Entry]:
        where = f"bolus into {dose.target!r}"
        target = self._state(dose.target, "bolus")
        amount = self._amount(dose.amount, dose.unit, target, where)
        first, every = self.value(dose.time, where), self.value(dose.every or 0.0, where)
        return [_Entry(target, amount, first + i * every, 0.0) for i in range(dose.count)]

    def _infusion(self, dose: Infusion) -> list[_Entry]:
        where = f"infusion into {dose.target!r}"
        target = self._state(dose.target, "infusion")
        amount = self._amount(dose.amount, dose.unit, target, where)
        first, every = self.value(dose.start, where), self.value(dose.every or 0.0, where)
        duration = self.value(dose.duration, where)
        return [_Entry(target, amount, first + i * every, duration) for i in range(dose.count)]

    def _amount(self, amount: Value, unit: str | None, target: str, where: str) -> float | sp.Expr:
        value = self.value(amount, where)
        if unit is None:
            return value
        return value * float(convert(1.0, unit, self.model.unit(target), where=where))

    def value(self, value: Value, where: str, *, of_states: bool = False) -> float | sp.Expr:
        """A number, or a formula of parameters; where allowed also of states, inputs and time."""
        if not isinstance(value, str):
            return float(value)
        expression = self.model.expand(self.model.formula(value, where=where))
        if of_states:
            return float(expression) if expression.is_number else expression
        allowed = {self.model.symbol(name) for name in self.system.parameters}
        if extra := sorted(str(s) for s in expression.free_symbols - allowed):
            raise ExperimentError(
                f"the formula {value!r} uses {', '.join(extra)}",
                where=where,
                expected="a formula of the model's parameters only",
            )
        return float(expression) if expression.is_number else expression

    def columns(self, tables: Sequence[Mapping[str, Value]], names: Sequence[str], kind: str) -> tuple[Column, ...]:
        """One column per name that any experiment sets."""
        targets = dict.fromkeys(name for table in tables for name in table)
        for name in targets:
            self._known(name, names, kind, "experiment")
        return tuple(
            _column(name, [self.value(t[name], f"value of {name!r}") if name in t else None for t in tables])
            for name in targets
        )

    def _state(self, name: str, what: str) -> str:
        return self._known(name, self.system.states, "state", what)

    def _known(self, name: str, names: Sequence[str], kind: str, what: str) -> str:
        if name not in names:
            raise ExperimentError(
                f"a {what} names {name!r}, which is no {kind} of the model {self.model.name!r}",
                fix=suggestion(name, names),
            )
        return name


def _column(target: str, values: Sequence[float | sp.Expr | None]) -> Column:
    numbers = np.array([0.0 if v is None or isinstance(v, sp.Expr) else v for v in values], dtype=float)
    formulas: dict[sp.Expr, list[int]] = {}
    for index, value in enumerate(values):
        if isinstance(value, sp.Expr):
            formulas.setdefault(value, []).append(index)
    masks = [np.isin(np.arange(len(values)), where) for where in formulas.values()]
    return Column(
        target=target,
        present=np.array([v is not None for v in values]),
        numbers=numbers,
        formulas=tuple(formulas),
        masks=np.array(masks, dtype=bool).reshape(len(masks), len(values)),
    )


def _formula_resets(system: System, entries: list[list[_Entry]]) -> tuple[FormulaReset, ...]:
    """Takes the resets to formulas of states out of the entries of each experiment."""
    parameters = {sp.Symbol(name, real=True) for name in system.parameters}
    found: dict[tuple[str, sp.Expr, int], list[float | sp.Expr | None]] = {}
    for index, of_experiment in enumerate(entries):
        seen: dict[tuple[str, sp.Expr], int] = {}
        for entry in [e for e in of_experiment if isinstance(e.value, sp.Expr) and e.value.free_symbols - parameters]:
            of_experiment.remove(entry)
            key = entry.target, entry.value
            seen[key] = seen.get(key, -1) + 1  # type: ignore[index]
            starts = found.setdefault((*key, seen[key]), [None] * len(entries))  # type: ignore[arg-type,index]
            starts[index] = entry.start
    return tuple(
        FormulaReset(target, formula, _column(target, starts)) for (target, formula, _), starts in found.items()
    )


def _line_up(entries: Sequence[Sequence[_Entry]]) -> tuple[Action, ...]:
    """The k-th action on a target in every experiment becomes one row of columns."""
    by_target: dict[str, list[list[_Entry]]] = {}
    for index, of_experiment in enumerate(entries):
        for entry in of_experiment:
            rows = by_target.setdefault(entry.target, [[] for _ in entries])
            rows[index].append(entry)
    actions = []
    for target, rows in by_target.items():
        for k in range(max(map(len, rows))):
            kth = [row[k] if k < len(row) else None for row in rows]
            fields = ([None if e is None else getattr(e, f) for e in kth] for f in ("value", "start", "stop"))
            actions.append(Action(*(_column(target, values) for values in fields)))
    return tuple(actions)


def _end_of_infusion(action: Action) -> Column:
    """Start plus duration, number by number where both are numbers."""
    ends: list[float | sp.Expr | None] = []
    for index, here in enumerate(action.start.present):
        start, duration = _entry(action.start, index), _entry(action.stop, index)
        ends.append(start + duration if here else None)  # type: ignore[operator]
    return _column(action.start.target, ends)


def _entry(column: Column, index: int) -> float | sp.Expr:
    for expression, where in zip(column.formulas, column.masks, strict=True):
        if where[index]:
            return expression
    return float(column.numbers[index])


def _fixed_times(
    columns: Sequence[Column], knots: np.ndarray, t0: np.ndarray, t1: np.ndarray
) -> Float[np.ndarray, "time experiment"]:
    """Distinct times known beforehand at which a segment of each experiment ends, padded with its end."""
    per_experiment = []
    for index, (start, end) in enumerate(zip(t0, t1, strict=True)):
        times = {float(x) for x in knots if start < x < end}
        for column in columns:
            by_formula = column.masks[:, index].any()
            if column.present[index] and not by_formula and start < column.numbers[index] <= end:
                times.add(float(column.numbers[index]))
        per_experiment.append(sorted(times))
    length = max(map(len, per_experiment))
    padded = [times + [end] * (length - len(times)) for times, end in zip(per_experiment, t1, strict=True)]
    return np.array(padded, dtype=float).reshape(len(t0), length).T


def _check_end(experiment: Experiment, t1: float) -> float:
    if not np.isfinite(t1) or t1 < experiment.t0:
        raise ExperimentError(
            f"the last time is {t1:g}, before the start at {experiment.t0:g}",
            where="sample times",
            expected="times from the start of the experiment on",
        )
    return t1
