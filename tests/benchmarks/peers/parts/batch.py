"""Log-likelihood and gradient at many vectors: 64 at once for this package, one after the other for AMICI.

AMICI's time per vector does not depend on how many there are: it is the mean over the first 8 of the same vectors.
"""

from __future__ import annotations

from .petab_tasks import measure_problems
from .settings import Settings

COUNTS = {"cytotwin": 64, "AMICI forward": 8, "AMICI adjoint": 8}


def measure(settings: Settings) -> None:
    """Measures the part."""
    measure_problems(settings, "batch", "batch", tuple(COUNTS), COUNTS)
