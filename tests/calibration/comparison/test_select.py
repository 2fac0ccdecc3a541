"""Searches through a model space with a known answer; commands."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from petab_select_files import TIMES, write_space
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

from calibration.comparison import Selection, select
from calibration.comparison import kept as kept_module
from twin.cli import main
from twin.errors import ProblemError

pytest.importorskip("petab_select")
pytestmark = pytest.mark.xdist_group("select")  # one process searches

TRUE = "M-110"
NOISE_SEED = 1
"""The BIC of 25 readings takes a needless term in one of 14 data sets (chi-squared above ln 25); 0 is such a one."""


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the problem; fits are shared by the methods."""
    return tmp_path_factory.mktemp("space")


@pytest.fixture(scope="session")
def everything(space: Path) -> Selection:
    """All eight models."""
    path = write_space(space, "brute_force", noise_seed=NOISE_SEED)
    return select(path, folder=space / "out", starts=5, quiet=True)


def least_nllh(terms: tuple[int, ...], values: np.ndarray) -> float:
    """The same by SciPy: least squares over solutions of the equation typed by hand."""

    def residuals(given: np.ndarray) -> np.ndarray:
        loss, supply, feedback = (given[sum(terms[:i])] if terms[i] else 0.0 for i in range(3))
        found = solve_ivp(
            lambda t, x: supply + feedback * x**2 - loss * x, (0.0, 6.0), [2.0], t_eval=TIMES, rtol=1e-9, atol=1e-10
        )
        return found.y[0] - values if found.success and found.y.shape[1] == len(values) else np.full(len(values), 1e3)

    if not any(terms):
        squares = np.sum((2.0 - values) ** 2)
    else:
        begins = ([0.5, 0.5, 0.05], [1.0, 0.5, -0.1], [-0.1, -0.1, -0.2])
        fits = [least_squares(residuals, [b for b, t in zip(begin, terms, strict=True) if t]) for begin in begins]
        squares = 2.0 * min(fit.cost for fit in fits)
    count = len(values)
    return 0.5 * count * (1.0 + np.log(2.0 * np.pi * squares / count))


def test_all_models_against_scipy(everything: Selection, space: Path) -> None:
    values = np.loadtxt(space / "measurements.tsv", skiprows=1, usecols=3)
    assert len(everything.table) == 8
    for terms in product((0, 1), repeat=3):
        name = "M-" + "".join(map(str, terms))
        expected = least_nllh(terms, values)
        row = everything.table.loc[name]
        assert row["nllh"] == pytest.approx(expected, abs=1e-3), name
        size = sum(terms) + 1
        assert row["BIC"] == pytest.approx(2 * expected + size * np.log(25), abs=2e-3)
        assert row["parameters"] == size
    assert everything.best == TRUE


@pytest.mark.parametrize(("method", "fewest"), [("forward", 5), ("backward", 4)])
def test_steps_find_the_true_terms_with_fewer_fits(
    everything: Selection, space: Path, method: str, fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And read what was fitted before: candidates are the same whatever the method."""
    monkeypatch.setattr(kept_module, "fit", None)
    found = select(write_space(space, method, noise_seed=NOISE_SEED), folder=space / "out", starts=5, quiet=True)
    assert found.best == everything.best == TRUE
    assert fewest <= len(found.table) < 8
    assert found.table.loc[TRUE, "predecessor"] in everything.table.index
    assert found.problem().names == ("loss", "supply", "sd")
    best = dict(found.estimates)
    assert best["loss"] == pytest.approx(0.9, abs=0.1)
    assert best["supply"] == pytest.approx(0.1, abs=0.1)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match="no such file"):
        select(tmp_path / "nothing.yaml", folder=tmp_path)
    with pytest.raises(ProblemError, match="the method is 'famos'"):
        select(write_space(tmp_path, "famos"), folder=tmp_path / "out")
    with pytest.raises(ProblemError, match="no PEtab Select problem"):
        select(write_space(tmp_path, "sideways"), folder=tmp_path / "out")


def test_command(space: Path, everything: Selection, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_space(space, "forward", noise_seed=NOISE_SEED)
    status = main(["compare", "--petab-select", str(path), "--starts", "5", "--quiet", "--out", str(space / "out")])
    assert status == 0
    assert f"best: {TRUE}" in capsys.readouterr().out
    assert (space / "out" / "candidates.csv").read_text().startswith("model,")
    candidates = [str(space / "out" / "candidates" / name / "problem.yaml") for name in (TRUE, "M-100")]
    status = main(["compare", *candidates, "--starts", "5", "--quiet", "--out", str(space / "pair")])
    assert status == 0
    assert f"AIC: {TRUE} is best" in capsys.readouterr().out
    assert (space / "pair" / "comparison.png").stat().st_size > 1000


def test_command_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["compare", "theophylline", "--out", str(tmp_path)]) != 0
    assert "two or more" in capsys.readouterr().err
    assert main(["compare", "--petab-select", "x.yaml", "--by", "loo", "--out", str(tmp_path)]) != 0
    assert "--by is given with a PEtab Select problem" in capsys.readouterr().err
