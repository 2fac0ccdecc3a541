"""Every example runs as a script and prints the claim that it asserts."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
OWN_MECHANISM, OTHERS = "own_mechanism", [name for name in NAMES if name not in ("own_mechanism", "recovery")]
#: Coverage needs a hundred posteriors; here only that one of them is drawn and summarised.
RECOVERY = ("--studies", "timekill_regoes2004", "--replicates", "1")
#: Two simulated experiments show what the default four do.
ARGUMENTS = {"next_experiment": ("--replicates", "2")}


type Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs an example in an empty folder; returns what it printed."""

    def run_example(name: str, *arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run_example


def test_there_are_examples() -> None:
    assert OWN_MECHANISM in NAMES
    assert len(OTHERS) >= 4


def test_own_mechanism(run: Run, tmp_path: Path) -> None:
    assert "Claim: " in run(OWN_MECHANISM)
    assert (tmp_path / "out" / "own_mechanism.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_example(name: str, run: Run) -> None:
    assert "Claim: " in run(name, *ARGUMENTS.get(name, ()))


@pytest.mark.slow
def test_recovery(run: Run) -> None:
    assert RECOVERY[1] in run("recovery", *RECOVERY)
