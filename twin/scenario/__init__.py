"""Scenarios: an experiment with factors applied to a cohort, endpoints read off every patient, nothing ever lost."""

from twin.scenario.endpoints import Endpoint
from twin.scenario.factors import Factor
from twin.scenario.results import open_scenario
from twin.scenario.scenario import Scenario
from twin.scenario.scenario_file import read_scenario

__all__ = ["Endpoint", "Factor", "Scenario", "open_scenario", "read_scenario"]
