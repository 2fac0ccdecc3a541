"""Which names the mechanism and the experiments speak of: what else is estimated acts on observables and noise only."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from twin.experiment import Experiment
from twin.model import Model

_NAME = re.compile(r"[A-Za-z_]\w*")

# Fields of a model without influence on its trajectories.
_SILENT = frozenset({"name", "description", "references", "parameters", "observables", "conserved", "time_unit"})


def names_in_use(model: Model, experiments: Iterable[Experiment]) -> frozenset[str]:
    """Names in the formulas of a model, its observables left out, and of experiments.

    Found in the text of every field, so that no kind of part can be forgotten; words that are no names do no harm.
    """
    parts = [getattr(model, item.name) for item in dataclasses.fields(model) if item.name not in _SILENT]
    return frozenset(_names([*parts, *experiments]))


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_NAME.findall(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _names([getattr(value, item.name) for item in dataclasses.fields(value) if item.name != "description"])
    if isinstance(value, Mapping):
        return _names([*value.keys(), *value.values()])
    if isinstance(value, Sequence | set | frozenset):
        return set().union(*map(_names, value)) if value else set()
    return set()
