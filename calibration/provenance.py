"""Where a result comes from: versions, machine, seeds, hashes."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from calibration.problem import Problem

PACKAGES = (
    "cytotwin",
    "jax",
    "jaxlib",
    "diffrax",
    "blackjax",
    "arviz",
    "numpy",
    "scipy",
    "scoringrules",
    "scikit-learn",
)


def provenance(problem: Problem, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything needed to say what was computed, from what, by which software.

    Args:
        problem: The problem.
        settings: Arguments of the computation, seeds included.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"source": problem.measurements.source, "sha256": problem.measurements.sha256},
        "model": {"name": problem.model.name, "fingerprint": problem.model.fingerprint},
        "settings": {
            **settings,
            "solver": problem.method.name,
            "rtol": problem.tolerance.rtol,
            "atol": problem.tolerance.atol,
            "max_steps": problem.tolerance.max_steps,
        },
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "platform": f"{platform.system()} {platform.machine()}",
    }
