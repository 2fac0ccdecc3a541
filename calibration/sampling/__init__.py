"""Sampling from the posterior, and whether its posteriors can be trusted."""

from calibration.sampling.diagnostics import loo, prior_sensitivity
from calibration.sampling.figures import chain_rank_figure, predictive_figure
from calibration.sampling.posterior import sample
from calibration.sampling.simulation import RankStatistics, sbc

__all__ = ["RankStatistics", "chain_rank_figure", "loo", "predictive_figure", "prior_sensitivity", "sample", "sbc"]
