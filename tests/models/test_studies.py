"""Laws for every study: it fits its model and its data, and says why each prior is what it is."""

from __future__ import annotations

import re

import pytest

import models
from twin.experiment.experiment import Bolus, Change
from twin.study import Estimate, Study

NAMES = (
    "cd8_crauste2017",
    "hiv_actg315",
    "hiv_perelson1996",
    "il13_raia2011",
    "influenza_baccam2006",
    "influenza_hayden1996",
    "jakstat_swameye2003",
    "mrna_golding2005",
    "sarscov2_woelfel2020",
    "stat5_boehm2014",
    "theophylline",
    "timekill_regoes2004",
    "warfarin_oreilly1968",
)


#: Studies of many subjects with random effects: the most numbers that may be estimated.
LARGE = {
    "il13_raia2011": 32,  # as published: 18 of dynamics, 5 scales; 9 of noise
    "hiv_actg315": 99,  # two random effects and 46 subjects
    "theophylline": 31,  # two random effects, after Pinheiro and Bates (1995), and twelve subjects
    "warfarin_oreilly1968": 75,  # two random effects and 32 subjects
}


def _symbols(formula: str | float | None) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", formula)) if isinstance(formula, str) else set()


def _estimated_names(study: Study) -> set[str]:
    return {estimate.name for estimate in study.estimates}


@pytest.mark.parametrize("name", NAMES)
def test_model_data_and_experiments_meet(name: str) -> None:
    study = models.study(name)
    model, table = models.load(study.model), models.data(study.dataset)
    assert study.name == name
    assert study.description
    assert set(table["observable"]) == set(study.noise) == set(study.score_scale)
    assert set(study.noise) <= set(model.observable_names)
    assert set(table["experiment"]) == set(study.experiments)
    assert set(study.floor) <= set(study.noise)
    dataset = models.dataset(study.dataset)
    assert dataset.time_unit == model.time_unit
    for observable in study.noise:
        assert dataset.units[observable] == model.unit(observable)


@pytest.mark.parametrize("name", NAMES)
def test_splits_can_be_made(name: str) -> None:
    study = models.study(name)
    table = models.data(study.dataset)
    assert "time" in study.splits
    if "subject" in study.splits:
        assert len(set(table["subject"])) > 1
    assert ("experiment" in study.splits) == bool(study.held_out_experiments)
    assert set(study.held_out_experiments) < set(study.experiments)
    if study.covariate:
        assert set(study.covariate) == set(study.experiments)


@pytest.mark.parametrize("name", NAMES)
def test_estimates_are_bounded_and_explained(name: str) -> None:
    study = models.study(name)
    defaults = models.load(study.model).default_parameters
    assert len(_estimated_names(study)) == len(study.estimates)
    for estimate in study.estimates:
        nominal = defaults.get(estimate.name) if estimate.nominal is None else estimate.nominal
        assert nominal is not None, f"{estimate.name} has no nominal value"
        assert estimate.lower < nominal < estimate.upper
        assert estimate.scale == "lin" or estimate.lower > 0
        assert estimate.prior.source
        if estimate.per == "subject":
            assert estimate.between is not None


@pytest.mark.parametrize("name", NAMES)
def test_every_new_name_is_used_by_a_noise_formula(name: str) -> None:
    study = models.study(name)
    parameters = set(models.load(study.model).parameter_names)
    in_noise = set().union(*(_symbols(noise.scale) for noise in study.noise.values()))
    assert _estimated_names(study) - parameters <= in_noise
    assert in_noise <= _estimated_names(study) | parameters | set(study.noise)
    assert set(study.fixed) <= parameters
    assert not set(study.fixed) & _estimated_names(study)


@pytest.mark.parametrize("name", NAMES)
def test_table_carries_noise_where_the_noise_model_takes_it(name: str) -> None:
    study = models.study(name)
    table = models.data(study.dataset)
    for observable, noise in study.noise.items():
        if noise.scale is None:
            assert table.loc[table["observable"] == observable, "noise"].notna().all()


@pytest.mark.parametrize("name", NAMES)
def test_experiments_touch_what_the_model_has(name: str) -> None:
    study = models.study(name)
    model = models.load(study.model)
    for experiment in study.experiments.values():
        assert experiment.description
        assert set(experiment.parameters) <= set(model.parameter_names)
        for dose in experiment.doses:
            assert dose.target in model.state_names
        for change in experiment.changes:
            assert change.target in model.parameter_names
            assert _symbols(change.value) <= set(model.parameter_names)  # type: ignore[arg-type]


def _scalars(study: Study, estimate: Estimate) -> int:
    if estimate.per == "shared":
        return 1
    levels = len(set(models.data(study.dataset)[estimate.per]))
    return levels if estimate.between is None else 1 + levels + (not isinstance(estimate.between, float))


@pytest.mark.parametrize("name", NAMES)
def test_problem_stays_small(name: str) -> None:
    study = models.study(name)
    count = sum(_scalars(study, estimate) for estimate in study.estimates)
    assert count <= LARGE.get(name, 25)


def test_zanamivir_lowers_production_from_the_start_of_treatment() -> None:
    study = models.study("influenza_hayden1996")
    assert study.experiments["placebo"].changes == ()
    for arm, hours in (("early", 29.0), ("delayed", 50.0)):
        (change,) = study.experiments[arm].changes
        assert isinstance(change, Change)
        assert (change.target, change.value) == ("p", "p * (1 - efficacy)")
        assert change.start == pytest.approx(hours / 24)


def test_theophylline_doses_are_those_of_the_table() -> None:
    for name, experiment in models.study("theophylline").experiments.items():
        (dose,) = experiment.doses
        assert isinstance(dose, Bolus)
        assert f"oral_{dose.amount:g}" == name


def test_held_out_concentrations_include_the_highest() -> None:
    study = models.study("timekill_regoes2004")
    highest = max(study.experiments, key=lambda name: float(study.experiments[name].parameters["a"]))
    assert highest in study.held_out_experiments
