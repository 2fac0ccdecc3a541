"""Sampling from the posterior."""

from calibration.sample.posterior import sample

__all__ = ["sample"]
