"""Profile likelihoods: how far each parameter, pair of parameters or prediction can move before the data object."""

from calibration.profiles.likelihood import profile
from calibration.profiles.pair import PairProfile, profile_pair
from calibration.profiles.prediction import PredictionProfiles, profile_prediction
from calibration.profiles.result import Profiles

__all__ = ["PairProfile", "PredictionProfiles", "Profiles", "profile", "profile_pair", "profile_prediction"]
