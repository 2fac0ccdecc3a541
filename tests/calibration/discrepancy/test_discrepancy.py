"""The discrepancy: its marginal likelihood against SciPy, its gradient, its size where it is known, its refusals."""

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import calibration
import twin
from calibration.discrepancy import discrepancy_figure, sample_discrepancy
from calibration.discrepancy.likelihood import MarginalLikelihood
from calibration.discrepancy.posterior import Discrepancy
from twin.errors import ProblemError

TIMES = np.linspace(0.0, 10.0, 30)
SIGMA = 0.1


def decay(bend: float, seed: int = 0, family: str = "normal", censored: bool = False) -> calibration.Problem:
    model = twin.Model(
        "decay",
        [twin.State("A", 3.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    noise = np.random.default_rng(seed).normal(size=len(TIMES))
    y = 3 * np.exp(-0.2 * TIMES) + SIGMA * (bend * np.sin(1.5 * TIMES) + noise)
    y = np.where((TIMES > 9.0) & censored, 0.4, np.maximum(y, 0.4) if censored else y)
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": TIMES, "value": y})
    table = table.assign(noise=np.nan, censoring=np.where((TIMES > 9.0) & censored, "left", ""))
    estimates = [twin.Estimate("k", 0.02, 2.0), twin.Estimate("sd", 0.01, 2.0, nominal=SIGMA)]
    return calibration.Problem(model, table, estimates, twin.Noise(family, "sd"))


def test_marginal_likelihood_is_scipys_normal_density_with_exact_gradient():
    problem = decay(3.0)
    with jax.enable_x64(True):
        likelihood = MarginalLikelihood(problem)
        x = np.concatenate([problem.nominal, [2.0], [1.3]])
        f = jax.jit(lambda x: likelihood(x[:2], x[2:3], x[3:]))
        scaled = np.sqrt(5) * np.abs(TIMES[:, None] - TIMES) / 1.3
        kernel = 4 * (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        mean = np.asarray(problem.simulate(problem.nominal))
        expected = multivariate_normal.logpdf(problem.bindings.value, mean, SIGMA**2 * (np.eye(len(TIMES)) + kernel))
        assert float(f(x)) == pytest.approx(expected, rel=1e-9)
        step = 1e-4 * np.eye(4)
        difference = [float(f(x + h) - f(x - h)) / 2e-4 for h in step]
        np.testing.assert_allclose(np.asarray(jax.grad(f)(x)), difference, rtol=2e-4, atol=1e-3)


def test_without_amplitude_it_is_the_likelihood_of_the_problem():
    for family in ("normal", "log_normal"):
        problem = decay(0.0, family=family)
        with jax.enable_x64(True):
            found = MarginalLikelihood(problem)(problem.nominal, np.zeros(1), np.ones(1))
            assert float(found) == pytest.approx(float(problem.log_likelihood(problem.nominal)), rel=1e-9)


@pytest.mark.parametrize(
    ("problem", "match"),
    [({"family": "laplace"}, "normal or log_normal"), ({"censored": True}, "censored")],
)
def test_what_cannot_be_integrated_out_is_refused(problem, match):
    with pytest.raises(ProblemError, match=match):
        MarginalLikelihood(decay(0.0, **problem))


def test_readings_at_steady_state_are_refused():
    problem = decay(0.0)
    table = problem.measurements.table.assign(time=np.where(np.arange(30) == 29, np.inf, TIMES))
    with pytest.raises(ProblemError, match="at steady state"):
        MarginalLikelihood(problem.at(table))


def test_what_a_course_cannot_be_of():
    draws = np.ones((1, 2, 1))
    problem = decay(0.0)
    own, shared = (
        Discrepancy(MarginalLikelihood(problem, shared=alike), np.ones((1, 2, 2)), draws, draws, 0)
        for alike in (False, True)
    )
    with pytest.raises(ProblemError, match="'z' is not read"):
        shared.course(TIMES, "z")
    with pytest.raises(ProblemError, match="every series has its own discrepancy"):
        own.course(TIMES, "y")
    with pytest.raises(ProblemError, match="all series have one discrepancy"):
        shared.course(TIMES, "y", ("e", "1"))
    with pytest.raises(ProblemError, match="there is no series"):
        own.course(TIMES, "y", ("e", "2"))


@pytest.mark.slow
def test_a_known_discrepancy_is_found_and_none_is_not():
    bent = sample_discrepancy(decay(6.0), starts=4, quiet=True)
    row = bent.table().iloc[0]
    # A sine of amplitude 6 has a root mean square of 6 / sqrt 2 = 4.2 noise scales.
    assert row["lower"] < 6 / np.sqrt(2) < row["upper"]
    assert row["r_hat"] < 1.02
    course = bent.course(TIMES, "y").mean(axis=0)
    assert np.corrcoef(course, np.sin(1.5 * TIMES))[0, 1] > 0.9
    assert len(discrepancy_figure(bent, draws=10).axes) == 2
    straight = sample_discrepancy(decay(0.0), starts=4, quiet=True).table().iloc[0]
    assert straight["median"] < 1 < row["lower"]
