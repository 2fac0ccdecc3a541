"""Places in the file for faults that show where none is known: in formulas, and when the model is put together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from twin.errors import FormulaError, ModelError, TwinError
from twin.exchange.sbml.contents import Contents

_NAMED = re.compile(r"'([A-Za-z_]\w*)'|\b([A-Za-z_]\w*) ->")
"""A name in quotes, or in a chain ``a -> b -> a``."""


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Gives the place to faults of formulas that have none yet.

    Raises:
        FormulaError: What was raised inside, with its place.
    """
    try:
        yield
    except FormulaError as error:
        if error.where is not None:
            raise
        raise FormulaError(error.found, where=where, expected=error.expected, fix=error.fix) from None


def located(error: TwinError, contents: Contents) -> TwinError:
    """The same error with file, line and id of the first part that it names; as it is if it has them already.

    What is unknown to the model although the file declares it was left out because it has no value.
    """
    missing = re.search(r"unknown name '(\w+)'", error.found)
    if missing and missing[1] in contents.quantities and contents.quantities[missing[1]].value is None:
        quantity = contents.quantities[missing[1]]
        return ModelError(
            f"{quantity.kind} {quantity.name!r} is used and has no value",
            where=quantity.where,
            expected="a value, an initial assignment or a rule",
            fix="give it a value",
        )
    if error.where is not None and error.where.startswith(contents.label):
        return error
    places = {event.name: event.where for event in contents.events}
    places |= {reaction.name: reaction.where for reaction in contents.reactions}
    places |= {key: quantity.where for key, quantity in contents.quantities.items()}
    # What we made of a species is named after it.
    places |= {f"{key}_{kind}": places[key] for key in contents.quantities for kind in ("amount", "total")}
    named = [
        name for text in (error.where or "", error.found) for pair in _NAMED.findall(text) for name in pair if name
    ]
    known = [name for name in named if name in places and f"model {name!r}" not in (error.where or "")]
    place = places[known[0]] if known else contents.label
    detail = re.sub(r"^model '[^']*'(, )?", "", error.where or "")
    where = f"{place}, {detail}" if detail else place
    return type(error)(error.found, where=where, expected=error.expected, fix=error.fix)
