"""Treatments: which dose, when and for how long is best for a cohort, within limits, and how sure that is."""

from twin.scenario.optimise.measures import Limit, Measure
from twin.scenario.optimise.optimum import Optimum
from twin.scenario.optimise.treatment import Treatment
from twin.scenario.optimise.treatment_file import read_treatment

__all__ = ["Limit", "Measure", "Optimum", "Treatment", "read_treatment"]
