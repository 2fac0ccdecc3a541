"""Plain records (models, experiments, estimates, noise) as JSON and back, so that a file needs no pickle.

A record is an object with the name of its class under "is" and its fields; a mapping is an object with one key, "map".
Only the classes listed here can come back, and each checks its own fields as if they had been typed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from twin.errors import ProblemError
from twin.experiment.experiment import Bolus, Change, Equilibration, Experiment, Infusion, Reset
from twin.model.model import Model
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
from twin.study import Estimate, Noise, Prior

_CLASSES = {
    kind.__name__: kind
    for kind in (
        Assignment, Bolus, Change, ConservedTotal, Equilibration, Estimate, Event, Experiment, Infusion, Input, Model,
        Noise, Observable, Parameter, Prior, Published, Reaction, Reset, State,
    )
}  # fmt: skip


def as_record(value: Any) -> Any:
    """A value in JSON's types."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {item.name: as_record(getattr(value, item.name)) for item in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {"map": {str(key): as_record(each) for key, each in value.items()}}
    if isinstance(value, (list, tuple)):
        return [as_record(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def from_record(value: Any, where: str) -> Any:
    """The value of a record.

    Raises:
        ProblemError: a class that is not one of a twin's, or fields that it does not have.
        TwinError: the record's own check refuses it.
    """
    if isinstance(value, list):
        return tuple(from_record(each, where) for each in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"map"} and isinstance(value["map"], dict):
        return {key: from_record(each, where) for key, each in value["map"].items()}
    kind = _CLASSES.get(str(value.get("is")))
    if kind is None:
        raise ProblemError(f"it describes a {value.get('is')!r}", where=where, expected=", ".join(sorted(_CLASSES)))
    known = {item.name for item in dataclasses.fields(kind)}
    fields = {name: from_record(each, where) for name, each in value.items() if name != "is"}
    if unknown := sorted(set(fields) - known):
        raise ProblemError(
            f"a {kind.__name__} has a field {unknown[0]!r}",
            where=where,
            expected=", ".join(sorted(known)),
            fix="read it with the version of cytotwin that wrote it",
        )
    return kind(**fields)
