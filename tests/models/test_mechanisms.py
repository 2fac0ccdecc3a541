"""Laws for every mechanism: it equals the paper written by hand, and its card is complete."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sympy
from evaluation import evaluate, values_at
from reference_systems import DOSES, REFERENCES, Reference, hiv_total, regoes_psi, theophylline_concentration
from scipy.integrate import solve_ivp

import models
import twin

NAMES = tuple(REFERENCES)


def _solve(reference: Reference, p: Mapping[str, float]) -> np.ndarray:
    """States at the reference's times by Radau, shape [time, state]."""
    y0 = reference.y0(p)
    span = (reference.times[0], reference.times[-1])
    solution = solve_ivp(
        lambda t, y: reference.rhs(t, y, p),
        span,
        y0,
        method="Radau",
        rtol=1e-10,
        atol=1e-10 * max(1.0, np.abs(y0).max()) * 1e-3,
        t_eval=reference.times,
        # The input of Swameye's model has kinks every 2 min that an adaptive step could jump over.
        max_step=(span[1] - span[0]) / 50,
    )
    assert solution.success, solution.message
    return solution.y.T


@pytest.mark.parametrize("name", NAMES)
def test_rhs_equals_the_paper_by_hand(name: str) -> None:
    model, reference = models.load(name), REFERENCES[name]
    assert model.state_names == reference.states
    rng = np.random.default_rng(7)
    for _ in range(5):
        t = float(rng.uniform(0.01, reference.times[-1]))
        # States are of the order of their start, or of 1; parameters vary around the nominal values.
        y = (np.abs(reference.y0(reference.parameters)) + 1.0) * rng.uniform(0.1, 2.0, len(reference.states))
        p = {key: value * rng.uniform(0.5, 2.0) for key, value in reference.parameters.items()}
        values = values_at(model, reference.states, t, y, p)
        actual = np.array([evaluate(expression, values) for expression in model.rhs])
        expected = reference.rhs(t, y, p)
        # A guard (the trace of antibiotic) moves rates by less than 1e-7; the rest is exact to rounding.
        tolerance = 1e-7 if name == "ampicillin_timekill" else 1e-11
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_defaults_start_and_readings_equal_the_reference(name: str) -> None:
    model, reference = models.load(name), REFERENCES[name]
    for key, value in reference.parameters.items():
        if key not in ("a", "il13_level"):  # the dose is a condition of the experiment
            assert model.default_parameters[key] == value
    values = values_at(model, reference.states, 0.0, reference.y0(reference.parameters), reference.parameters)
    initial = np.array([evaluate(sympy.sympify(expression), values) for expression in model.initial])
    dosed, amount = DOSES.get(name, ("", 0.0))
    given = amount * (np.array(reference.states) == dosed)
    np.testing.assert_allclose(initial + given, reference.y0(reference.parameters), rtol=1e-14)

    rng = np.random.default_rng(11)
    y = (np.abs(reference.y0(reference.parameters)) + 1.0) * rng.uniform(0.1, 2.0, len(reference.states))
    values = values_at(model, reference.states, 1.0, y, reference.parameters)
    expected = reference.observables(y, reference.parameters)
    assert set(model.observable_names) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(evaluate(model.observable_expr(key), values), value, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_reference_solves_and_stays_non_negative(name: str) -> None:
    reference = REFERENCES[name]
    y = _solve(reference, reference.parameters)
    assert np.isfinite(y).all()
    assert (y > -1e-6 * np.abs(y).max(axis=0)).all()


def test_hiv_reference_equals_the_closed_form() -> None:
    reference = REFERENCES["hiv_protease_inhibitor"]
    y = _solve(reference, reference.parameters)
    np.testing.assert_allclose(y[:, 1] + y[:, 2], hiv_total(reference.times, reference.parameters), rtol=1e-7)


def test_theophylline_reference_equals_the_closed_form() -> None:
    reference = REFERENCES["theophylline"]
    y = _solve(reference, reference.parameters)
    expected = theophylline_concentration(reference.times, 4.02, reference.parameters)
    np.testing.assert_allclose(y[:, 1] / reference.parameters["V"], expected, rtol=1e-8, atol=1e-10)


def test_pharmacodynamic_function_has_its_landmarks() -> None:
    p = REFERENCES["ampicillin_timekill"].parameters
    assert regoes_psi(0.0, p) == p["psi_max"]
    assert regoes_psi(p["zMIC"], p) == pytest.approx(0.0, abs=1e-12)
    assert regoes_psi(1e12, p) == pytest.approx(p["psi_min"], rel=1e-6)


def test_influenza_reproductive_number_is_the_published_one() -> None:
    model = models.load("influenza_teiv")
    values = {model.symbol(key): value for key, value in model.default_parameters.items()}
    # Baccam 2006, abstract: about 22.
    assert evaluate(model.expand(model.formula("R0")), values) == pytest.approx(22.0, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name: str) -> None:
    card = models.card(name)
    assert card.model.name == name
    assert card.title
    assert card.valid_range
    assert card.notes
    assert card.equations
    for number, latex in card.equations:
        assert number
        assert latex.count("{") == latex.count("}")
        assert "=" in latex
    assert card.references
    assert any("doi" in bibtex for bibtex in card.references)
    for bibtex in card.references:
        assert bibtex.lstrip().startswith("@")
        assert bibtex.count("{") == bibtex.count("}")


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_unit_words_and_source(name: str) -> None:
    model = models.load(name)
    published = 0
    for parameter in model.parameters:
        assert parameter.unit
        assert parameter.description
        assert parameter.source
        for estimate in parameter.published:
            published += 1
            assert estimate.source
            lower = estimate.value if estimate.lower is None else estimate.lower
            upper = estimate.value if estimate.upper is None else estimate.upper
            assert lower <= estimate.value <= upper
    assert published
    assert model.references
    for state in model.states:
        assert state.description
        assert state.unit


def _benchmark_parameters(problem: str) -> Mapping[str, float]:
    root = Path(__file__).parents[2]
    shared = Path(os.environ.get("CYTOTWIN_SHARED", root.parent / "shared"))
    path = shared / "petab-benchmarks" / problem / f"parameters_{problem}.tsv"
    if not path.is_file():
        pytest.skip(f"{path} is not there; set CYTOTWIN_SHARED to the folder that holds petab-benchmarks/")
    return pd.read_csv(path, sep="\t", index_col="parameterId")["nominalValue"].to_dict()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("stat5_boehm", "Boehm_JProteomeRes2014"),
        ("cd8_crauste", "Crauste_CellSystems2017"),
        ("il13_raia", "Raia_CancerResearch2011"),
    ],
)
def test_defaults_equal_the_benchmark_collection(name: str, problem: str) -> None:
    defaults = models.load(name).default_parameters
    for parameter, value in _benchmark_parameters(problem).items():
        if not parameter.startswith("sd_"):
            assert defaults[parameter] == pytest.approx(value, rel=1e-10)


