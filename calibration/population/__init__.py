"""Subjects that share a distribution: maximum marginal likelihood, individual estimates, predictive checks."""

from calibration.population.estimate import PopulationFit, fit_population
from calibration.population.importance import ImportanceSampled, importance_sampling
from calibration.population.marginal import MarginalLikelihood
from calibration.population.predictive_check import PredictiveCheck, predictive_check

__all__ = [
    "ImportanceSampled",
    "MarginalLikelihood",
    "PopulationFit",
    "PredictiveCheck",
    "fit_population",
    "importance_sampling",
    "predictive_check",
]
