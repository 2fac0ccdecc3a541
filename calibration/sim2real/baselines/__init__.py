"""Curves through the points: what a twin has to beat."""

from calibration.sim2real.baselines.suite import BASELINES, Prediction, predict_baselines
from calibration.sim2real.baselines.task import Forecast, Task, UndefinedBaselineError

__all__ = ["BASELINES", "Forecast", "Prediction", "Task", "UndefinedBaselineError", "predict_baselines"]
