"""Ways of updating are found by entry points, and what is none is refused."""

from __future__ import annotations

import importlib.metadata

import pytest

from twin.errors import ProblemError
from twin.live import assimilators
from twin.live.assimilators import Assimilator, assimilator, check_options, scatter


def test_those_that_are_there() -> None:
    assert [assimilator(name).name for name in ("auto", "reweight", "enkf", "particle")] == [
        "reweight", "reweight", "enkf", "particle",
    ]  # fmt: skip
    assert callable(scatter())
    with pytest.raises(ProblemError, match="the method is 'kalman'"):
        assimilator("kalman")


def test_options_are_those_of_the_way() -> None:
    check_options(assimilator("reweight"), {"threshold": 0.5})
    check_options(Assimilator("free", "takes anything", lambda twin, readings, seed, **options: None), {"any": 1})
    with pytest.raises(ProblemError, match="the option 'threshold' is given"):
        check_options(assimilator("enkf"), {"threshold": 0.5})


def test_broken_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = importlib.metadata.EntryPoint("wrong", "twin.errors:TwinError", assimilators.ASSIMILATORS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [wrong] if "assimil" in group else [])
    with pytest.raises(ProblemError, match="it is a type"):
        assimilator("wrong")
    with pytest.raises(ProblemError, match="no installed package knows how readings scatter"):
        scatter()
