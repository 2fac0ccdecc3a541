"""Periods of a PEtab experiment to a `twin.Experiment`.

What the first period sets is in force from the start: initial values are those of the changed model. What a later
period sets is computed from the states and parameters just before it, all at once. Setting the size of a compartment
leaves concentrations as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from calibration.petab.description import ExperimentEntry, Period, Setting
from calibration.petab.errors import UnsupportedPetabError
from calibration.petab.targets import Targets
from twin.experiment import Change, Equilibration, Experiment, Reset
from twin.model.printing import to_text
from twin.model.symbols import TIME, symbol

type Values = dict[sp.Symbol, sp.Expr]


@dataclass
class Changes:
    """What a period sets.

    Args:
        parameters: New values of parameters.
        states: New values of states.
    """

    parameters: Values = field(default_factory=dict)
    states: Values = field(default_factory=dict)


def make_experiment(entry: ExperimentEntry, targets: Targets) -> Experiment:
    """The experiment that the periods describe.

    Raises:
        PetabError: a target or a symbol that the model does not have, or values that need each other.
        UnsupportedPetabError: a target that the model computes, or a parameter set to a formula of states.
    """
    first, *later = entry.periods
    if first.start is not None:
        changes = _at_start(first, targets)
        resets, spans = _later(later, targets, {})
        return Experiment(
            changes=spans,
            resets=resets,
            parameters=_texts(changes.parameters),
            initial=_texts(changes.states),
            t0=first.start,
            description=entry.name,
        )
    before = _at_start(first, targets)
    states = {state: value.xreplace(before.parameters) for state, value in before.states.items()}
    equilibration = Equilibration(_texts(before.parameters), _texts(states))
    in_force = dict(before.parameters) if entry.lasting else {}
    kept = [Change(parameter.name, to_text(value)) for parameter, value in in_force.items()]
    resets, spans = _later(later, targets, in_force)
    assert later and later[0].start is not None
    return Experiment(
        changes=(*kept, *spans),
        resets=resets,
        equilibrate=equilibration,
        t0=later[0].start,
        description=entry.name,
    )


def _texts(values: Mapping[sp.Symbol, sp.Expr]) -> dict[str, float | str]:
    return {name.name: float(value) if value.is_number else to_text(value) for name, value in values.items()}


def _at_start(period: Period, targets: Targets) -> Changes:
    """What holds from the start: parameters in terms of the model's, states in terms of the changed parameters."""
    given = {symbol(targets.name(setting)): (targets.value(setting), setting) for setting in period.settings}
    resolved: dict[sp.Symbol, sp.Expr] = {}

    def resolve(name: sp.Symbol, path: tuple[sp.Symbol, ...]) -> sp.Expr:
        """The value set, with what else is set put in; its own name stands for the model's value."""
        if name in resolved:
            return resolved[name]
        value, setting = given[name]
        if name in path:
            raise setting.row.fault(
                setting.column, f"{name} and {path[-1]} are set in terms of each other", expected="one after the other"
            )
        others = [s for s in value.free_symbols if s in given and s != name and not _both_parameters_later(s, name)]
        instead = {other: resolve(other, (*path, name)) for other in others}  # type: ignore[arg-type]
        resolved[name] = value.xreplace(instead)
        return resolved[name]

    def _both_parameters_later(other: sp.Basic, name: sp.Symbol) -> bool:
        # A state's initial value is computed with the parameters in force; their names may stay.
        return other in targets.parameters and name not in targets.parameters

    changes = Changes()
    for name, (_, setting) in given.items():
        value = resolve(name, ())
        if name in targets.parameters:
            changes.parameters[name] = _of_parameters(value.xreplace(targets.initial), setting, targets)
        else:
            changes.states[name] = _of_parameters(value.xreplace(targets.initial), setting, targets)
    _amounts(changes, targets, targets.initial)
    return changes


def _later(periods: list[Period], targets: Targets, in_force: Values) -> tuple[list[Reset], list[Change]]:
    resets, spans = [], []
    for period in periods:
        assert period.start is not None
        changes = Changes()
        for setting in period.settings:
            name, value = symbol(targets.name(setting)), targets.value(setting).xreplace(in_force)
            if name in targets.parameters:
                changes.parameters[name] = _of_parameters(value, setting, targets)
            else:
                changes.states[name] = value
        _amounts(changes, targets, {state: state for state in targets.states}, in_force)
        in_force.update(changes.parameters)
        resets += [Reset(s.name, _number_or_text(value), period.start) for s, value in changes.states.items()]
        spans += [Change(p.name, _number_or_text(value), start=period.start) for p, value in changes.parameters.items()]
    return resets, spans


def _number_or_text(value: sp.Expr) -> float | str:
    return float(value) if value.is_number else to_text(value)


def _of_parameters(value: sp.Expr, setting: Setting, targets: Targets) -> sp.Expr:
    extra = sorted(str(s) for s in value.free_symbols - targets.parameters if s != TIME)
    if TIME in value.free_symbols:
        extra.append("time")
    if extra:
        raise UnsupportedPetabError(
            f"{setting.target!r} is set to a value that depends on {', '.join(extra)}",
            where=setting.row.where(setting.column),
            expected="a formula of parameters",
        )
    return value


def _amounts(
    changes: Changes, targets: Targets, present: Mapping[sp.Symbol, sp.Expr], in_force: Values | None = None
) -> None:
    """Puts amounts in the place of the concentrations that are set, or whose compartment changes its size.

    Args:
        changes: What is set; changed in place.
        targets: The parts of the model.
        present: The states before.
        in_force: The parameters before.
    """
    in_force = in_force or {}
    after = {**present, **in_force, **changes.parameters, **changes.states}
    for name, (amount, factor) in ((n, (c.amount, c.factor)) for n, c in targets.concentrations.items()):
        species = symbol(name)
        size_changes = bool(factor.free_symbols & {*changes.states, *changes.parameters})
        if species not in changes.states and not size_changes:
            continue
        factor = targets.model.expand(factor)
        before = (amount * factor).xreplace({**present, **in_force})
        concentration = changes.states.pop(species, before)
        changes.states[amount] = concentration / factor.xreplace(after)
