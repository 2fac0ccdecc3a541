"""Mechanisms as jump processes: molecules that react one by one."""

from twin.stochastic.simulate_jumps import simulate_jumps

__all__ = ["simulate_jumps"]
