"""Expected information gain against the closed form of a linear-Gaussian problem, and the command."""

from __future__ import annotations

from argparse import ArgumentParser

import numpy as np
import pandas as pd
import pytest

from calibration import Problem
from calibration.commands import design as command
from calibration.experimental_design import candidates, design
from calibration.experimental_design.asked import ask
from calibration.experimental_design.expected_gain import Pairs
from twin.errors import ProblemError, TwinWarning
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.study import Estimate, Noise, Prior

SD = 0.5
TIMES = np.array([0.0, 1.0, 2.0, 3.0])
SPREAD = np.array([1.0, 0.5])
"""Prior standard deviations of intercept and slope."""


@pytest.fixture(scope="module")
def straight(table_of_rows) -> Problem:
    """y = a + b t with normal priors, far from their bounds: posterior and evidence are normal."""
    model = Model(
        "line", [State("x", "a")], [Parameter("a", 0.0), Parameter("b", 0.0)], odes={"x": "b"},
        observables=[Observable("y", "x")],
    )  # fmt: skip
    estimates = [
        Estimate(name, -9.0, 9.0, "lin", Prior("normal", 0.0, sd)) for name, sd in zip("ab", SPREAD, strict=True)
    ]
    return Problem(model, table_of_rows([("e", "1", "y", t, 0.0) for t in TIMES[:2]]), estimates, Noise("normal", SD))


def matrix(times) -> np.ndarray:
    rows = np.stack([np.ones(len(times)), np.asarray(times)], axis=1)
    return np.diag(SPREAD**-2) + rows.T @ rows / SD**2


def exact(times) -> float:
    """Half the logarithm of the ratio of the determinants of posterior and prior precision."""
    return 0.5 * (np.linalg.slogdet(matrix(times))[1] - np.linalg.slogdet(np.diag(SPREAD**-2))[1])


def pairs(problem: Problem, count: int, seed: int, most: int = 1) -> Pairs:
    offered = candidates(problem, TIMES)
    thetas = problem.prior.draw(np.random.default_rng(seed), count)
    return Pairs(ask(problem, offered), thetas, offered.items, most, seed)


@pytest.fixture(scope="module")
def estimates(straight: Problem) -> dict[str, np.ndarray]:
    """Estimates of the gain of all four readings from 24 independent sets of draws."""
    found = [pairs(straight, 300, seed).estimate(np.ones(4)) for seed in range(24)]
    return {name: np.array([getattr(each, name) for each in found]) for name in ("lower", "upper", "error")}


def test_bounds_hold_the_closed_form(estimates) -> None:
    truth, error = exact(TIMES), estimates["lower"].std(ddof=1) / np.sqrt(24)
    assert estimates["lower"].mean() < truth + 3 * error
    assert estimates["upper"].mean() > truth - 3 * error
    # Their biases are of order 1 / draws; at 300 draws the middle is right to a twentieth of a nat.
    assert np.mean([estimates["lower"].mean(), estimates["upper"].mean()]) == pytest.approx(truth, abs=0.05)


def test_standard_error_is_the_spread_of_estimates(estimates) -> None:
    # A standard deviation of 24 estimates is known to 1 / sqrt(46) = 15 %.
    assert estimates["error"].mean() == pytest.approx(estimates["lower"].std(ddof=1), rel=0.45)


def test_posterior_spreads(straight: Problem) -> None:
    expected = np.sqrt(np.diag(np.linalg.inv(matrix(TIMES))))
    spread, _, carried = pairs(straight, 1500, 1).spreads(np.ones(4))
    assert carried > 20
    assert spread == pytest.approx(expected, rel=0.1)


def test_repeated_readings_are_new_ones(straight: Problem) -> None:
    found = pairs(straight, 1500, 2, most=2).estimate(np.array([2.0, 0.0, 0.0, 0.0]))
    assert found.lower - 4 * found.error < exact([0.0, 0.0]) < found.upper + 4 * found.error


def test_the_same_design_as_by_fisher_information(straight: Problem) -> None:
    """For a linear problem with normal noise the gain is a function of the determinant."""
    offered = candidates(straight, TIMES)
    by_gain = design(straight, offered, 2, criterion="information gain", keep_existing=False, draws=800, quiet=True)
    by_volume = design(straight, offered, 2, keep_existing=False, quiet=True)
    assert by_gain.table()["time"].tolist() == by_volume.table()["time"].tolist()
    truth = exact(by_volume.table()["time"])
    assert by_gain.gain is not None
    assert by_gain.gain.lower - 4 * by_gain.gain.error < truth < by_gain.gain.upper + 4 * by_gain.gain.error
    assert 0.5 < by_gain.efficiency <= 1.0
    errors = np.sqrt(np.diag(np.linalg.inv(matrix(by_volume.table()["time"]))))
    assert by_volume.standard_errors["after"].to_numpy() == pytest.approx(errors, rel=1e-6)
    assert by_gain.standard_errors["after"].to_numpy() == pytest.approx(errors, rel=0.15)


def test_too_few_draws_are_said(straight: Problem) -> None:
    exactly = Problem(straight.model, straight.measurements, straight.estimates, Noise("normal", 0.01))
    with pytest.warns(TwinWarning, match="take more draws"):
        found = design(
            exactly,
            candidates(exactly, TIMES),
            2,
            criterion="information gain",
            keep_existing=False,
            draws=50,
            quiet=True,
        )
    assert "take more draws" in str(found)
    with pytest.raises(ProblemError, match="a posterior has them in it"):
        design(
            exactly, candidates(exactly, TIMES), 2, criterion="information gain", keep_existing=False,
            posterior=np.zeros((5, 2)), quiet=True,
        )  # fmt: skip


@pytest.mark.slow
def test_command(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    parser = ArgumentParser()
    command.design.configure(parser)
    asked = ["theophylline", "--times", "1:24:1", "--budget", "3", "--starts", "2", "--quiet", "--interest", "ka,ke"]
    args = parser.parse_args(asked)
    args.saved = []
    problem = command.problem_of(args)
    monkeypatch.setattr(command, "start_of", lambda *_: problem.nominal)
    args.interest = ",".join(problem.names[:2])
    assert command.design.run(args) == 0
    assert "D-efficiency" in capsys.readouterr().out
    assert len(pd.read_csv("design/design.csv")) == 3
    assert [path.name for path in args.saved] == ["design.csv", "design.nc", "design.png"]
    assert command._times("0:1:0.25") == [0.0, 0.25, 0.5, 0.75, 1.0]
    with pytest.raises(ProblemError, match="holds no times"):
        command._times("2:1:1")
    with pytest.raises(ProblemError, match="there is no file"):
        command.read_posterior("nothing.nc")
