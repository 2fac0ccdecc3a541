"""Unit definitions of SBML to text that pint reads, where that is plain; "dimensionless" elsewhere."""

from __future__ import annotations

from typing import Any

import libsbml

from twin.errors import UnitError
from twin.units import DIMENSIONLESS, parse

_PREFIXES = {3: "kilo", -1: "deci", -2: "centi", -3: "milli", -6: "micro", -9: "nano", -12: "pico", -15: "femto"}
_SECONDS = {60.0: "minute", 3600.0: "hour", 86400.0: "day", 604800.0: "week"}
_BUILT_IN = {"substance": "mole", "volume": "liter", "area": "meter**2", "length": "meter", "time": "second"}
_SAME = {"litre": "liter", "metre": "meter", "item": DIMENSIONLESS, "avogadro": DIMENSIONLESS}


def unit_text(model: Any, identifier: str) -> str:
    """The unit behind a unit id.

    Args:
        model: The model of libsbml.
        identifier: Id of a unit definition or a base unit; may be empty.
    """
    if not identifier:
        return DIMENSIONLESS
    definition = model.getUnitDefinition(identifier)
    if definition is None:
        text = _BUILT_IN.get(identifier, _SAME.get(identifier, identifier))
    else:
        parts = [_part(definition.getUnit(index)) for index in range(definition.getNumUnits())]
        if not parts or None in parts:
            return DIMENSIONLESS
        text = " * ".join(part for part in parts if part)
    try:
        parse(text)
    except UnitError:
        return DIMENSIONLESS
    return text or DIMENSIONLESS


def _part(unit: Any) -> str | None:
    """One factor of a definition; None if it is not plain."""
    kind = libsbml.UnitKind_toString(unit.getKind())
    name = _SAME.get(kind, kind)
    if name == DIMENSIONLESS:
        return "" if unit.getMultiplier() == 1 and unit.getScale() == 0 else None
    multiplier, scale = unit.getMultiplier(), unit.getScale()
    if name == "second" and scale == 0 and multiplier in _SECONDS:
        name, multiplier = _SECONDS[multiplier], 1.0
    if multiplier != 1.0 or (scale and scale not in _PREFIXES):
        return None
    exponent = unit.getExponentAsDouble()
    return f"{_PREFIXES.get(scale, '')}{name}" + (f"**{exponent:g}" if exponent != 1 else "")
