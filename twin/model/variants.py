"""The same mechanism with other default values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from twin.errors import UnknownSymbolError, suggestion
from twin.model import checks

if TYPE_CHECKING:
    from twin.model.model import Model


def with_parameters(model: Model, values: Mapping[str, float]) -> Model:
    """The same model with other default values; see `Model.with_parameters`."""
    where = f"model {model.name!r}"
    for name in values:
        if name not in model.parameter_names:
            raise UnknownSymbolError(
                f"unknown parameter {name!r}",
                where=where,
                expected="parameters of the model",
                fix=suggestion(name, model.parameter_names),
            )
    parameters = tuple(
        dataclasses.replace(part, value=checks.finite(values[part.name], f"the value of {part.name!r}", where))
        if part.name in values
        else part
        for part in model.parameters
    )
    # Formulas and units are those of the model, already checked, so what was computed from them is kept.
    other = object.__new__(type(model))
    kept = {key: value for key, value in vars(model).items() if key not in ("parts", "fingerprint")}
    vars(other).update(kept, parameters=parameters)
    return other
