"""Jacobian of all residuals at the nominal parameters, as a Gauss-Newton step needs it: forward sensitivities."""

from __future__ import annotations

from .petab_tasks import measure_problems
from .settings import Settings

ENGINES = ("cytotwin", "AMICI forward")


def measure(settings: Settings) -> None:
    """Measures the part."""
    measure_problems(settings, "jacobians", "jacobian", ENGINES, {})
