"""Wrong on purpose: influenza that never runs out of target cells, and so grows or decays exponentially for ever."""

from __future__ import annotations

import dataclasses

from models.viral.influenza_teiv import MODEL as RIGHT
from models.viral.influenza_teiv_studies import INFLUENZA_BACCAM2006
from models.wrong.control import Control
from twin.model.model import Model
from twin.model.parts import Reaction

MODEL = Model(
    name="influenza_unlimited_cells",
    description="Influenza A with target cells that are replaced at once: eclipse, producing cells, virus",
    time_unit=RIGHT.time_unit,
    states=tuple(state for state in RIGHT.states if state.name != "T"),
    parameters=RIGHT.parameters,
    reactions=tuple(
        Reaction("infection", "-> E", "beta * T0 * V", "Virus infects; the cell is replaced at once")
        if reaction.name == "infection"
        else reaction
        for reaction in RIGHT.reactions
    ),
    assignments=RIGHT.assignments,
    observables=RIGHT.observables,
    references=RIGHT.references,
)

INFLUENZA_UNLIMITED_CELLS = Control(
    model=MODEL,
    study=dataclasses.replace(
        INFLUENZA_BACCAM2006,
        name=MODEL.name,
        model=MODEL.name,
        description="Negative control: target cells without limit",
    ),
    right=INFLUENZA_BACCAM2006.name,
    wrong="Target cells stay at T0, so there is no peak: after some hours titres follow one exponential.",
    why="Measured titres rise for two days and vanish within a week; one exponential cannot do both.",
    split="time",
)
