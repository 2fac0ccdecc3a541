"""Fitting: starting points, the objective with its curvature, Fisher scoring, multi-start."""

from calibration.optimise.fit import Fit, fit

__all__ = ["Fit", "fit"]
