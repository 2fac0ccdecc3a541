"""Simulation-based calibration: ranks where all is right and where it is not, readings as an argument, the command."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from small_studies import one_subject

from calibration import Problem
from calibration.commands.sbc import sbc as command
from calibration.sampling.simulation import RankStatistics, sbc
from calibration.varied_readings import Varied, VariedReadings
from twin.errors import ProblemError
from twin.precision import float64
from twin.study import Estimate, Noise

pytestmark = pytest.mark.xdist_group("simulated ranks")  # one process makes them


@pytest.fixture(scope="module")
def ranks(conjugate) -> RankStatistics:
    return sbc(conjugate.problem, simulations=160, seed=1, quiet=True)


@pytest.mark.slow
def test_ranks_of_a_right_posterior_are_uniform(ranks: RankStatistics) -> None:
    assert ranks.names == ("k", "A0", "log_likelihood")
    assert ranks.ranks.shape == (160, 3)
    assert ranks.ranks.min() >= 0
    assert ranks.ranks.max() <= ranks.draws
    assert ranks.is_calibrated(0.01), ranks.p_values
    table = ranks.table()
    # The moments agree, too: z-scores have mean 0 and standard deviation 1.
    z = (ranks.mean - ranks.truth) / ranks.sd
    assert (np.abs(z.mean(axis=0)) < 4 / np.sqrt(160)).all()
    assert (np.abs(z.std(axis=0) - 1) < 4 / np.sqrt(2 * 160)).all()
    assert ((table["contraction"].iloc[:2] > 0.5) & (table["contraction"].iloc[:2] < 1)).all()
    assert "uniform at 1 %" in str(ranks)


@pytest.mark.slow
def test_ranks_of_posteriors_that_are_too_narrow_or_moved_are_not(ranks: RankStatistics) -> None:
    """What is wrong is done to the true values: away from the mean, or by a third of the posterior's width."""
    rng = np.random.default_rng(3)
    draws = ranks.mean[:, None] + ranks.sd[:, None] * rng.normal(size=(160, ranks.draws, 2))
    for truth in (ranks.mean + 2.0 * (ranks.truth - ranks.mean), ranks.truth + ranks.sd / 2):
        wrong = np.column_stack([np.sum(draws < truth[:, None], axis=1), ranks.ranks[:, 2]])
        found = replace(ranks, ranks=wrong)
        assert not found.is_calibrated(0.01)
        assert "NOT uniform" in str(found)


@pytest.mark.slow
def test_bins_have_enough_simulations(ranks: RankStatistics) -> None:
    assert ranks.bins == 16
    assert replace(ranks, ranks=ranks.ranks[:30]).bins == 4
    assert (ranks.counts().sum(axis=1) == 160).all()


def test_too_few_simulations_and_unknown_methods_are_refused(conjugate) -> None:
    with pytest.raises(ProblemError, match="simulations is 9"):
        sbc(conjugate.problem, simulations=9)
    with pytest.raises(ProblemError, match="the method is 'gibbs'"):
        sbc(conjugate.problem, method="gibbs")


@pytest.mark.slow
def test_readings_as_an_argument_count_as_a_problem_of_them(decay, table_of_rows) -> None:
    rows = [("e", "1", "y", t, v) for t, v in ((0.0, 2.1), (1.0, 1.3), (2.0, 0.7), (4.0, 0.2))]
    estimates = [Estimate("k", 0.01, 5.0), Estimate("A0", 0.1, 10.0), Estimate("s", 0.01, 2.0, nominal=0.2)]

    def problem(table: pd.DataFrame) -> Problem:
        return Problem(decay, table, estimates, Noise("normal", "s"))

    table = table_of_rows(rows, below=0.5)
    other = table.assign(value=table["value"] * 1.2)  # the last one is a limit, and stays below it
    first, second = problem(table), problem(other)
    likelihood = VariedReadings(first)
    with float64():
        theta = first.nominal + 0.1
        moved = Varied(second.bindings.value, likelihood.own.kind)
        both = jax.tree.map(lambda *x: np.stack(x), likelihood.own, moved)
        values = jax.vmap(likelihood, in_axes=(None, 0))(theta, both)
        np.testing.assert_allclose(values, [first.log_likelihood(theta), second.log_likelihood(theta)], rtol=1e-10)
        gradient = jax.grad(likelihood)(theta, moved)
        np.testing.assert_allclose(gradient, jax.grad(second.log_likelihood)(theta), rtol=1e-8)
        drawn, possible = likelihood.draw(jax.random.key(0), np.repeat(theta[None], 400, axis=0))
        assert possible.all()
        assert (drawn.value[:, 3] >= 0.5 - 1e-12).all()
        hidden = np.asarray(drawn.kind)[:, 3].mean()
        assert 0.02 < hidden < 1.0
        assert not np.asarray(drawn.kind)[:, :3].any()


@pytest.mark.slow
def test_the_command_writes_ranks_a_table_and_a_picture(
    conjugate, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    # A study of the library takes minutes; which one is asked for is what matters here.
    monkeypatch.setattr(
        "calibration.commands.sbc.problem_of", lambda args: asked.append(args.study) or conjugate.problem
    )
    parser = ArgumentParser()
    command.configure(parser)
    args = parser.parse_args(["--study", "hiv_perelson1996", "--simulations", "10", "--quiet", "--out", str(tmp_path)])
    args.saved = []
    assert command.run(args) in (0, 1)
    assert asked == ["hiv_perelson1996"]
    assert {path.name for path in tmp_path.iterdir()} == {"sbc.csv", "sbc.nc", "sbc.png"}
    table = pd.read_csv(tmp_path / "sbc.csv", index_col="quantity")
    assert table["p_value"].between(0, 1).all()
    assert table.index[-1] == "log_likelihood"
    assert "ranks of 10 simulations (smc)" in capsys.readouterr().out


@pytest.mark.slow
def test_ranks_of_a_model_of_the_library_are_uniform() -> None:
    # Two more models, which take minutes each: tests/benchmarks/sbc_ranks.py, with the figures in docs/sampling.md.
    found = sbc(one_subject("theophylline", "1"), simulations=64, seed=1, quiet=True)
    assert found.is_calibrated(0.01), found.p_values
