"""The public names of every package, and that importing them leaves JAX alone."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

PUBLIC = {
    "twin": """Assignment Bands Beta Bolus Change Choice Cohort ConservedTotal Count Effect Endpoint Equilibration
        Estimate Event EventTable Experiment Factor Gamma Infusion Input Limit LogNormal LogUniform Measure Measurements
        Model Noise Normal Observable Optimum Parameter Prior Published Reaction Reset Scenario State Study Treatment
        Triangular Twin Uniform float64 interactive linear_noise open_scenario read_antimony read_event_table
        read_measurements read_sbml read_scenario read_treatment simulate simulate_cohort simulate_jumps
        simulate_langevin write_results write_sbml""",
    "twin.cohort": """Bands Beta Choice Cohort Count Gamma LogNormal LogUniform Normal Triangular Uniform
        simulate_cohort""",
    "twin.model": """Assignment ConservedTotal Event Input Model Observable Parameter Published Reaction State""",
    "twin.compile": "System compile_model",
    "twin.experiment": "Bolus Change Equilibration Experiment Infusion Reset",
    "twin.scenario": "Endpoint Factor Scenario open_scenario read_scenario",
    "twin.scenario.optimise": "Limit Measure Optimum Treatment read_treatment",
    "twin.live": "Ensemble Twin",
    "twin.solve": """AUTO METHODS Method Samples Segment Step Stepped Tolerance choose describe_failures integrate
        integrate_and_read method_named numbers_per_sample""",
    "models": "card data dataset datasets list load studies study",
}


@pytest.mark.parametrize("package", list(PUBLIC))
def test_public_names(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == sorted(PUBLIC[package].split())
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_unknown_name_of_twin() -> None:
    with pytest.raises(AttributeError, match="module 'twin' has no attribute 'simulat'"):
        import_module("twin").simulat


def test_names_are_listed() -> None:
    twin = import_module("twin")
    assert set(twin.__all__) <= set(dir(twin))


@pytest.mark.parametrize("switch", ["0", "1"])
def test_importing_leaves_the_precision_switch(switch: str) -> None:
    code = f"""if True:
        import jax, numpy
        before = jax.config.jax_enable_x64
        import twin, models
        assert [getattr(twin, name) for name in twin.__all__]
        assert models.load("theophylline")
        assert jax.config.jax_enable_x64 == before == bool({switch})
        assert jax.numpy.zeros(1).dtype == (numpy.float64 if {switch} else numpy.float32)
    """
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={"JAX_ENABLE_X64": switch, "PATH": "", "JAX_PLATFORMS": "cpu"}
    )


def test_importing_twin_is_light() -> None:
    code = "import sys, twin; assert not {'jax', 'sympy', 'xarray', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
