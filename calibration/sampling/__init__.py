"""Sampling from the posterior."""

from calibration.sampling.posterior import sample

__all__ = ["sample"]
