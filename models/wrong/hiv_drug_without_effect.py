"""Wrong on purpose: a protease inhibitor that does nothing, so that plasma HIV-1 stays at its steady state."""

from __future__ import annotations

import dataclasses

from models.viral.hiv_protease_inhibitor import MODEL as RIGHT
from models.viral.hiv_protease_inhibitor_study import HIV_PERELSON1996
from models.wrong.control import Control
from twin.model.model import Model
from twin.model.parts import Observable, Reaction, State

MODEL = Model(
    name="hiv_drug_without_effect",
    description="Plasma HIV-1 at steady state: new virions stay infectious under the drug",
    time_unit=RIGHT.time_unit,
    states=(
        State("Tstar", "c * V0 / (N * delta)", "1/milliliter", "Productively infected cells"),
        State("V_I", "V0", "1/milliliter", "RNA in infectious virions"),
    ),
    parameters=RIGHT.parameters,
    assignments=RIGHT.assignments,
    reactions=(
        Reaction("infection", "-> Tstar", "infectivity * V_I * T0", "Virus infects"),
        Reaction("death", "Tstar ->", "delta * Tstar", "An infected cell dies"),
        Reaction("production", "-> V_I", "N * delta * Tstar", "Infected cells release infectious virions"),
        Reaction("clearance", "V_I ->", "c * V_I", "Virions are cleared"),
    ),
    observables=(Observable("rna", "V_I", "1/milliliter", "HIV-1 RNA copies per ml of plasma"),),
    references=RIGHT.references,
)

HIV_DRUG_WITHOUT_EFFECT = Control(
    model=MODEL,
    study=dataclasses.replace(
        HIV_PERELSON1996,
        name=MODEL.name,
        model=MODEL.name,
        description="Negative control: a protease inhibitor without effect",
        # c and delta cancel at steady state.
        estimates=tuple(e for e in HIV_PERELSON1996.estimates if e.name not in ("c", "delta")),
    ),
    right=HIV_PERELSON1996.name,
    wrong="New virions stay infectious, so infection and clearance balance and the RNA is constant.",
    why="The measured RNA falls by more than a power of ten in the held-out days; a constant cannot follow it.",
    split="time",
)
