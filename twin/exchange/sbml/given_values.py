"""Values that the caller gives, put in the place of the file's."""

from __future__ import annotations

import math
from collections.abc import Mapping

from twin.errors import ModelError, UnknownSymbolError, suggestion
from twin.exchange.sbml.contents import Contents, Species


def put_values(contents: Contents, values: Mapping[str, float]) -> None:
    """Sets constants and initial values; a value takes the place of an initial assignment too.

    Args:
        contents: What the model says.
        values: By id, in what the id means in maths: for a species its concentration, or its amount where it
            counts substance only.

    Raises:
        UnknownSymbolError: The model has no such id.
        ModelError: A value that is no finite number, or a rule determines what it is meant for.
    """
    for identifier, value in values.items():
        quantity = contents.quantities.get(contents.names.of.get(identifier, identifier))
        if quantity is None:
            raise UnknownSymbolError(
                f"a value is given for {identifier!r}, which the model does not have",
                where=f"{contents.label}, values",
                expected="ids of parameters, species, compartments or species references",
                fix=suggestion(str(identifier), contents.quantities),
            )
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ModelError(
                f"the value given for {identifier!r} is {value!r}", where=quantity.where, expected="a finite number"
            )
        if quantity.rule == "assignment":
            raise ModelError(
                f"a value is given for {identifier!r}, which has an assignment rule",
                where=quantity.where,
                expected="something that no rule determines at every moment",
            )
        quantity.initial = None
        if isinstance(quantity, Species):
            quantity.initial_amount = float(value) if quantity.amount else None
            quantity.initial_concentration = None if quantity.amount else float(value)
        else:
            quantity.value = float(value)
