"""Models, experiments, estimates and noise of the whole library survive JSON; records of other things are refused."""

from __future__ import annotations

import json

import pytest

from twin import library
from twin.errors import ExperimentError, ProblemError
from twin.live.records import as_record, from_record


def through_json(value: object) -> object:
    return from_record(json.loads(json.dumps(as_record(value), allow_nan=False)), "test")


@pytest.mark.parametrize("name", library.list_models())
def test_models(name: str) -> None:
    model = library.load_model(name)
    again = through_json(model)
    assert again == model and again.fingerprint == model.fingerprint


@pytest.mark.parametrize("name", library.list_studies())
def test_studies(name: str) -> None:
    study = library.study(name)
    assert through_json(dict(study.experiments)) == study.experiments
    assert through_json(tuple(study.estimates)) == tuple(study.estimates)
    assert through_json(dict(study.noise)) == study.noise


def test_other_records() -> None:
    with pytest.raises(ProblemError, match="it describes a 'Popen'"):
        from_record({"is": "Popen", "args": ["true"]}, "test")
    with pytest.raises(ProblemError, match="a State has a field 'colour'"):
        from_record({"is": "State", "name": "A", "colour": "red"}, "test")
    with pytest.raises(ExperimentError, match="the amount is infinite"):
        from_record({"is": "Bolus", "target": "A", "amount": float("inf")}, "test")
