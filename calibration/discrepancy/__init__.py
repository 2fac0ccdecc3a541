"""The discrepancy between mechanism and readings: a Gaussian process per observable, marginalised."""

from calibration.discrepancy.figure import discrepancy_figure
from calibration.discrepancy.posterior import Discrepancy, sample_discrepancy

__all__ = ["Discrepancy", "discrepancy_figure", "sample_discrepancy"]
