"""`read_sbml`: SBML to a `twin.Model`."""

from __future__ import annotations

import os

from twin.errors import ModelError, TwinError, UnknownSymbolError
from twin.exchange.sbml.composition import flatten
from twin.exchange.sbml.contents import Contents
from twin.exchange.sbml.document import open_document
from twin.exchange.sbml.event_making import make_events
from twin.exchange.sbml.extraction import extract
from twin.exchange.sbml.packages import check_packages
from twin.exchange.sbml.roles import find_roles
from twin.exchange.sbml.states import make_assignments, make_observables, make_parameters, make_reactions, make_states
from twin.model.model import Model
from twin.model.parts import State


def read_sbml(source: str | os.PathLike[str]) -> Model:
    """Reads a model in SBML, Level 1 to 3, with submodels (package comp) flattened.

    Every symbol of the result means what it means in SBML's maths: a species is a concentration unless it has only
    substance units or its compartment has no size. Local parameters are called ``reaction_parameter``; ids that our
    formulas reserve, such as ``time`` or ``min``, get an underscore behind them. Units are kept where they are plain
    and not checked.

    Args:
        source: Path of a file, or SBML as text.

    Raises:
        ModelError: The file is not SBML, contradicts itself or leaves out a value that is needed.
        UnsupportedModelError: It uses a construct that is not simulated: a fast reaction, flux balance (package fbc),
            infinite values.

    References:
        Hucka et al. 2019, doi:10.1515/jib-2019-0021 (SBML Level 3 Version 2 Core).

    Example:
        >>> model = read_sbml("model.xml")  # doctest: +SKIP
    """
    document = open_document(source)
    check_packages(document)
    document = flatten(document)
    contents = extract(document)
    try:
        return _assemble(contents)
    except UnknownSymbolError as error:
        raise _explained(error, contents) from None


def _assemble(contents: Contents) -> Model:
    roles = find_roles(contents)
    dynamics = make_states(contents, roles)
    reactions, rates = make_reactions(contents, dynamics)
    observables = make_observables(contents, roles)
    apart = {observable.name for observable in observables}
    assignments = [*make_assignments(contents, roles, dynamics, apart), *dynamics.assignments, *rates]
    # The engine integrates something: a model of constants alone gets a state that stays at 0.
    states = dynamics.states or [State(contents.names.free("nothing"), 0.0)]
    return Model(
        contents.title,
        states,
        parameters=make_parameters(contents, roles),
        reactions=reactions,
        odes=dynamics.odes,
        assignments=assignments,
        observables=observables,
        time_unit=contents.time_unit,
        description=contents.description,
        check_units=False,
        events=make_events(contents, dynamics),
        constraints={name: str(formula) for name, formula in roles.constraints.items()},
    )


def _explained(error: UnknownSymbolError, contents: Contents) -> TwinError:
    """A name that the file declares, and so that we left out, had no value."""
    for quantity in contents.quantities.values():
        if quantity.value is None and f"unknown name {quantity.name!r}" in error.found:
            return ModelError(
                f"{quantity.kind} {quantity.name!r} is used and has no value",
                where=quantity.where,
                expected="a value, an initial assignment or a rule",
                fix="give it a value",
            )
    return error
