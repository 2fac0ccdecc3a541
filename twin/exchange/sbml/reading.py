"""`read_sbml`: SBML to a `twin.Model`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from twin.errors import TwinError
from twin.exchange.sbml.composition import flatten
from twin.exchange.sbml.contents import Contents
from twin.exchange.sbml.document import open_document
from twin.exchange.sbml.event_making import make_events
from twin.exchange.sbml.extraction import extract
from twin.exchange.sbml.given_values import put_values
from twin.exchange.sbml.packages import check_packages
from twin.exchange.sbml.places import located
from twin.exchange.sbml.roles import find_roles
from twin.exchange.sbml.states import make_assignments, make_observables, make_parameters, make_reactions, make_states
from twin.model.model import Model


def read_sbml(source: str | os.PathLike[str], *, values: Mapping[str, float] | None = None) -> Model:
    """Reads a model in SBML, Level 1 to 3, with submodels (package comp) flattened.

    Every symbol of the result means what it means in SBML's maths: a species is a concentration unless it has only
    substance units or its compartment has no size. Local parameters are called ``reaction_parameter``; ids that our
    formulas reserve, such as ``time`` or ``min``, get an underscore behind them. Units are kept where they are plain
    and not checked.

    Fast reactions are at equilibrium at every moment: the species that they change become assignments, of totals that
    they keep and that are the states. Parameters that such an equilibrium depends on must keep their signs.

    Args:
        source: Path of a file, or SBML as text.
        values: Values by id of constants, and initial values, that the file leaves out or that take the place of the
            file's and of its initial assignments. A species' value is what its id means in maths.

    Raises:
        ModelError: The file is not SBML, contradicts itself or leaves out a value that is needed.
        UnknownSymbolError: A value is given for an id that the model does not have.
        UnsupportedModelError: It uses a construct that is not simulated: fast reactions without an equilibrium in
            closed form, flux balance (package fbc), infinite values.

    References:
        Hucka et al. 2019, doi:10.1515/jib-2019-0021 (SBML Level 3 Version 2 Core).

    Example:
        >>> model = read_sbml("model.xml")  # doctest: +SKIP
    """
    document = open_document(source)
    check_packages(document)
    document = flatten(document)
    contents = extract(document)
    put_values(contents, values or {})
    try:
        return _assemble(contents)
    except TwinError as error:
        raise located(error, contents) from None


def _assemble(contents: Contents) -> Model:
    roles = find_roles(contents)
    dynamics = make_states(contents, roles)
    reactions, rates = make_reactions(contents, dynamics)
    observables = make_observables(contents, roles)
    apart = {observable.name for observable in observables}
    assignments = [*make_assignments(contents, roles, dynamics, apart), *dynamics.assignments, *rates]
    return Model(
        contents.title,
        dynamics.states,
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
