"""How readings scatter around predictions: one noise model per file, found by the name users write."""

from calibration.noise.base import NoiseModel
from calibration.noise.laplace import Laplace
from calibration.noise.log_laplace import LogLaplace
from calibration.noise.log_normal import LogNormal
from calibration.noise.normal import Normal
from calibration.noise.student_t import StudentT

NOISE_MODELS: dict[str, type[NoiseModel]] = {
    model.family: model for model in (Normal, LogNormal, StudentT, Laplace, LogLaplace)
}

__all__ = ["NOISE_MODELS", "Laplace", "LogLaplace", "LogNormal", "NoiseModel", "Normal", "StudentT"]
