"""Hierarchical optimisation: scalings, offsets and noise scales at their best for every set of the other parameters."""

from calibration.inner.objective import InnerObjective
from calibration.inner.table import inner_parameters

__all__ = ["InnerObjective", "inner_parameters"]
