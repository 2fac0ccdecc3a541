"""Inference and validation: fit a mechanism to measurements, sample its posterior, measure the gap to reality.

Names are imported when first used, so that ``import calibration`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibration.optimise.fit import Fit, fit
    from calibration.petab.read import read_petab
    from calibration.petab.write import write_petab
    from calibration.problem import Problem
    from calibration.sampling.posterior import sample
    from calibration.sim2real.assess import assess
    from calibration.sim2real.assessment import Assessment

_MODULE_OF = {
    "Assessment": "calibration.sim2real.assessment",
    "Fit": "calibration.optimise.fit",
    "Problem": "calibration.problem",
    "assess": "calibration.sim2real.assess",
    "fit": "calibration.optimise.fit",
    "read_petab": "calibration.petab.read",
    "sample": "calibration.sampling.posterior",
    "write_petab": "calibration.petab.write",
}

__all__ = ["Assessment", "Fit", "Problem", "assess", "fit", "read_petab", "sample", "write_petab"]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'calibration' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
