"""What `twin serve` takes and what it refuses, before anything is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.cli import main


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder in which a scenario was begun."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "scenario.json").write_text(
        '{"name": "x", "model": "m", "patients": 10, "arms": ["a", "b"], "width": 5, "chunks": 2}'
    )
    return tmp_path / "run"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == 2
    return capsys.readouterr().err


def test_a_run_that_is_not_complete(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, str(begun))
    assert "4 of 4 chunks are missing" in said and f"twin scenario resume {begun}" in said


def test_stores_and_something_else(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no scenario was run into it" in refused(capsys, str(begun), "theophylline")
    assert "2 sources" in refused(capsys, "theophylline", "influenza_teiv")


@pytest.mark.parametrize("option", [("--until", "3"), ("--model", "m"), ("--patients", "7"), ("--dose", "gut=1@0")])
def test_options_of_models(begun: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]) -> None:
    assert "says nothing of a finished scenario" in refused(capsys, str(begun), *option)
