"""Log-likelihood and gradient of PEtab problems at the nominal parameters, all engines at one tolerance."""

from __future__ import annotations

from .petab_tasks import measure_problems
from .settings import Settings

ENGINES = ("cytotwin", "AMICI forward", "AMICI adjoint", "AMICI JAX")


def measure(settings: Settings) -> None:
    """Measures the part."""
    measure_problems(settings, "gradients", "gradient", ENGINES, {})
