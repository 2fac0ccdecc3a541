"""`twin models`: the table and the cards."""

from __future__ import annotations

import pytest

import models
from twin.cli import main


def test_table_names_everything(capsys):
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    for name in (*models.list(), *models.datasets(), *models.studies()):
        assert name in shown


@pytest.mark.parametrize("name", models.list())
def test_card_has_equations_parameters_sources_and_range(name, capsys):
    assert main(["models", name]) == 0
    shown = capsys.readouterr().out
    model = models.load(name)
    for parameter in model.parameters:
        assert f"  {parameter.name}" in shown
    for heading in ("Equations as published", "Published values", "Where the values come from", "Valid range"):
        assert heading in shown
    assert models.card(name).references[0].splitlines()[0] in shown


def test_one_name_for_model_dataset_and_study_shows_all(capsys):
    assert main(["models", "theophylline"]) == 0
    shown = capsys.readouterr().out
    assert "Model theophylline" in shown
    assert "Dataset theophylline" in shown
    assert "Study theophylline" in shown


def test_study_alone_shows_priors_and_noise(capsys):
    assert main(["models", "timekill_regoes2004"]) == 0
    shown = capsys.readouterr().out
    assert "normal(-0.2, 0.3)" in shown
    assert "cfu: log_normal, scale sd_log" in shown


def test_bibtex(capsys):
    assert main(["models", "theophylline", "--bibtex"]) == 0
    assert capsys.readouterr().out.startswith("@article{pinheiro1995approximations,")
    assert main(["models", "timekill_regoes2004", "--bibtex"]) == 0
    assert "regoes2004" in capsys.readouterr().out
    assert main(["models", "--bibtex"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("@article{pinheiro1995approximations,") == 1
    assert "regoes2004" in shown


def test_unknown_name_names_the_nearest(capsys):
    assert main(["models", "influensa_teiv"]) == 2
    assert "did you mean 'influenza_teiv'?" in capsys.readouterr().err
