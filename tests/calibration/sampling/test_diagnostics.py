"""Leave-one-out densities against closed forms, prior sensitivity against what must be, and pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from calibration import Problem, sample
from calibration.sampling.diagnostics import loo, prior_sensitivity
from calibration.sampling.figures import chain_rank_figure, predictive_figure
from twin.errors import ProblemError
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
DESIGN = np.stack([-TIMES, np.ones(6)], axis=1)
LOCATION, WIDTH, SD = np.array([0.6, 0.5]), np.array([0.2, 0.3]), 0.12
READINGS = np.array([2.1, 1.4, 1.05, 0.75, 0.29, 0.1])
"""The last one has much leverage, and lies three standard deviations off."""

pytestmark = pytest.mark.xdist_group("leverage")  # one process draws them


@pytest.fixture(scope="module")
def problem(decay, table_of_rows) -> Problem:
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, READINGS, strict=True)])
    estimates = [
        Estimate("k", 1e-6, 5.0, scale="lin", prior=Prior("normal", LOCATION[0], WIDTH[0])),
        Estimate("A0", 0.01, 100.0, scale="log", prior=Prior("normal", LOCATION[1], WIDTH[1])),
    ]
    return Problem(decay, table, estimates, Noise("log_normal", SD), name="leverage")


@pytest.fixture(scope="module")
def tree(problem: Problem) -> xr.DataTree:
    return sample(problem, seed=1, starts=3, draws=500, quiet=True)


@pytest.fixture(scope="module")
def exact() -> np.ndarray:
    """Log density of each reading given the others."""
    result = []
    logarithm = np.log(READINGS)
    for row in range(6):
        rest = np.arange(6) != row
        covariance = np.linalg.inv(DESIGN[rest].T @ DESIGN[rest] / SD**2 + np.diag(WIDTH**-2))
        mean = covariance @ (DESIGN[rest].T @ logarithm[rest] / SD**2 + LOCATION / WIDTH**2)
        spread = np.sqrt(SD**2 + DESIGN[row] @ covariance @ DESIGN[row])
        result.append(stats.norm.logpdf(logarithm[row], DESIGN[row] @ mean, spread) - logarithm[row])
    return np.array(result)


@pytest.mark.parametrize("moment_matching", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_leave_one_out_with_matched_moments_and_with_refits(problem, tree, exact, moment_matching: bool) -> None:
    import arviz_stats

    with pytest.warns(UserWarning, match="shape parameter of Pareto"):
        plain = arviz_stats.loo(tree, var_name="reading", pointwise=True)
    assert float(plain.pareto_k.max()) > 0.7  # otherwise nothing is tested here
    found = loo(problem, tree, moment_matching=moment_matching, starts=3)
    assert float(found.pareto_k.max()) <= 0.7
    assert not found.warning
    # Effective sizes of some hundreds: a relative error of each mean density of less than a tenth, or two at the worst.
    np.testing.assert_allclose(found.elpd_i.to_numpy(), exact, atol=0.25)
    assert found.elpd == pytest.approx(exact.sum(), abs=0.4)


@pytest.mark.slow
def test_prior_sensitivity_names_a_prior_that_fights_the_readings(problem, tree) -> None:
    table = prior_sensitivity(problem, tree)
    assert list(table.index) == ["k", "A0"]
    tight = Problem(
        problem.model,
        problem.measurements,
        [
            Estimate("k", 1e-6, 5.0, scale="lin", prior=Prior("normal", 0.8, 0.02)),
            Estimate("A0", 0.01, 100.0, scale="log", prior=Prior("normal", 0.5, 0.3)),
        ],
        Noise("log_normal", SD),
    )
    fought = prior_sensitivity(tight, sample(tight, seed=1, starts=3, draws=400, quiet=True))
    assert fought.loc["k", "prior"] > 0.05
    assert fought.loc["k", "prior"] > 2 * table.loc["k", "prior"]


def test_draws_of_another_problem_are_refused(problem, tree) -> None:
    fewer = problem.with_rows(np.arange(6) < 4)
    with pytest.raises(ProblemError, match="the draws are of k, A0, with 6 readings"):
        loo(fewer, tree)
    bare = tree.filter(lambda node: node.name not in ("log_likelihood", "posterior_predictive"))
    with pytest.raises(ProblemError, match="has no group log_likelihood"):
        prior_sensitivity(problem, bare)
    with pytest.raises(ProblemError, match="has no predictive draws"):
        predictive_figure(bare)


@pytest.mark.slow
def test_pictures_show_every_entry_and_series(tree) -> None:
    ranks, predictions = chain_rank_figure(tree), predictive_figure(tree)
    assert [axes.get_title() for axes in ranks.axes] == ["k", "A0"]
    assert [axes.get_title() for axes in predictions.axes] == ["y / e / 1"]
    np.testing.assert_allclose(predictions.axes[0].lines[1].get_ydata(), READINGS)
    assert pd.notna(ranks.axes[0].lines[0].get_ydata()).all()
