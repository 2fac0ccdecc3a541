"""Integration of a `System` over lanes: methods, adaptive steps, samples, gradients."""

from twin.solve.integrate import Nodes, Tolerance, describe_failures, integrate
from twin.solve.method import Method, Segment, Step
from twin.solve.methods import METHODS, method_named
from twin.solve.sample import Samples, sample

__all__ = [
    "METHODS",
    "Method",
    "Nodes",
    "Samples",
    "Segment",
    "Step",
    "Tolerance",
    "describe_failures",
    "integrate",
    "method_named",
    "sample",
]
