"""Hybrid models: a learned term inside the vector field beside the mechanism, its penalty chosen on held-out data."""

from calibration.hybrid.figure import hybrid_figure
from calibration.hybrid.network import as_module, from_module
from calibration.hybrid.problem import hybrid_problem
from calibration.hybrid.result import Hybrid
from calibration.hybrid.term import NeuralTerm, TermInput
from calibration.hybrid.train import train_hybrid

__all__ = [
    "Hybrid",
    "NeuralTerm",
    "TermInput",
    "as_module",
    "from_module",
    "hybrid_figure",
    "hybrid_problem",
    "train_hybrid",
]
