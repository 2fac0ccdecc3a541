"""Which entries of a problem's vector can be optimised inside: scalings, offsets and noise scales of observables.

An entry is inner if nothing but formulas of observables and noise depends on it, its prior is uniform or normal (of the
entry or its logarithm), and every formula in which it stands has been verified to be affine in it on the scale on which
the noise is additive. Entries that meet in a reading form a group, and a group is solved for jointly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import sympy as sp
from jaxtyping import Int

from calibration.inner.formulas import Dependence, Role, dependence
from calibration.mechanism import names_in_use
from calibration.parameters import Entry
from calibration.problem import Problem
from twin.model.formula import parse
from twin.model.symbols import symbol

LOGARITHMIC = ("log_normal", "log_laplace")
LAPLACE = ("laplace", "log_laplace")
SOLVED = ("normal", "log_normal", "laplace", "log_laplace")
NOTHING = -1
SMOOTH = ("uniform", "log_uniform", "normal", "log_normal")
"""Families of priors that count inside."""

type Method = Literal["newton", "breakpoints"]


@dataclass(frozen=True)
class InnerEntry:
    """An entry that is optimised inside.

    Args:
        index: Its place in the problem's vector.
        role: What it does.
        logarithmic: Whether the inner problem is solved in its logarithm.
        group: Number of its group.
    """

    index: int
    role: Role
    logarithmic: bool
    group: int


@dataclass(frozen=True)
class Group:
    """Inner entries that share readings.

    Args:
        members: Indices of the entries in the problem's vector.
        method: "newton", or "breakpoints" of a piecewise concave objective (Laplace noise).
        single: Whether its inner objective is known to have one minimum only.
    """

    members: tuple[int, ...]
    method: Method
    single: bool


@dataclass(frozen=True)
class Structure:
    """What is inner, what is not, and why.

    Args:
        entries: The inner entries, in the order of the vector.
        groups: Their groups.
        reasons: Why the others are outer, by index.
        affine: The scaling or offset in each reading, where there is one only; `NOTHING` otherwise.
        sigma: The noise scale that the scale of each reading is proportional to.
        group: The group of each reading.
        bends: Whether some noise scale is of degree two.
    """

    entries: tuple[InnerEntry, ...]
    groups: tuple[Group, ...]
    reasons: Mapping[int, str]
    affine: Int[np.ndarray, " reading"]
    sigma: Int[np.ndarray, " reading"]
    group: Int[np.ndarray, " reading"]
    bends: bool


@dataclass(frozen=True)
class _Pattern:
    """Readings with the same observable and the same candidates."""

    observable: str
    family: str
    rows: Int[np.ndarray, " row"]
    of_symbol: Mapping[sp.Symbol, int]
    found: Dependence
    censored: bool

    def roles(self) -> dict[int, Role | None]:
        return {self.of_symbol[key]: role for key, role in self.found.role.items()}


def find_structure(problem: Problem) -> Structure:
    """Find the inner entries of a problem."""
    reasons: dict[int, str] = {}
    in_use = names_in_use(problem.model, problem.bindings.experiments)
    for index, entry in enumerate(problem.parameters.entries):
        if reason := _unfit(problem, entry, in_use):
            reasons[index] = reason
    patterns = _patterns(problem, set(range(len(problem.names))) - set(reasons))
    seen = {index for pattern in patterns for index in pattern.of_symbol.values()}
    for index in range(len(problem.names)):
        if index not in reasons and index not in seen:
            reasons[index] = "no reading depends on it"
    counts: Counter[int] = Counter()
    for pattern in patterns:
        counts.update(dict.fromkeys(pattern.of_symbol.values(), len(pattern.rows)))
    roles = _roles(problem, patterns, reasons)
    _separate(problem, patterns, roles, counts, reasons)
    while True:
        groups = _groups(patterns, roles)
        dropped = _drop_from_laplace(problem, patterns, roles, groups, counts, reasons)
        if not dropped:
            return _assemble(problem, patterns, roles, groups, reasons)


def _unfit(problem: Problem, entry: Entry, in_use: frozenset[str]) -> str | None:
    slot = problem.parameters.slots[entry.parameter]
    if entry.parameter in in_use and entry.parameter in problem.bindings.system.parameters:
        return "acts on the mechanism or the experiments"
    if entry.role != "value" or not slot.plain:
        return "belongs to a distribution over subjects"
    if entry.scale not in ("lin", "log", "log10"):
        return f"is estimated on a {entry.scale} scale"
    return None if entry.prior.family in SMOOTH else f"its prior is {entry.prior.family}"


def is_flat(entry: Entry) -> bool:
    """Whether the prior is constant on the estimation scale."""
    prior, linear = entry.prior, entry.scale == "lin"
    return (prior.family == "uniform" and (linear or not prior.linear)) or (
        prior.family == "log_uniform" and prior.linear and not linear
    )


def _patterns(problem: Problem, candidates: set[int]) -> list[_Pattern]:
    table, cache, found = problem.bindings, {}, []
    for name, rows in table.rows_of.items():
        formula, scale = _formulas(problem, name)
        names = sorted(each.name for each in formula.free_symbols | scale.free_symbols)
        stands = {key: of for key in names if ((of := _entries_of(problem, key)) >= 0).any()}
        columns = np.array([of[rows] for of in stands.values()]).reshape(len(stands), len(rows))
        columns = np.where(np.isin(columns, list(candidates)), columns, NOTHING)
        kinds, which = np.unique(columns.T, axis=0, return_inverse=True)
        for kind, chosen in enumerate(kinds):
            given = {key: int(entry) for key, entry in zip(stands, chosen, strict=True) if entry != NOTHING}
            entries = list(dict.fromkeys(given.values()))
            if not entries:
                continue
            # Positive where the logarithm is asked for; no claim otherwise. Formulas use real symbols.
            symbols = [symbol(f"inner_{k}") for k in range(len(entries))]
            instead = {symbol(key): symbols[entries.index(entry)] for key, entry in given.items()}
            key = (name, tuple(sorted((k, entries.index(v)) for k, v in given.items())))
            family = problem.noise[name].family
            if key not in cache:
                replaced = formula.xreplace(instead), scale.xreplace(instead)
                cache[key] = dependence(*replaced, symbols, logarithmic=family in LOGARITHMIC)
            here = rows[which.reshape(-1) == kind]
            of_symbol = dict(zip(symbols, entries, strict=True))
            found.append(_Pattern(name, family, here, of_symbol, cache[key], bool(table.censored[here].any())))
    return found


def _formulas(problem: Problem, observable: str) -> tuple[sp.Expr, sp.Expr]:
    """Formulas of an observable and of its noise scale; 1 for scales that stand in the table."""
    model, scale = problem.model, problem.noise[observable].scale
    formula = model.observable_expr(observable)
    if scale is None:
        return formula, sp.Integer(1)
    expanded = model.expand(parse(scale, where=f"noise of {observable!r}"))
    return formula, expanded.xreplace({symbol(observable): formula})


def _entries_of(problem: Problem, name: str) -> Int[np.ndarray, " reading"]:
    """The entry of the vector that a name in a formula means in each reading."""
    own, position = problem.predictor.readout.own, {key: k for k, key in enumerate(problem.parameters.series)}
    series = np.array([position[key] for key in problem.bindings.series])[problem.bindings.lane]
    entries = np.full(len(series), NOTHING)

    def put(slot_name: str, rows: np.ndarray) -> None:
        slot = problem.parameters.slots.get(slot_name)
        if slot is not None:
            entries[rows] = slot.value[series[rows]]

    if name not in own.columns:
        put(name, np.ones(len(series), dtype=bool))
        return entries
    put(name, own.keeps(name))
    for other in own.names:
        put(other, own.stands_for(name, other))
    return entries


def _roles(problem: Problem, patterns: list[_Pattern], reasons: dict[int, str]) -> dict[int, tuple[Role, bool]]:
    """Role of each entry that has one and the same in all its readings, and whether it counts by its logarithm."""
    found: dict[int, tuple[Role, bool]] = {}
    for pattern in patterns:
        for index, role in pattern.roles().items():
            if index in reasons:
                continue
            entry, where = problem.parameters.entries[index], f"of {pattern.observable!r}"
            logarithmic = role == "scaling" and pattern.family in LOGARITHMIC
            before = found.get(index)
            unsuitable = {pattern.of_symbol[each] for each in pattern.found.unsuitable}
            if pattern.family not in SOLVED:
                reasons[index] = f"the noise {where} is {pattern.family}"
            elif role is None:
                kind = "proportional to it" if pattern.family in LOGARITHMIC else "affine in it"
                reasons[index] = f"the formula {where} is not {kind}"
            elif logarithmic and entry.scale == "lin" and entry.lower <= 0:
                reasons[index] = f"a factor of a positive observable ({pattern.observable}) with bounds that are not"
            elif index in unsuitable:
                reasons[index] = f"the noise scale {where} is not polynomial in it, of degree two at most"
            elif before is not None and (role == "noise") != (before[0] == "noise"):
                reasons[index] = "a noise scale of one observable, but not of another"
            elif before is not None and logarithmic != before[1]:
                reasons[index] = "a factor of observables with additive and with multiplicative noise"
            else:
                kept: Role = "scaling" if before is not None and "scaling" in (role, before[0]) else role
                found[index] = (kept, logarithmic)
    return {index: role for index, role in found.items() if index not in reasons}


def _separate(
    problem: Problem,
    patterns: list[_Pattern],
    roles: dict[int, tuple[Role, bool]],
    counts: Mapping[int, int],
    reasons: dict[int, str],
) -> None:
    """Leaves one of each pair that is not affine together: the one in more readings, of equals the scaling."""
    for pattern in patterns:
        for pair in pattern.found.conflicts:
            first, second = sorted(
                (pattern.of_symbol[each] for each in pair),
                key=lambda index: (-counts[index], roles.get(index, ("",))[0] != "scaling", index),
            )
            if first in roles and second in roles:
                del roles[second]
                kept = problem.names[first]
                reasons[second] = f"the formula of {pattern.observable!r} is affine in it or {kept}, not in both"


def _groups(patterns: list[_Pattern], roles: Mapping[int, tuple[Role, bool]]) -> list[set[int]]:
    groups: list[set[int]] = []
    for pattern in patterns:
        here = {index for index in pattern.of_symbol.values() if index in roles}
        if here:
            met = [group for group in groups if group & here]
            groups = [group for group in groups if not group & here] + [here.union(*met)]
    return sorted(groups, key=min)


def _drop_from_laplace(
    problem: Problem,
    patterns: list[_Pattern],
    roles: dict[int, tuple[Role, bool]],
    groups: list[set[int]],
    counts: Mapping[int, int],
    reasons: dict[int, str],
) -> bool:
    """Takes from groups with Laplace noise what its exact solution cannot hold; whether there was anything."""
    before = len(roles)
    for group in groups:
        here = [pattern for pattern in patterns if group & set(pattern.of_symbol.values())]
        if not any(pattern.family in LAPLACE for pattern in here):
            continue
        drop: dict[int, str] = {}
        if not all(pattern.family in LAPLACE for pattern in here):
            drop = dict.fromkeys(group, "it joins readings of Laplace noise to others")
        elif any(pattern.censored for pattern in here):
            drop = dict.fromkeys(group, "it joins readings of Laplace noise of which some are censored")
        for pattern in here:
            inside = [pattern.of_symbol[each] for each in pattern.found.in_scale]
            only = pattern.of_symbol[pattern.found.proportional] if pattern.found.proportional else None
            for index in inside:
                if index in roles and index != only:
                    drop.setdefault(index, f"the scale of {pattern.observable!r} (Laplace) is not proportional to it")
        affine = sorted((i for i in group - set(drop) if roles[i][0] != "noise"), key=lambda i: (-counts[i], i))
        for index in affine[1:]:
            drop.setdefault(index, f"Laplace noise, and {problem.names[affine[0]]} is in the same group")
        for index in group:
            if not is_flat(problem.parameters.entries[index]):
                drop.setdefault(index, "Laplace noise, and its prior is not flat on the estimation scale")
        for index, reason in drop.items():
            del roles[index]
            reasons[index] = reason
    return len(roles) < before


def _assemble(
    problem: Problem,
    patterns: list[_Pattern],
    roles: Mapping[int, tuple[Role, bool]],
    groups: list[set[int]],
    reasons: Mapping[int, str],
) -> Structure:
    number = {index: k for k, group in enumerate(groups) for index in group}
    count = len(problem.bindings.value)
    affine, sigma, group = (np.full(count, NOTHING) for _ in range(3))
    made = []
    for pattern in patterns:
        inner = [index for index in pattern.of_symbol.values() if index in roles]
        of_mean = [index for index in inner if roles[index][0] != "noise"]
        if inner:
            group[pattern.rows] = number[inner[0]]
        if len(of_mean) == 1:
            affine[pattern.rows] = of_mean[0]
        if pattern.found.proportional is not None and (index := pattern.of_symbol[pattern.found.proportional]) in roles:
            sigma[pattern.rows] = index
    for members in groups:
        here = [pattern for pattern in patterns if members & set(pattern.of_symbol.values())]
        laplace = any(pattern.family in LAPLACE for pattern in here)
        flat = all(is_flat(problem.parameters.entries[index]) for index in members)
        method: Method = "breakpoints" if laplace else "newton"
        made.append(Group(tuple(sorted(members)), method, laplace or (flat and _single(here, roles))))
    entries = tuple(InnerEntry(index, *roles[index], number[index]) for index in sorted(roles))
    bends = any(pattern.found.degree > 1 for pattern in patterns)
    return Structure(entries, tuple(made), reasons, affine, sigma, group, bends)


def _single(patterns: list[_Pattern], roles: Mapping[int, tuple[Role, bool]]) -> bool:
    """Whether the minimum is known to be the only one.

    With no noise scale, or one that all scales of the group are proportional to, the best sum of squares is that of a
    linear regression, and the noise scale follows from it. Without scalings and offsets every noise scale stands alone.
    """
    noise, mean, simple = set(), set(), True
    for pattern in patterns:
        in_scale = {pattern.of_symbol[each] for each in pattern.found.in_scale} & set(roles)
        only = pattern.of_symbol[pattern.found.proportional] if pattern.found.proportional else None
        simple &= not pattern.censored and in_scale in ({only}, set())
        noise |= in_scale or {NOTHING}
        mean |= {index for index in pattern.of_symbol.values() if index in roles and roles[index][0] != "noise"}
    return simple and (not mean or len(noise) == 1)
