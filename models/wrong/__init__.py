"""Negative controls: mechanisms that are wrong on purpose, to see whether an assessment finds them out.

They are in no library: `models.list` and `twin models` name published mechanisms only.

    from models.wrong import CONTROLS

    control = CONTROLS["influenza_unlimited_cells"]
    problem = calibration.Problem.from_study(control.study, model=control.model)
    calibration.assess(problem, control.split).verdict    # must not be "better"
"""

from __future__ import annotations

from collections.abc import Mapping

from models.wrong.ampicillin_unsaturated import AMPICILLIN_UNSATURATED
from models.wrong.control import Control
from models.wrong.hiv_drug_without_effect import HIV_DRUG_WITHOUT_EFFECT
from models.wrong.influenza_unlimited_cells import INFLUENZA_UNLIMITED_CELLS

__all__ = ["CONTROLS", "Control"]

CONTROLS: Mapping[str, Control] = {
    control.study.name: control
    for control in (
        AMPICILLIN_UNSATURATED,
        HIV_DRUG_WITHOUT_EFFECT,
        INFLUENZA_UNLIMITED_CELLS,
    )
}
