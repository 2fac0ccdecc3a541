"""The likelihood by the master equation: matrix exponentials, a gene's law, exact runs, what is left out, refusals."""

from __future__ import annotations

import birth_death
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import models
from calibration.problem import Problem
from calibration.stochastic.master_equation import MasterEquationLikelihood
from calibration.stochastic.master_equation_posterior import sample_master_equation
from calibration.stochastic.snapshots import two_state_log_pmf
from twin.errors import ProblemError, SimulationError, UnsupportedModelError
from twin.precision import float64
from twin.stochastic import simulate_jumps
from twin.stochastic.state_projection import StateProjection
from twin.study import Estimate, Noise

pytestmark = pytest.mark.xdist_group("master_equation")
START, SD = 4, 2.0
GENE = {"k_on": 1 / 37, "k_off": 1 / 6, "k_tx": 0.5, "gamma": 0.0139}


@pytest.fixture(scope="module")
def problem() -> Problem:
    return birth_death.problem(start=float(START), into=5.0, sd=SD)


def exactly(problem: Problem, theta: np.ndarray) -> float:
    return birth_death.by_master_equation(problem, np.append(theta, np.log10(SD)), START)


def gene(times: list[float], counts: list[float]) -> Problem:
    """Cells that are looked at once, counted without error."""
    table = pd.DataFrame(
        {"subject": [f"{n}" for n in range(len(times))], "observable": "mrna", "time": times, "value": counts}
    )
    estimates = [Estimate("k_on", 0.001, 1.0), Estimate("k_off", 0.01, 10.0), Estimate("k_tx", 0.02, 50.0)]
    return Problem(models.load("mrna_golding"), table, estimates, Noise("normal", 0.1))


def test_readings_one_after_the_other(problem: Problem) -> None:
    likelihood = MasterEquationLikelihood(problem, {"X": 60})
    assert not likelihood.snapshots
    thetas = problem.nominal + np.array([[0.0, 0.0], [0.1, -0.05], [-0.2, 0.3]])
    values, slopes = likelihood.log_likelihood_and_gradient_many(thetas)
    np.testing.assert_allclose(values, [exactly(problem, theta) for theta in thetas], rtol=1e-10)
    for theta, slope in zip(thetas, slopes, strict=True):
        both = [[exactly(problem, theta + s * step) for s in (1, -1)] for step in 1e-5 * np.eye(2)]
        np.testing.assert_allclose(slope, [(up - down) / 2e-5 for up, down in both], rtol=1e-6, atol=1e-7)


def test_what_is_left_out_is_bounded_and_refused(problem: Problem) -> None:
    wanted = exactly(problem, problem.nominal)
    for most in (12, 16):
        small = MasterEquationLikelihood(problem, {"X": most})
        low = float(small.log_likelihood_many(problem.nominal[None])[0])
        assert 1e-8 < wanted - low < float(small.missing(problem.nominal[None])[0])
        with pytest.raises(SimulationError, match="too much flows out of the box"):
            small.log_likelihood(problem.nominal)


def test_cells_at_steady_state_follow_the_law_of_the_gene() -> None:
    counts = np.arange(30.0)
    likelihood = MasterEquationLikelihood(gene([1500.0] * 30, list(counts)), {"on": 1, "m": 100})
    assert likelihood.snapshots
    theta = np.log10([GENE["k_on"], GENE["k_off"], GENE["k_tx"]])
    wanted = two_state_log_pmf(counts, **GENE).sum() + 30 * stats.norm.logpdf(0, 0, 0.1)
    # What is left of the beginning after 1500 minutes: exp(-20).
    assert float(likelihood.log_likelihood(theta)) == pytest.approx(wanted, rel=1e-7)


@pytest.mark.filterwarnings("ignore:1 reading")
def test_cells_that_share_a_law_are_as_likely_as_alone() -> None:
    times, counts = [10.0, 30.0, 30.0, 90.0], [0.0, 2.0, 5.0, 9.0]
    most = {"on": 1, "m": 50}
    together = MasterEquationLikelihood(gene(times, counts), most)
    theta = together.problem.nominal[None] + 0.1
    alone = [MasterEquationLikelihood(gene([t], [n]), most) for t, n in zip(times, counts, strict=True)]
    found = float(together.log_likelihood_many(theta)[0])
    assert found == pytest.approx(sum(float(each.log_likelihood_many(theta)[0]) for each in alone), rel=1e-12)


def test_exact_runs_of_a_gene_that_was_just_induced_follow_the_law() -> None:
    runs, time = 2000, 30.0
    found = simulate_jumps(models.load("mrna_golding"), [time], variables=["m"], runs=runs, seed=1)["m"].to_numpy()[
        :, 0
    ]
    box = StateProjection(models.load("mrna_golding"), {"on": 1, "m": 60})
    with float64():
        p = jnp.asarray([[GENE[name]] for name in box.process.system.parameters])
        law = np.asarray(box.advance(box.start(p), box.hazards(p), jnp.asarray([time])))[:, 0]
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    assert law[-1] < 1e-9
    of_counts = law[:-1].reshape(2, 61).sum(axis=0)
    expected = runs * np.append(of_counts[:8], of_counts[8:].sum())
    seen = np.bincount(np.minimum(found.astype(int), 8), minlength=9)
    assert ((seen - expected) ** 2 / expected).sum() < stats.chi2(8).ppf(0.999)


def test_what_is_refused(problem: Problem) -> None:
    for most, message in (
        ({}, "most is {}"),
        ({"X": 2.5}, "most is"),
        ({"X": 1_000_000}, "1e[+]06 combinations"),
        ({"X": 3}, "the initial state is {'X': 4.0}"),
    ):
        with pytest.raises(ProblemError, match=message):
            MasterEquationLikelihood(problem, most)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModelError, match="states are concentrations"):
        MasterEquationLikelihood(birth_death.problem_in_a_cell(), {"X": 200})
    with pytest.raises(ProblemError, match="most is not given"):
        sample_master_equation(problem)


@pytest.mark.slow
def test_nuts_has_the_moments_of_a_grid(problem: Problem) -> None:
    from test_noisy_posteriors import assert_moments

    tree = sample_master_equation(problem, seed=1, most={"X": 60}, warmup=150, draws=400, quiet=True)
    assert_moments(tree, birth_death.moments_on_grid(problem, lambda theta: exactly(problem, theta)))
    assert tree.attrs["missing"] < 0.01
    assert np.isfinite(tree["posterior_predictive"]["reading"]).all()
