"""Checks of a model's parts that need no formula: kinds, names, numbers, measured points."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from twin.errors import DuplicateNameError, ModelError
from twin.model.functions import RESERVED
from twin.model.parts import (
    Assignment,
    ConservedTotal,
    Event,
    Input,
    Observable,
    Parameter,
    Published,
    Reaction,
    State,
)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KINDS: dict[str, type] = {
    "states": State,
    "parameters": Parameter,
    "reactions": Reaction,
    "assignments": Assignment,
    "inputs": Input,
    "observables": Observable,
    "conserved": ConservedTotal,
    "events": Event,
}


def as_parts(field: str, given: Any, where: str) -> tuple[Any, ...]:
    """The parts given for one argument of `Model`, as a tuple with plain Python numbers in it.

    Raises:
        ModelError: Something else than a sequence of the right kind of part, or a number that is not finite.
    """
    kind = KINDS[field]
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise ModelError(f"{field} is a {type(given).__name__}", where=where, expected=f"a sequence of {kind.__name__}")
    parts = tuple(given)
    for part in parts:
        if not isinstance(part, kind):
            raise ModelError(
                f"{field} holds a {type(part).__name__} ({part!r})"[:200],
                where=where,
                expected=f"only {kind.__name__}",
            )
    return tuple(_plain(part, f"{where}, {kind.__name__.lower()} {part.name!r}") for part in parts)


def _plain(part: Any, where: str) -> Any:
    if isinstance(part, State):
        return dataclasses.replace(part, initial=number_or_text(part.initial, "the initial value", where))
    if isinstance(part, Parameter):
        published = tuple(_plain_published(item, where) for item in part.published)
        return dataclasses.replace(part, value=finite(part.value, "the value", where), published=published)
    if isinstance(part, Reaction):
        equation = part.equation
        if isinstance(equation, Mapping):
            equation = _plain_mapping(equation, "the coefficient", where)
        return dataclasses.replace(part, equation=equation, rate=number_or_text(part.rate, "the rate", where))
    if isinstance(part, Event):
        return _plain_event(part, where)
    if isinstance(part, (Assignment, Observable, ConservedTotal)):
        return dataclasses.replace(part, formula=number_or_text(part.formula, "the formula", where))
    if isinstance(part, Input):
        return _plain_input(part, where)
    return part


def _plain_event(part: Event, where: str) -> Event:
    if not isinstance(part.trigger, str):
        raise ModelError(f"the trigger is {part.trigger!r}", where=where, expected="a condition, as text")
    if not isinstance(part.assignments, Mapping):
        raise ModelError("assignments is not a mapping", where=where, expected="{state: formula}")
    return dataclasses.replace(
        part,
        assignments=_plain_mapping(part.assignments, "the new value", where),
        delay=number_or_text(part.delay, "the delay", where),
        priority=None if part.priority is None else number_or_text(part.priority, "the priority", where),
    )


def _plain_mapping(given: Mapping[str, Any], what: str, where: str) -> Mapping[str, float | str]:
    return MappingProxyType(
        {name: number_or_text(value, f"{what} of {name!r}", where) for name, value in given.items()}
    )


def _plain_published(item: Any, where: str) -> Published:
    if not isinstance(item, Published):
        raise ModelError(f"published holds a {type(item).__name__}", where=where, expected="only Published")
    numbers = {}
    for name in ("value", "lower", "upper"):
        number = getattr(item, name)
        optional = name != "value" and number is None
        numbers[name] = None if optional else finite(number, f"the published {name}", where)
    return dataclasses.replace(item, **numbers)


def _plain_input(part: Input, where: str) -> Input:
    if part.interpolation not in ("linear", "cubic"):
        raise ModelError(f"the interpolation is {part.interpolation!r}", where=where, expected="'linear' or 'cubic'")
    times = tuple(finite(time, "a time", where) for time in part.times)
    values = tuple(number_or_text(value, "a value", where) for value in part.values)
    if len(times) != len(values):
        raise ModelError(
            f"{len(times)} times with {len(values)} values", where=where, expected="as many values as times"
        )
    if len(times) < 2:
        raise ModelError(
            f"{len(times)} point{'s' * (len(times) != 1)}",
            where=where,
            expected="at least 2 points",
            fix="use a Parameter for something that never changes",
        )
    for before, after in zip(times[:-1], times[1:], strict=True):
        if after <= before:
            raise ModelError(
                f"the time {after:g} follows {before:g}", where=where, expected="strictly increasing times"
            )
    return dataclasses.replace(part, times=times, values=values)


def finite(value: Any, what: str, where: str) -> float:
    """A number as a float; anything else, infinities and NaN are refused."""
    if isinstance(value, (str, bool, bytes)):
        raise ModelError(f"{what} is {value!r}", where=where, expected="a number")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ModelError(f"{what} is a {type(value).__name__}", where=where, expected="a number") from None
    if not math.isfinite(result):
        raise ModelError(f"{what} is {result}", where=where, expected="a finite number")
    return result


def number_or_text(value: Any, what: str, where: str) -> float | str:
    """A formula as text, or a number as a float."""
    return value if isinstance(value, str) else finite(value, what, where)


def check_names(groups: Mapping[str, Sequence[Any]], where: str) -> None:
    """Refuses names that are no identifiers, that formulas reserve, or that occur twice.

    Args:
        groups: Parts by the plural of their kind, as in `KINDS`.
        where: The model, for messages.

    Raises:
        ModelError: A name that cannot be used.
        DuplicateNameError: A name used twice, in whatever kinds of part.
    """
    owner: dict[str, str] = {}
    for field, parts in groups.items():
        kind = KINDS[field].__name__.lower()
        for part in parts:
            name = part.name
            if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
                raise ModelError(
                    f"{name!r} cannot name a part of a model",
                    where=f"{where}, {field}",
                    expected="letters, digits and underscores, not beginning with a digit",
                )
            if name in RESERVED or name.lower() in ("true", "false", "inf", "nan"):
                raise ModelError(
                    f"the name {name!r} is reserved: it already means something in formulas",
                    where=f"{where}, {field}",
                    fix=f"call it {name}_0, for instance",
                )
            if name in owner:
                raise DuplicateNameError(
                    f"the name {name!r} is used twice (kinds: {owner[name]}, {kind})",
                    where=where,
                    expected="one part for each name",
                    fix="rename one of them",
                )
            owner[name] = kind
