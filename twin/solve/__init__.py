"""Integration of a `System` over lanes: methods, adaptive steps, events, samples, gradients."""

from twin.solve.integrate import integrate
from twin.solve.method import Method, Segment, Step
from twin.solve.methods import METHODS, method_named
from twin.solve.nodes import Nodes, Tolerance, describe_failures
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
