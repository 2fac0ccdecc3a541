"""The power posterior: the matched power by hand, the width of the draws, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import twin
from calibration import Problem, fit, sample_power_posterior
from calibration.sampling.power import matched_power
from twin.errors import ProblemError

pytestmark = pytest.mark.xdist_group("power_posterior")

SD, LEVEL = 0.5, 3.0


def constant(count: int = 40, correlation: float = 0.8, subjects: int = 2, replicates: int = 1) -> Problem:
    """A constant, read with normal noise of known size whose neighbours correlate."""
    rng = np.random.default_rng(5)
    tables = []
    for subject in range(subjects):
        noise = rng.normal(size=count)
        for index in range(1, count):
            noise[index] = correlation * noise[index - 1] + np.sqrt(1 - correlation**2) * noise[index]
        time = np.arange(1.0, count + 1)
        tables.append(pd.DataFrame({"subject": str(subject), "time": time, "value": LEVEL + SD * noise}))
    again = [each.assign(value=each["value"] + 0.01 * copy) for copy in range(replicates) for each in tables]
    table = pd.concat(again, ignore_index=True)
    table = table.assign(experiment="e", observable="y", noise=SD, censoring="")
    model = twin.Model(
        "constant",
        [twin.State("A", "a")],
        [twin.Parameter("a", LEVEL)],
        odes={"A": "0 * A"},
        observables=[twin.Observable("y", "A")],
    )
    return Problem(model, table, [twin.Estimate("a", 0.1, 10.0, "lin")], twin.Noise("normal"))


def by_hand(problem: Problem, best: float) -> tuple[float, int]:
    """Readings over the variance of their sum, with Bartlett weights, in units of the noise; and how many of these."""
    off = ((problem.bindings.value - best) / SD).reshape(-1, 2, 40).sum(axis=0)  # replicates of a moment go together
    off = off - off.mean()
    total = np.sum(off**2)
    related = np.sum(off[:, 1:] * off[:, :-1]) / total
    lag = math.ceil(1.1447 * (4 * related**2 / (1 - related**2) ** 2 * 40) ** (1 / 3))
    for step in range(1, lag + 1):
        total += 2 * (1 - step / (lag + 1)) * np.sum(off[:, step:] * off[:, :-step])
    return problem.bindings.value.size / total, lag


@pytest.mark.parametrize("replicates", [1, 3])
def test_the_power_is_that_of_the_variance_of_a_sum(replicates: int) -> None:
    problem = constant(replicates=replicates)
    best = problem.bindings.value.mean()
    found = matched_power(problem, np.array([best]))
    power, lag = by_hand(problem, best)
    assert found.moments == 80 and found.lag == lag > 2
    assert found.power == pytest.approx(power, rel=1e-5)
    assert found.power < 0.5 / replicates  # the correlation of neighbours alone, 0.8, asks for 0.11


def test_readings_count_once_at_most() -> None:
    problem = constant(correlation=-0.8)
    assert matched_power(problem, np.array([LEVEL])).power == 1.0


@pytest.mark.slow
def test_draws_are_as_wide_as_the_power_says() -> None:
    problem = constant()
    best = fit(problem, starts=2, seed=0, quiet=True)
    tree = sample_power_posterior(problem, initial=best, draws=1000, quiet=True)
    power = tree.attrs["power"]
    assert power == pytest.approx(matched_power(problem, best.best).power)
    draws = tree["posterior"]["a"].to_numpy().ravel()
    assert draws.std() == pytest.approx(SD / np.sqrt(80 * power), rel=0.08)
    assert draws.mean() == pytest.approx(problem.bindings.value.mean(), abs=0.1 * draws.std())
    assert {"log_prior", "log_likelihood", "posterior_predictive"} <= set(tree.children)
    whole = sample_power_posterior(problem, 1.0, initial=best, draws=1000, quiet=True)
    assert whole["posterior"]["a"].to_numpy().std() == pytest.approx(SD / np.sqrt(80), rel=0.08)


def test_what_is_refused() -> None:
    with pytest.raises(ProblemError, match="the power is 0"):
        sample_power_posterior(constant(), 0.0)
    with pytest.raises(ProblemError, match="the power is nan"):
        sample_power_posterior(constant(), float("nan"))
    with pytest.raises(ProblemError, match="readings are at 8 moments"):
        matched_power(constant(count=4), np.array([LEVEL]))
