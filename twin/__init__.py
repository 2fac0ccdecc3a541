"""The engine: describe a mechanism, say what is done to it, simulate it.

Names are imported when first used, so that ``import twin`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twin.collector import collector_paused

if TYPE_CHECKING:
    from twin.cohort import (
        Bands,
        Beta,
        Choice,
        Cohort,
        Count,
        Gamma,
        LogNormal,
        LogUniform,
        Normal,
        Triangular,
        Uniform,
        simulate_cohort,
    )
    from twin.exchange.antimony import read_antimony
    from twin.exchange.results import write_results
    from twin.exchange.sbml import read_sbml, write_sbml
    from twin.experiment import Bolus, Change, Equilibration, Experiment, Infusion, Reset
    from twin.interactive_figure import interactive
    from twin.live import Twin
    from twin.measurements import EventTable, Measurements, read_event_table, read_measurements
    from twin.model import (
        Assignment,
        ConservedTotal,
        Event,
        Input,
        Model,
        Observable,
        Parameter,
        Published,
        Reaction,
        State,
    )
    from twin.precision import float64
    from twin.scenario import Endpoint, Factor, Scenario, open_scenario, read_scenario
    from twin.scenario.optimise import Limit, Measure, Optimum, Treatment, read_treatment
    from twin.simulation import simulate
    from twin.stochastic import linear_noise, simulate_jumps, simulate_langevin
    from twin.study import Effect, Estimate, Noise, Prior, Study

_HOME = {
    "twin.cohort": (
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
    ),
    "twin.exchange.antimony": ("read_antimony",),
    "twin.exchange.results": ("write_results",),
    "twin.exchange.sbml": ("read_sbml", "write_sbml"),
    "twin.experiment": ("Bolus", "Change", "Equilibration", "Experiment", "Infusion", "Reset"),
    "twin.interactive_figure": ("interactive",),
    "twin.live": ("Twin",),
    "twin.measurements": ("EventTable", "Measurements", "read_event_table", "read_measurements"),
    "twin.model": (
        "Assignment",
        "ConservedTotal",
        "Event",
        "Input",
        "Model",
        "Observable",
        "Parameter",
        "Published",
        "Reaction",
        "State",
    ),
    "twin.precision": ("float64",),
    "twin.scenario": ("Endpoint", "Factor", "Scenario", "open_scenario", "read_scenario"),
    "twin.scenario.optimise": ("Limit", "Measure", "Optimum", "Treatment", "read_treatment"),
    "twin.simulation": ("simulate",),
    "twin.stochastic": ("linear_noise", "simulate_jumps", "simulate_langevin"),
    "twin.study": ("Effect", "Estimate", "Noise", "Prior", "Study"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Assignment",
    "Bands",
    "Beta",
    "Bolus",
    "Change",
    "Choice",
    "Cohort",
    "ConservedTotal",
    "Count",
    "Effect",
    "Endpoint",
    "Equilibration",
    "Estimate",
    "Event",
    "EventTable",
    "Experiment",
    "Factor",
    "Gamma",
    "Infusion",
    "Input",
    "Limit",
    "LogNormal",
    "LogUniform",
    "Measure",
    "Measurements",
    "Model",
    "Noise",
    "Normal",
    "Observable",
    "Optimum",
    "Parameter",
    "Prior",
    "Published",
    "Reaction",
    "Reset",
    "Scenario",
    "State",
    "Study",
    "Treatment",
    "Triangular",
    "Twin",
    "Uniform",
    "float64",
    "interactive",
    "linear_noise",
    "open_scenario",
    "read_antimony",
    "read_event_table",
    "read_measurements",
    "read_sbml",
    "read_scenario",
    "read_treatment",
    "simulate",
    "simulate_cohort",
    "simulate_jumps",
    "simulate_langevin",
    "write_results",
    "write_sbml",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        with collector_paused():
            value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'twin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
