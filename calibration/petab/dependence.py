"""Initial values that follow from others: refused where a condition would have to carry through to them.

SBML's initial assignments may use the initial value of a species or compartment. `read_sbml` puts that value in, so a
condition that sets it later would leave what follows from it as it was, without a word. To find such a case the model
is read a second time with other values for what conditions set: whatever else comes out different follows from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from calibration.petab.description import Description, Setting
from calibration.petab.errors import UnsupportedPetabError
from twin.errors import ModelError
from twin.exchange.sbml import read_sbml
from twin.model import Model

_OTHER = 0.7310585786300049
"""Added to the initial values for the second reading; nothing that a model would contain."""


def refuse_dependent_values(description: Description, model: Model) -> None:
    """Refuses conditions that set what initial values of the model are computed from.

    Raises:
        UnsupportedPetabError: naming the cell and what depends on it.
    """
    settings = _of_states(description, model)
    if not settings:
        return
    row = {name: index for index, name in enumerate(model.state_names)}
    other = {name: _number(model, row[name]) + _OTHER for name in settings}
    try:
        moved = read_sbml(description.model, values=other)
    except ModelError:
        return  # what cannot be given another value is determined by the model, which `Targets` refuses
    for name, before, after in zip(model.state_names, model.initial, moved.initial, strict=True):
        if name not in settings and before != after and not name.rstrip("_").endswith("_amount"):
            _refuse(settings, f"the initial value of {name!r}")
    for name in model.assignment_names:
        if model.definitions[name] != moved.definitions.get(name):
            _refuse(settings, f"{name!r}")


def _of_states(description: Description, model: Model) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for entry in description.experiments.values():
        for setting in entry.periods[0].settings if entry.periods else ():
            name = description.aliases.get(setting.target, setting.target)
            if name in model.state_names:
                found.setdefault(name, setting)
    return found


def _number(model: Model, row: int) -> float:
    value = model.initial[row]
    return float(value) if value.is_number else 1.0


def _refuse(settings: Mapping[str, Setting], what: str) -> None:
    name, setting = next(iter(settings.items()))
    listed = ", ".join(settings)
    raise UnsupportedPetabError(
        f"conditions set {listed}, and {what} is computed from {'it' if len(settings) == 1 else 'one of them'}",
        where=setting.row.where(setting.column),
        expected="no initial assignment that uses what conditions set",
        fix=f"set what is computed from {name!r} in the conditions as well, without an initial assignment",
    )
