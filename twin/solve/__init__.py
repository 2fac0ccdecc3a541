"""Integration of a `System` over lanes: methods, adaptive steps, events, samples, gradients."""

from twin.solve.choice import choose
from twin.solve.integrate import Samples, integrate, integrate_and_read, numbers_per_sample
from twin.solve.method import Method, Segment, Step, Stepped
from twin.solve.methods import AUTO, METHODS, method_named
from twin.solve.nodes import Tolerance, describe_failures

__all__ = [
    "AUTO",
    "METHODS",
    "Method",
    "Samples",
    "Segment",
    "Step",
    "Stepped",
    "Tolerance",
    "choose",
    "describe_failures",
    "integrate",
    "integrate_and_read",
    "method_named",
    "numbers_per_sample",
]
