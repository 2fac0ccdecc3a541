"""Populations of virtual subjects: drawing them, simulating them in bounded memory, summarising on the way."""

from twin.cohort.cohort import Cohort
from twin.cohort.distributions import Beta, Choice, Gamma, LogNormal, LogUniform, Normal, Triangular, Uniform
from twin.cohort.stream import simulate_cohort
from twin.cohort.summaries import Bands, Count

__all__ = [
    "Bands",
    "Beta",
    "Choice",
    "Cohort",
    "Count",
    "Gamma",
    "LogNormal",
    "LogUniform",
    "Normal",
    "Triangular",
    "Uniform",
    "simulate_cohort",
]
