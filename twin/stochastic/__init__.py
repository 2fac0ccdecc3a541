"""Mechanisms as random processes: molecules that react one by one, and what approximates them."""

from twin.stochastic.linear_noise import linear_noise
from twin.stochastic.simulate_jumps import simulate_jumps
from twin.stochastic.simulate_langevin import simulate_langevin

__all__ = ["linear_noise", "simulate_jumps", "simulate_langevin"]
