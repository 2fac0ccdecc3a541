"""Every model of the library, simulated, against other engines on the equations typed again."""

from __future__ import annotations

import dataclasses
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from reference_systems import DOSES, PEPOR_TIMES, REFERENCES, Reference
from scipy.integrate import solve_ivp

import models
import twin

# At the published optimum of Crauste 2017 the pathogen runs away in finite time a little beyond the data: two solvers
# cannot be compared there. This one is a good fit, too, and far from it.
CALMER = {
    name: 10.0**value
    for name, value in zip(
        ("mu_N", "delta_NE", "rho_E", "mu_EE", "delta_EL", "mu_LL", "delta_LM", "rho_P", "mu_PL"),
        (-0.12, -2.22, -0.28, -4.96, -0.71, -5.33, -1.29, -0.92, -4.27),
        strict=True,
    )
}


def _radau(reference: Reference) -> np.ndarray:
    """States [state, time]; the integration is restarted at the knots of Swameye's input."""
    p, times = reference.parameters, reference.times
    y, found = reference.y0(p), []
    stops = np.union1d(times, PEPOR_TIMES if "scale_tSTAT5" in p else [])
    largest = max(1.0, float(np.abs(y).max()))
    for start, end in pairwise(stops):
        if start in times:
            found.append(y)
        solution = solve_ivp(
            lambda t, y: reference.rhs(t, y, p), (start, end), y, "Radau", rtol=1e-10, atol=1e-14 * largest
        )
        assert solution.success, solution.message
        y = solution.y[:, -1]
    return np.transpose([*found, y])


def _experiment(name: str) -> twin.Experiment | None:
    """What the reference does to the system beyond its parameters."""
    return twin.Experiment([twin.Bolus(*DOSES[name])]) if name in DOSES else None


@pytest.mark.parametrize("name", models.list())
def test_simulation_equals_radau(name: str) -> None:
    model, reference = models.load(name), REFERENCES[name]
    if name == "cd8_crauste":
        reference = dataclasses.replace(reference, parameters={**reference.parameters, **CALMER})
    ds = twin.simulate(model, reference.times, reference.parameters, _experiment(name), rtol=1e-9)
    expected = _radau(reference)
    for state, course in zip(reference.states, expected, strict=True):
        np.testing.assert_allclose(ds[state], course, rtol=1e-6, atol=1e-6 * np.abs(course).max(), err_msg=state)
    readings = [reference.observables(y, reference.parameters) for y in expected.T]
    for observable in model.observable_names:
        course = np.array([reading[observable] for reading in readings])
        np.testing.assert_allclose(
            ds[observable], course, rtol=1e-6, atol=1e-6 * np.abs(course).max(), err_msg=observable
        )


INFLUENZA_SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model>
<listOfParameters>{parameters}</listOfParameters>
<listOfRules>{rules}</listOfRules></model></sbml>"""


def _influenza_sbml(p: dict[str, float]) -> str:
    """Baccam 2006 as rate rules."""

    def product(*factors: str) -> str:
        return f"<apply><times/>{''.join(f'<ci>{x}</ci>' if x.isidentifier() else x for x in factors)}</apply>"

    def minus(a: str, b: str) -> str:
        return f"<apply><minus/>{a}{b}</apply>"

    infection = product("beta", "T", "V")
    rates = {
        "T": f"<apply><minus/>{infection}</apply>",
        "E": minus(infection, product("k", "E")),
        "I": minus(product("k", "E"), product("delta", "I")),
        "V": minus(product("p", "I"), product("c", "V")),
    }
    start = {"T": p["T0"], "E": 0.0, "I": 0.0, "V": p["V0"]}
    parameters = [f'<parameter id="{n}" value="{v!r}" constant="true"/>' for n, v in p.items()]
    parameters += [f'<parameter id="{n}" value="{v!r}" constant="false"/>' for n, v in start.items()]
    maths = '<math xmlns="http://www.w3.org/1998/Math/MathML">{}</math>'
    rules = [f'<rateRule variable="{n}">{maths.format(r)}</rateRule>' for n, r in rates.items()]
    return INFLUENZA_SBML.format(parameters="".join(parameters), rules="".join(rules))


def _roadrunner(source: str, times: np.ndarray, names: list[str], overrides: dict[str, float]) -> np.ndarray:
    """Values [name, time] by CVODES."""
    roadrunner = pytest.importorskip("roadrunner", reason="libroadrunner is not installed")
    engine = roadrunner.RoadRunner(source)
    for name, value in overrides.items():
        engine.setValue(name, value)
    engine.integrator.setValue("relative_tolerance", 1e-11)
    engine.integrator.setValue("absolute_tolerance", 1e-14)
    engine.integrator.setValue("maximum_num_steps", 100000)
    return np.asarray(engine.simulate(times=times.tolist(), selections=["time", *names]))[:, 1:].T


# The SWIG wrappers of libroadrunner and libsbml.
SWIG = pytest.mark.filterwarnings("ignore:builtin type .*[sS]wig.* has no __module__ attribute:DeprecationWarning")


@SWIG
def test_influenza_equals_libroadrunner() -> None:
    reference = REFERENCES["influenza_teiv"]
    names = list(reference.states)
    expected = _roadrunner(_influenza_sbml(dict(reference.parameters)), reference.times, names, {})
    ds = twin.simulate(models.load("influenza_teiv"), reference.times, variables=names, rtol=1e-9)
    for state, course in zip(names, expected, strict=True):
        np.testing.assert_allclose(ds[state], course, rtol=1e-6, atol=1e-6 * np.abs(course).max(), err_msg=state)


@SWIG
def test_stat5_equals_libroadrunner_on_the_published_sbml() -> None:
    root = Path(__file__).parents[2]
    shared = Path(os.environ.get("CYTOTWIN_SHARED", root.parent / "shared"))
    folder = shared / "petab-benchmarks" / "Boehm_JProteomeRes2014"
    found = sorted(folder.glob("*.xml"))
    if not found:
        pytest.skip(f"{folder} holds no SBML; set CYTOTWIN_SHARED to the folder that holds petab-benchmarks/")
    model, reference = models.load("stat5_boehm"), REFERENCES["stat5_boehm"]
    names = list(reference.states)
    estimated = ("k_phos", "Epo_degradation_BaF3", "k_imp_homo", "k_imp_hetero", "k_exp_homo", "k_exp_hetero", "ratio")
    overrides = {name: reference.parameters[name] for name in estimated}
    expected = _roadrunner(str(found[0]), reference.times, [f"[{name}]" for name in names], overrides)
    ds = twin.simulate(model, reference.times, variables=names, rtol=1e-9)
    for state, course in zip(names, expected, strict=True):
        np.testing.assert_allclose(ds[state], course, rtol=1e-6, atol=1e-6 * np.abs(course).max(), err_msg=state)
