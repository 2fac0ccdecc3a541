"""Units as pint reads them to unit definitions of SBML."""

from __future__ import annotations

import re
from typing import Any

import libsbml

from twin.errors import UnitError
from twin.units import DIMENSIONLESS, parse

_KINDS = {
    "meter": libsbml.UNIT_KIND_METRE,
    "gram": libsbml.UNIT_KIND_GRAM,
    "kilogram": libsbml.UNIT_KIND_KILOGRAM,
    "second": libsbml.UNIT_KIND_SECOND,
    "mole": libsbml.UNIT_KIND_MOLE,
    "kelvin": libsbml.UNIT_KIND_KELVIN,
    "ampere": libsbml.UNIT_KIND_AMPERE,
    "candela": libsbml.UNIT_KIND_CANDELA,
}


def unit_id(sbml: Any, text: str) -> str:
    """Id of the unit definition for a unit, added to the model if it is new; empty for none.

    What is counted (cells, virions, titres) becomes SBML's item: which one it was stays in our annotation.

    Args:
        sbml: Model of libsbml.
        text: The unit.
    """
    if text == DIMENSIONLESS:
        return DIMENSIONLESS
    try:
        unit: Any = parse(text)
    except UnitError:
        return ""
    base = (1.0 * unit).to_base_units()
    words = text.replace("/", "_per_").replace("-", "minus")
    identifier = "unit_" + re.sub(r"\W+", "_", words, flags=re.ASCII).strip("_")
    if sbml.getUnitDefinition(identifier) is None:
        definition = sbml.createUnitDefinition()
        definition.setId(identifier)
        factor = _part(definition, libsbml.UNIT_KIND_DIMENSIONLESS, 1.0)
        factor.setMultiplier(float(base.magnitude))
        for name, exponent in base.unit_items():
            _part(definition, _KINDS.get(name, libsbml.UNIT_KIND_ITEM), float(exponent))
    return identifier


def _part(definition: Any, kind: int, exponent: float) -> Any:
    part = definition.createUnit()
    part.setKind(kind)
    part.setExponent(exponent)
    part.setScale(0)
    part.setMultiplier(1.0)
    return part
