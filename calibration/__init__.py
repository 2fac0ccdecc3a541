"""Inference and validation: fit a mechanism to measurements, sample its posterior, measure the gap to reality.

Names are imported when first used, so that ``import calibration`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twin.collector import collector_paused

if TYPE_CHECKING:
    from calibration.assimilate.twin_of import twin_of
    from calibration.comparison.compare import compare
    from calibration.comparison.result import Comparison
    from calibration.comparison.select import select
    from calibration.comparison.selection import Selection
    from calibration.experimental_design.candidates import Candidates, candidates
    from calibration.experimental_design.design import design
    from calibration.experimental_design.result import Design
    from calibration.information.fisher import FisherInformation, fisher_information
    from calibration.information.sensitivity import Sensitivity, sensitivity
    from calibration.inner.table import inner_parameters
    from calibration.optimise.fit import Fit, fit
    from calibration.petab.read import read_petab
    from calibration.petab.write import write_petab
    from calibration.problem import Problem
    from calibration.profiles.likelihood import profile
    from calibration.profiles.pair import PairProfile, profile_pair
    from calibration.profiles.prediction import PredictionProfiles, profile_prediction
    from calibration.profiles.result import Profiles
    from calibration.prospective.freeze import freeze
    from calibration.prospective.frozen import Frozen
    from calibration.prospective.score import ProspectiveScore, score
    from calibration.qualitative.grades import Grades, ordinal
    from calibration.qualitative.monotone import MonotoneReadings, monotone
    from calibration.sampling.diagnostics import loo, prior_sensitivity
    from calibration.sampling.posterior import sample
    from calibration.sampling.power import sample_power_posterior
    from calibration.sampling.simulation import RankStatistics, sbc
    from calibration.sim2real.assess import assess
    from calibration.sim2real.assessment import Assessment
    from calibration.stochastic.langevin_posterior import sample_langevin
    from calibration.stochastic.linear_noise import LinearNoiseLikelihood
    from calibration.stochastic.linear_noise_posterior import sample_linear_noise
    from calibration.stochastic.master_equation import MasterEquationLikelihood
    from calibration.stochastic.master_equation_posterior import sample_master_equation
    from calibration.stochastic.particle_filter import ParticleFilter
    from calibration.stochastic.pseudo_marginal import sample_pseudo_marginal
    from calibration.synthetic.process import Process
    from calibration.synthetic.result import Synthetic
    from calibration.synthetic.synthesize import synthesize

_MODULE_OF = {
    "Assessment": "calibration.sim2real.assessment",
    "Candidates": "calibration.experimental_design.candidates",
    "Comparison": "calibration.comparison.result",
    "Design": "calibration.experimental_design.result",
    "FisherInformation": "calibration.information.fisher",
    "Fit": "calibration.optimise.fit",
    "Frozen": "calibration.prospective.frozen",
    "Grades": "calibration.qualitative.grades",
    "MonotoneReadings": "calibration.qualitative.monotone",
    "LinearNoiseLikelihood": "calibration.stochastic.linear_noise",
    "MasterEquationLikelihood": "calibration.stochastic.master_equation",
    "PairProfile": "calibration.profiles.pair",
    "ParticleFilter": "calibration.stochastic.particle_filter",
    "PredictionProfiles": "calibration.profiles.prediction",
    "Problem": "calibration.problem",
    "Process": "calibration.synthetic.process",
    "Profiles": "calibration.profiles.result",
    "ProspectiveScore": "calibration.prospective.score",
    "RankStatistics": "calibration.sampling.simulation",
    "Selection": "calibration.comparison.selection",
    "Sensitivity": "calibration.information.sensitivity",
    "Synthetic": "calibration.synthetic.result",
    "assess": "calibration.sim2real.assess",
    "candidates": "calibration.experimental_design.candidates",
    "compare": "calibration.comparison.compare",
    "design": "calibration.experimental_design.design",
    "fisher_information": "calibration.information.fisher",
    "fit": "calibration.optimise.fit",
    "freeze": "calibration.prospective.freeze",
    "inner_parameters": "calibration.inner.table",
    "loo": "calibration.sampling.diagnostics",
    "monotone": "calibration.qualitative.monotone",
    "ordinal": "calibration.qualitative.grades",
    "prior_sensitivity": "calibration.sampling.diagnostics",
    "profile": "calibration.profiles.likelihood",
    "profile_pair": "calibration.profiles.pair",
    "profile_prediction": "calibration.profiles.prediction",
    "read_petab": "calibration.petab.read",
    "sample": "calibration.sampling.posterior",
    "sample_langevin": "calibration.stochastic.langevin_posterior",
    "sample_linear_noise": "calibration.stochastic.linear_noise_posterior",
    "sample_master_equation": "calibration.stochastic.master_equation_posterior",
    "sample_power_posterior": "calibration.sampling.power",
    "sample_pseudo_marginal": "calibration.stochastic.pseudo_marginal",
    "sbc": "calibration.sampling.simulation",
    "score": "calibration.prospective.score",
    "select": "calibration.comparison.select",
    "sensitivity": "calibration.information.sensitivity",
    "synthesize": "calibration.synthetic.synthesize",
    "twin_of": "calibration.assimilate.twin_of",
    "write_petab": "calibration.petab.write",
}

__all__ = [
    "Assessment",
    "Candidates",
    "Comparison",
    "Design",
    "FisherInformation",
    "Fit",
    "Frozen",
    "Grades",
    "LinearNoiseLikelihood",
    "MasterEquationLikelihood",
    "MonotoneReadings",
    "PairProfile",
    "ParticleFilter",
    "PredictionProfiles",
    "Problem",
    "Process",
    "Profiles",
    "ProspectiveScore",
    "RankStatistics",
    "Selection",
    "Sensitivity",
    "Synthetic",
    "assess",
    "candidates",
    "compare",
    "design",
    "fisher_information",
    "fit",
    "freeze",
    "inner_parameters",
    "loo",
    "monotone",
    "ordinal",
    "prior_sensitivity",
    "profile",
    "profile_pair",
    "profile_prediction",
    "read_petab",
    "sample",
    "sample_langevin",
    "sample_linear_noise",
    "sample_master_equation",
    "sample_power_posterior",
    "sample_pseudo_marginal",
    "sbc",
    "score",
    "select",
    "sensitivity",
    "synthesize",
    "twin_of",
    "write_petab",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        with collector_paused():
            value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'calibration' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
