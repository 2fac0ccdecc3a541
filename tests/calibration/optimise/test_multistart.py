"""Multi-start fits: the same result after a kill, more starts, saving, methods, inner optimisation, pictures."""

from __future__ import annotations

import importlib
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import calibration
import twin
from calibration import Fit, Problem
from calibration.optimise import checkpoint as checkpoints
from calibration.optimise.ball import in_ball
from twin.errors import ProblemError
from twin.study import Estimate, Noise


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Two exponentials whose rates can be exchanged: at least two optima of equal height, and flat corners."""
    model = twin.Model(
        name="two decays",
        states=[twin.State("A", 1.0), twin.State("B", 1.0)],
        parameters=[twin.Parameter("fast", 2.0), twin.Parameter("slow", 0.2), twin.Parameter("gain", 1.0)],
        odes={"A": "-fast * A", "B": "-slow * B"},
        observables=[twin.Observable("sum_of_both", "gain * (A + B)")],
    )
    times = np.linspace(0.1, 8.0, 14)
    exact = 3.0 * (np.exp(-1.5 * times) + np.exp(-0.25 * times))
    values = exact + 0.05 * np.random.default_rng(0).normal(size=len(times))
    table = pd.DataFrame({"observable": "sum_of_both", "time": times, "value": values})
    estimates = [Estimate(name, 1e-2, 1e2) for name in ("fast", "slow", "gain")] + [Estimate("sd", 1e-3, 1e1)]
    return Problem(model, table, estimates, Noise("normal", "sd"))


@pytest.fixture(scope="module")
def whole(problem: Problem) -> Fit:
    return calibration.fit(problem, starts=12, seed=3, quiet=True)


def test_finds_both_orders_of_the_rates(problem: Problem, whole: Fit) -> None:
    reached = problem.parameters.linear(whole.theta[: whole.hits])
    rates = np.sort(reached[:, :2], axis=1)
    assert whole.hits >= 4
    np.testing.assert_allclose(rates, np.broadcast_to([0.25, 1.5], rates.shape), rtol=0.1)
    assert (reached[:, 0] > reached[:, 1]).any() and (reached[:, 0] < reached[:, 1]).any()


def test_a_killed_fit_goes_on_to_the_same_result(
    problem: Problem, whole: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writes = tmp_path / "fit.nc", []
    write = checkpoints.Checkpoint.write

    class Killed(BaseException):
        """As if the process had ended: nothing catches it."""

    def write_and_die(self, now, force: bool) -> None:
        write(self, now, force=True)
        writes.append(force)
        if len(writes) == 6:
            raise Killed

    monkeypatch.setattr(checkpoints.Checkpoint, "write", write_and_die)
    with pytest.raises(Killed):
        calibration.fit(problem, starts=12, seed=3, checkpoint=path, quiet=True)
    monkeypatch.undo()
    resumed = calibration.fit(problem, starts=12, seed=3, checkpoint=path, quiet=True)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.objective, whole.objective)
    assert resumed.outcome == whole.outcome
    with pytest.raises(ProblemError):
        calibration.fit(problem, starts=12, seed=4, checkpoint=path, quiet=True)


def test_interrupting_gives_what_there_is(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    write, writes = checkpoints.Checkpoint.write, []

    def interrupt(self, now, force: bool) -> None:
        write(self, now, force=force)
        writes.append(force)
        if len(writes) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoint, "write", interrupt)
    with pytest.warns(twin.errors.TwinWarning, match="interrupted"):
        found = calibration.fit(problem, starts=12, seed=3, quiet=True)
    assert found.interrupted
    assert np.isfinite(found.objective[0])


def test_a_fit_that_is_interrupted_while_polished_goes_on_to_the_same_result(
    problem: Problem, whole: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("calibration.optimise.fit")
    rounds = module.polish

    def interrupted(*args):
        yield next(rounds(*args))
        raise KeyboardInterrupt

    path = tmp_path / "fit.nc"
    monkeypatch.setattr(module, "polish", interrupted)
    with pytest.warns(twin.errors.TwinWarning, match="interrupted"):
        calibration.fit(problem, starts=12, seed=3, checkpoint=path, quiet=True)
    monkeypatch.undo()
    resumed = calibration.fit(problem, starts=12, seed=3, checkpoint=path, quiet=True)
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    assert resumed.outcome == whole.outcome


def test_saving_and_extending(problem: Problem, whole: Fit, tmp_path: Path) -> None:
    path = tmp_path / "fit.nc"
    whole.save(path)
    loaded = Fit.load(path)
    np.testing.assert_array_equal(loaded.theta, whole.theta)
    assert (loaded.names, loaded.outcome, loaded.settings) == (whole.names, whole.outcome, whole.settings)
    more = calibration.fit(problem, starts=16, seed=3, extend=loaded, quiet=True)
    assert len(more.objective) == 16
    assert (np.diff(more.objective) >= 0).all()
    assert more.objective[0] <= whole.objective[0]
    assert set(map(tuple, whole.starts)) <= set(map(tuple, more.starts))
    with pytest.raises(ProblemError, match="already"):
        calibration.fit(problem, starts=12, extend=whole, quiet=True)


@pytest.mark.parametrize("inner", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_second_fit_compiles_nothing(problem: Problem, inner: bool, caplog: pytest.LogCaptureFixture) -> None:
    calibration.fit(problem, starts=2, iterations=2, inner=inner, quiet=True)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        calibration.fit(problem, starts=3, iterations=2, inner=inner, quiet=True)
        assert "_evaluate" not in caplog.text
        # The readings are part of the program: other readings have one of their own.
        calibration.fit(problem.with_rows(np.arange(14) > 0), starts=1, iterations=1, inner=inner, quiet=True)
        assert "_evaluate" in caplog.text


@pytest.mark.parametrize("sampling", ["sobol", "prior"])
def test_other_starts(problem: Problem, whole: Fit, sampling: str) -> None:
    found = calibration.fit(problem, starts=8, seed=0, sampling=sampling, quiet=True)
    assert found.objective[0] == pytest.approx(whole.objective[0], abs=1e-3)
    assert not np.isin(found.starts, whole.starts).any()


def test_gradients_alone_find_the_same(problem: Problem, whole: Fit) -> None:
    found = calibration.fit(problem, starts=12, seed=3, method="l-bfgs", quiet=True)
    assert found.objective[0] == pytest.approx(whole.objective[0], abs=0.01)


def test_inner_optimisation_finds_the_same(problem: Problem, whole: Fit) -> None:
    found = calibration.fit(problem, starts=12, seed=3, inner=True, quiet=True)
    assert found.objective[0] == pytest.approx(whole.objective[0], abs=1e-4)
    assert found.theta.shape[1] == len(problem.names)
    assert np.isnan(found.starts[:, problem.names.index("gain")]).all()
    np.testing.assert_allclose(np.sort(found.best[:2]), np.sort(whole.best[:2]), atol=2e-3)


def test_retiring_loses_no_optimum(problem: Problem, whole: Fit) -> None:
    kept = calibration.fit(problem, starts=12, seed=3, retire=False, quiet=True)
    assert kept.hits == whole.hits
    assert kept.objective[0] == pytest.approx(whole.objective[0], abs=1e-6)


def test_refusals(problem: Problem) -> None:
    with pytest.raises(ProblemError, match="method"):
        calibration.fit(problem, starts=2, method="simplex")
    with pytest.raises(ProblemError):
        calibration.fit(problem, sampling=np.full((3, 4), np.nan))
    with pytest.raises(ProblemError):
        calibration.fit(problem, sampling=np.zeros((3, 5)))
    with pytest.raises(ProblemError):
        calibration.fit(problem, starts=2, sampling="grid")


def test_pictures(whole: Fit, tmp_path: Path) -> None:
    for name, draw in (("waterfall", whole.plot_waterfall), ("parameters", whole.plot_parameters)):
        draw(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_the_step_in_a_ball_solves_its_conditions() -> None:
    """More and Sorensen's conditions: (B + s I) z = -b, s >= 0, s (radius - |z|) = 0, B + s I semi-definite."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 5, 5))
    matrix = matrix + np.swapaxes(matrix, 1, 2)
    slope, radius = rng.normal(size=(40, 5)), rng.uniform(0.1, 3.0, 40)
    step, _ = in_ball(slope, matrix, radius)
    size = np.linalg.norm(step, axis=1)
    assert (size <= radius * (1 + 1e-6)).all()
    residual = np.einsum("sij,sj->si", matrix, step) + slope
    shift = -np.einsum("si,si->s", residual, step) / size**2
    np.testing.assert_allclose(residual, -shift[:, None] * step, atol=1e-5)
    assert (shift > -1e-6).all()
    assert (np.linalg.eigvalsh(matrix)[:, 0] + shift > -1e-5).all()
    assert (np.abs(shift * (radius - size)) < 1e-4).all()
