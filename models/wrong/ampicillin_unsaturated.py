"""Wrong on purpose: killing by ampicillin that grows with the concentration without limit."""

from __future__ import annotations

import dataclasses

from models.pharmacology.ampicillin_timekill import MODEL as RIGHT
from models.pharmacology.ampicillin_timekill_study import TIMEKILL_REGOES2004
from models.wrong.control import Control
from twin.model.model import Model
from twin.model.parts import Assignment

_DROPPED = ("psi_min", "kappa", "a_trace")

MODEL = Model(
    name="ampicillin_unsaturated",
    description="Viable bacteria under ampicillin, killing in proportion to the concentration",
    time_unit=RIGHT.time_unit,
    states=RIGHT.states,
    parameters=tuple(parameter for parameter in RIGHT.parameters if parameter.name not in _DROPPED),
    assignments=(
        Assignment("psi", "psi_max * (1 - a / zMIC)", "1/hour", "Net growth rate, powers of ten per hour: a line in a"),
    ),
    reactions=RIGHT.reactions,
    observables=RIGHT.observables,
    references=RIGHT.references,
)

AMPICILLIN_UNSATURATED = Control(
    model=MODEL,
    study=dataclasses.replace(
        TIMEKILL_REGOES2004,
        name=MODEL.name,
        model=MODEL.name,
        description="Negative control: killing in proportion to the concentration",
        estimates=tuple(e for e in TIMEKILL_REGOES2004.estimates if e.name not in _DROPPED),
    ),
    right=TIMEKILL_REGOES2004.name,
    wrong="The rate of killing is a straight line in the concentration; in reality it saturates (Regoes 2004).",
    why=(
        "Between 24 and 256 microgram/ml the measured rates differ about twofold, where a line makes them differ "
        "tenfold: no zMIC fits low and high concentrations, so the held-out ones are missed by powers of ten."
    ),
    split="experiment",
)
