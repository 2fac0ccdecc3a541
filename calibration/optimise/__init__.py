"""Fitting: starting points, the objective with its curvature, trust regions, multi-start."""

from calibration.optimise.fit import Fit, fit

__all__ = ["Fit", "fit"]
