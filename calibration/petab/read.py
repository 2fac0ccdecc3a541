"""`read_petab`: a PEtab problem to a `Problem`."""

from __future__ import annotations

from os import PathLike
from typing import Any

from calibration.petab.assembly import make_problem
from calibration.petab.dependence import refuse_dependent_values
from calibration.petab.description import Description
from calibration.petab.errors import PetabError
from calibration.petab.files import open_problem
from calibration.petab.version1 import read_version_1
from calibration.petab.version2 import read_version_2
from calibration.problem import Problem
from twin.collector import collector_paused
from twin.errors import FormulaError, ModelError
from twin.exchange.sbml import read_sbml
from twin.model import Model

TOLERANCE = {"rtol": 1e-8, "atol": 1e-12, "max_steps": 10_000}
"""Tighter than `Problem`'s own: the units of the states are unknown, and reference values ask for it."""


@collector_paused()
def read_petab(path: str | PathLike[str], **arguments: Any) -> Problem:
    """Reads a calibration problem in PEtab, version 1 or 2, with a model in SBML.

    The readings are the rows of the measurement tables, in the order of the files; an experiment is a pair of
    conditions (version 1) or an experiment (version 2). Parameters of version 2 are estimated on the linear scale,
    where its priors are densities. A prior of version 1 on a parameter that is estimated on a logarithmic scale counts
    with the derivative of the parameter, so that `Problem.log_prior` is always a density of the vector.

    Only files in the folder of the YAML file are read, and nothing in them is executed.

    Args:
        path: The YAML file.
        arguments: Further arguments of `Problem`, such as `rtol`.

    Raises:
        PetabError: The files break the format or do not fit together; the message names file, row and column.
        UnsupportedPetabError: Several models, a required extension, or another construct that is not computed.
        ModelError: The model cannot be read.

    References:
        Schmiester et al. 2021, doi:10.1371/journal.pcbi.1008646 (PEtab).
    """
    file = open_problem(path)
    description = (read_version_1 if file.version == 1 else read_version_2)(file)
    model = _with_table_values(read_sbml(description.model), description)
    refuse_dependent_values(description, model)
    try:
        return make_problem(description, model, **{**TOLERANCE, **arguments})
    except FormulaError as error:
        raise PetabError(error.found, where=error.where, expected=error.expected, fix=error.fix) from None


def _with_table_values(model: Model, description: Description) -> Model:
    """The model without initial assignments for constants that the parameter table gives a value: the table counts."""
    values = {
        entry.name: entry.nominal
        for entry in description.parameters.values()
        if entry.name in model.assignment_names and entry.nominal is not None
    }
    if not values:
        return model
    try:
        return read_sbml(description.model, values=values)
    except ModelError:
        return model  # rules determine it at every moment: refused where the names are put together
