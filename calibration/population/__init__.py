"""Subjects that share a distribution: maximum marginal likelihood, individual estimates, predictive checks."""

from calibration.population.estimate import PopulationFit, fit_population
from calibration.population.marginal import MarginalLikelihood
from calibration.population.predictive_check import PredictiveCheck, predictive_check

__all__ = ["MarginalLikelihood", "PopulationFit", "PredictiveCheck", "fit_population", "predictive_check"]