def test_stat5_reference_has_the_published_fit() -> None:
    """At the published optimum every standard deviation is the root mean square of its residuals."""
    reference, table = REFERENCES["stat5_boehm"], models.data("stat5_boehm2014")
    times = np.unique(table["time"])
    y = _solve(dataclasses.replace(reference, times=times), reference.parameters)
    # Boehm_JProteomeRes2014 of the PEtab benchmark collection, parameter table; a numerical optimum, so 1e-3.
    published = {
        "pSTAT5A_rel": 3.85261197844677,
        "pSTAT5B_rel": 6.59147818673419,
        "rSTAT5A_rel": 3.15271275648527,
    }
    for observable, sd in published.items():
        rows = table[table["observable"] == observable]
        states = y[np.searchsorted(times, rows["time"])]
        predicted = np.array([reference.observables(state, reference.parameters)[observable] for state in states])
        assert np.sqrt(np.mean((predicted - rows["value"]) ** 2)) == pytest.approx(sd, rel=1e-3)


def test_il13_equals_the_published_sbml() -> None:
    """The rate of every state, against the SBML model of the PEtab benchmark collection, at random points."""
    root = Path(__file__).parents[2]
    shared = Path(os.environ.get("CYTOTWIN_SHARED", root.parent / "shared"))
    file = shared / "petab-benchmarks" / "Raia_CancerResearch2011" / "model_Raia_CancerResearch2011.xml"
    if not file.is_file():
        pytest.skip(f"{file} is missing; set CYTOTWIN_SHARED to the folder that holds petab-benchmarks/")
    ours, published, reference = models.load("il13_raia"), twin.read_sbml(file), REFERENCES["il13_raia"]
    assert set(published.state_names) == set(ours.state_names)
    assert set(published.parameter_names) - {"cyt", "nuc"} <= set(ours.parameter_names)
    rng = np.random.default_rng(13)
    for _ in range(5):
        y = (reference.y0(reference.parameters) + 1.0) * rng.uniform(0.1, 2.0, len(reference.states))
        p = {key: value * rng.uniform(0.5, 2.0) for key, value in reference.parameters.items()}
        # The scales of readings are not in the SBML file.
        known = {key: value for key, value in p.items() if key in published.parameter_names}
        rates = {}
        for model, given in ((ours, p), (published, known)):
            values = values_at(model, reference.states, 1.0, y, given)
            rates[model.name] = {
                state: evaluate(expression, values)
                for state, expression in zip(model.state_names, model.rhs, strict=True)
            }
        for state, rate in rates[published.name].items():
            assert rates["il13_raia"][state] == pytest.approx(rate, rel=1e-11, abs=1e-11), state
