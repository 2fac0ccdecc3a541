"""The discrepancy between mechanism and readings: added to an observable, or inside the dynamics."""

from calibration.discrepancy.diffusion import Diffusion, sample_diffusion
from calibration.discrepancy.figure import diffusion_figure, discrepancy_figure
from calibration.discrepancy.posterior import Discrepancy, sample_discrepancy

__all__ = [
    "Diffusion",
    "Discrepancy",
    "diffusion_figure",
    "discrepancy_figure",
    "sample_diffusion",
    "sample_discrepancy",
]
