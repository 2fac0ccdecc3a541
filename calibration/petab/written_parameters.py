"""Entries of a parameter vector as rows of a PEtab parameter table."""

from __future__ import annotations

import math

from calibration.parameters import Entry
from calibration.petab.errors import UnsupportedPetabError
from calibration.scales import linear

V1_LINEAR = {"uniform": "uniform", "normal": "normal", "laplace": "laplace", "log_normal": "logNormal"} | {
    "log_laplace": "logLaplace"
}
V1_SCALED = {"uniform": "parameterScaleUniform", "normal": "parameterScaleNormal", "laplace": "parameterScaleLaplace"}
V2 = {
    name: name.replace("_", "-") for name in ("uniform", "normal", "laplace", "cauchy", "rayleigh", "exponential")
} | {name: name.replace("_", "-") for name in ("gamma", "log_uniform", "log_normal", "log_laplace")}
V2_OF_LOGARITHM = {"uniform": "log-uniform", "normal": "log-normal", "laplace": "log-laplace"}


def linear_value(entry: Entry, value: float) -> float:
    """A number of the estimation scale on the linear scale."""
    return float(linear(value, entry.scale))


def written_prior(entry: Entry, version: int) -> tuple[str, str]:
    """Family and arguments of a prior; empty for one that is uniform between the bounds.

    Raises:
        UnsupportedPetabError: the version has no such prior.
    """
    prior, low, high = entry.prior, linear_value(entry, entry.lower), linear_value(entry, entry.upper)
    linear = prior.linear or entry.scale == "lin"
    family, location, scale = prior.family, prior.location, prior.scale
    if family == "half_normal" and location <= entry.lower and linear:
        family = "normal"  # truncated to the bounds, it is the same
    if family == "uniform" and (not linear or version == 2) and (version == 1 or linear):
        return "", ""
    if version == 1:
        name = (V1_LINEAR if prior.linear or family not in V1_SCALED else V1_SCALED).get(family)
        arguments = (low, high) if family == "uniform" else (location, scale)
    elif linear:
        name = V2.get(family)
        arguments = {
            "uniform": (low, high),
            "log_uniform": (low, high),
            "exponential": (scale,),
            "rayleigh": (scale,),
            "gamma": (prior.shape, scale),
        }.get(family, (location, scale))
    else:
        name = V2_OF_LOGARITHM.get(family)
        unit = {"log": 1.0, "log10": math.log(10.0)}[entry.scale]
        arguments = (low, high) if family == "uniform" else (location * unit, scale * unit)
    if name is None:
        raise UnsupportedPetabError(
            f"the prior of {entry.name!r} is {prior.family} on a {'linear' if linear else entry.scale} scale",
            where="write_petab",
            expected=f"a family that PEtab {version} has",
            fix="give priors='omit' to write the likelihood without the priors that PEtab does not have",
        )
    return name, ";".join(repr(float(x)) for x in arguments)
