"""The negative controls: each is the wrong mechanism that it says it is, fits its data's shape, and is found out."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation import evaluate, values_at
from reference_systems import Reference, Values, Vector

import calibration
import models
from models.wrong import CONTROLS, Control

NAMES = tuple(CONTROLS)


def _no_effect(t: float, y: Vector, p: Values) -> Vector:
    infection = p["c"] / (p["N"] * p["T0"]) * y[1] * p["T0"]
    return np.array([infection - p["delta"] * y[0], p["N"] * p["delta"] * y[0] - p["c"] * y[1]])


def _unlimited(t: float, y: Vector, p: Values) -> Vector:
    eclipse, producing, virus = y
    return np.array(
        [
            p["beta"] * p["T0"] * virus - p["k"] * eclipse,
            p["k"] * eclipse - p["delta"] * producing,
            p["p"] * producing - p["c"] * virus,
        ]
    )


#: The wrong equations typed again; parameters that are not named keep the model's values.
REFERENCES = {
    "ampicillin_unsaturated": Reference(
        states=("B",),
        parameters={"psi_max": 0.75, "zMIC": 3.4, "a": 6.0, "B0": 1.08e6},
        rhs=lambda t, y, p: np.log(10.0) * p["psi_max"] * (1 - p["a"] / p["zMIC"]) * y,
        y0=lambda p: np.array([p["B0"]]),
        times=np.linspace(0.0, 5.0, 11),
        observables=lambda y, p: {"cfu": y[0] + 1.0},
    ),
    "hiv_drug_without_effect": Reference(
        states=("Tstar", "V_I"),
        parameters={"c": 2.06, "delta": 0.53, "V0": 1.86e6, "N": 480.0, "T0": 1.1e4},
        rhs=_no_effect,
        y0=lambda p: np.array([p["c"] * p["V0"] / (p["N"] * p["delta"]), p["V0"]]),
        times=np.linspace(0.0, 7.0, 15),
        observables=lambda y, p: {"rna": y[1]},
    ),
    "influenza_unlimited_cells": Reference(
        states=("E", "I", "V"),
        parameters={"beta": 3.2e-5, "k": 4.0, "delta": 5.2, "p": 4.6e-2, "c": 5.2, "T0": 4e8, "V0": 7.5e-2},
        rhs=_unlimited,
        y0=lambda p: np.array([0.0, 0.0, p["V0"]]),
        times=np.linspace(0.0, 2.0, 9),
        observables=lambda y, p: {"log10_titre": np.log10(y[2] + 1e-3)},
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_rhs_and_readings_equal_the_wrong_law_by_hand(name: str) -> None:
    model, reference = CONTROLS[name].model, REFERENCES[name]
    assert model.state_names == reference.states
    rng = np.random.default_rng(7)
    for _ in range(5):
        y = (np.abs(reference.y0(reference.parameters)) + 1.0) * rng.uniform(0.1, 2.0, len(reference.states))
        p = {key: value * rng.uniform(0.5, 2.0) for key, value in reference.parameters.items()}
        values = values_at(model, reference.states, 1.0, y, p)
        actual = np.array([evaluate(expression, values) for expression in model.rhs])
        expected = reference.rhs(1.0, y, p)
        np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())
        for observable, reading in reference.observables(y, p).items():
            assert evaluate(model.observable_expr(observable), values) == pytest.approx(reading, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_control_keeps_the_right_study_but_the_mechanism(name: str) -> None:
    control = CONTROLS[name]
    right, study = models.study(control.right), control.study
    assert study.name == study.model == control.model.name == name
    assert (study.dataset, study.noise, study.score_scale) == (right.dataset, right.noise, right.score_scale)
    assert (study.splits, study.held_out_experiments) == (right.splits, right.held_out_experiments)
    assert control.split in study.splits
    assert control.wrong
    assert control.why
    assert {estimate.prior.source for estimate in study.estimates} - {""}
    known = set(control.model.parameter_names)
    in_noise = {"sd_add", "sd_prop", "sd_log", "sd_log10"}
    assert {estimate.name for estimate in study.estimates} <= known | in_noise
    for experiment in study.experiments.values():
        assert set(experiment.parameters) <= known


def test_controls_are_in_no_library() -> None:
    assert not set(NAMES) & set(models.list())
    assert not set(NAMES) & set(models.studies())


def _assess(control: Control) -> calibration.Assessment:
    problem = calibration.Problem.from_study(control.study, model=control.model)
    return calibration.assess(problem, control.split, starts=4, chains=2, warmup=150, draws=150, quiet=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # two short chains: ArviZ calls their diagnostics rough
@pytest.mark.parametrize("name", NAMES)
def test_control_is_flagged(name: str) -> None:
    assert _assess(CONTROLS[name]).verdict.label in ("no better", "worse")
