"""Compartments, species and parameters of a libsbml model to records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from twin.errors import ModelError, UnsupportedModelError
from twin.exchange.sbml.annotation import OBSERVABLE, annotated
from twin.exchange.sbml.contents import Quantity, Species
from twin.exchange.sbml.document import Document
from twin.exchange.sbml.units import unit_text


def elements(count: int, get: Any) -> list[Any]:
    """The elements of one of libsbml's lists."""
    return [get(index) for index in range(count)]


def read_quantities(document: Document, names: Mapping[str, str]) -> dict[str, Quantity]:
    """Records of everything that has a value of its own, but species references.

    Args:
        document: The document, flattened.
        names: Our name of each id.

    Raises:
        ModelError: A value that is infinite, or a species without a compartment.
    """
    model = document.sbml.getModel()
    found: list[Quantity] = []
    for element in elements(model.getNumCompartments(), model.getCompartment):
        found.append(_compartment(document, model, element, names))
    for element in elements(model.getNumSpecies(), model.getSpecies):
        found.append(_species(document, model, element, names))
    for element in elements(model.getNumParameters(), model.getParameter):
        found.append(_parameter(document, model, element, names))
    return {quantity.name: quantity for quantity in found}


def finite(value: float | None, what: str, where: str) -> float | None:
    """An attribute as it is; NaN counts as not given, as problems that fill it in elsewhere have it.

    Raises:
        UnsupportedModelError: It is infinite: nothing can be computed with it.
    """
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise UnsupportedModelError(
            f"the {what} is infinite", where=where, expected="a finite number", fix="leave it out, or give a number"
        )
    return value


def _unit(model: Any, element: Any, identifier: str) -> str:
    """The unit that we wrote beside it, or else that of its attribute."""
    return annotated(element).get("unit") or unit_text(model, identifier)


def _parameter(document: Document, model: Any, element: Any, names: Mapping[str, str]) -> Quantity:
    where = document.where(element, "parameter")
    return Quantity(
        names[element.getId()],
        "parameter",
        where,
        element.getConstant(),
        finite(element.getValue() if element.isSetValue() else None, "value", where),
        unit=_unit(model, element, element.getUnits()),
        description=element.getName(),
        observable=annotated(element).get("role") == OBSERVABLE,
    )


def _compartment(document: Document, model: Any, element: Any, names: Mapping[str, str]) -> Quantity:
    where = document.where(element, "compartment")
    size = element.getSize() if element.isSetSize() else 1.0 if model.getLevel() == 1 else None
    return Quantity(
        names[element.getId()],
        "compartment",
        where,
        element.getConstant(),
        finite(size, "size", where),
        unit=_unit(model, element, element.getUnits()),
        description=element.getName(),
    )


def _species(document: Document, model: Any, element: Any, names: Mapping[str, str]) -> Species:
    where = document.where(element, "species")
    compartment = model.getCompartment(element.getCompartment())
    if compartment is None:
        raise ModelError(
            f"its compartment {element.getCompartment()!r} is not there", where=where, expected="a compartment"
        )
    factor = element.getConversionFactor() or model.getConversionFactor()
    if factor and factor not in names:
        raise ModelError(f"its conversion factor {factor!r} is not there", where=where, expected="a parameter")
    without_size = compartment.isSetSpatialDimensions() and compartment.getSpatialDimensionsAsDouble() == 0
    amount = element.getInitialAmount() if element.isSetInitialAmount() else None
    concentration = element.getInitialConcentration() if element.isSetInitialConcentration() else None
    return Species(
        names[element.getId()],
        "species",
        where,
        element.getConstant(),
        # The unit of a concentration is a quotient that few files spell out.
        unit=_unit(model, element, element.getSubstanceUnits() if element.getHasOnlySubstanceUnits() else ""),
        description=element.getName(),
        compartment=names[compartment.getId()],
        amount=element.getHasOnlySubstanceUnits() or without_size,
        boundary=element.getBoundaryCondition(),
        conversion=names[factor] if factor else None,
        initial_amount=finite(amount, "initial amount", where),
        initial_concentration=finite(concentration, "initial concentration", where),
    )
