"""Unit definitions of SBML to text that pint reads, where that is plain; "dimensionless" elsewhere.

pint itself is not asked: loading it takes longer than reading a model of a hundred species.
"""

from __future__ import annotations

from typing import Any

import libsbml

from twin.units import DIMENSIONLESS

_PREFIXES = {3: "kilo", -1: "deci", -2: "centi", -3: "milli", -6: "micro", -9: "nano", -12: "pico", -15: "femto"}
_SECONDS = {60.0: "minute", 3600.0: "hour", 86400.0: "day", 604800.0: "week"}
_BUILT_IN = {"substance": "mole", "volume": "liter", "area": "meter**2", "length": "meter", "time": "second"}
_KNOWN = frozenset(
    {
        *("ampere", "becquerel", "candela", "coulomb", "farad", "gram", "gray", "henry", "hertz", "joule", "katal"),
        *("kelvin", "kilogram", "liter", "lumen", "lux", "meter", "mole", "newton", "ohm", "pascal", "radian"),
        *(
            "second",
            "siemens",
            "sievert",
            "steradian",
            "tesla",
            "volt",
            "watt",
            "weber",
            "minute",
            "hour",
            "day",
            "week",
        ),
    }
)
"""Names that SBML's base units have in pint."""

_LARGEST_EXPONENT, _LONGEST = 100, 200
"""What our unit texts may have at most."""

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
        if identifier not in _BUILT_IN and text not in _KNOWN:
            return DIMENSIONLESS
    else:
        parts = [_part(definition.getUnit(index)) for index in range(definition.getNumUnits())]
        if not parts or None in parts:
            return DIMENSIONLESS
        text = " * ".join(part for part in parts if part)
    return text if 0 < len(text) <= _LONGEST else DIMENSIONLESS


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
    if name not in _KNOWN or not abs(exponent) <= _LARGEST_EXPONENT:
        return None
    return f"{_PREFIXES.get(scale, '')}{name}" + (f"**{exponent:g}" if exponent != 1 else "")
