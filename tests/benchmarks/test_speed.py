"""Seconds of what users do most: compiling and running a simulation, a gradient and a Jacobian, each apart.

    uv run pytest -m benchmark tests/benchmarks

`--benchmark-save NAME` and `--benchmark-compare` of pytest-benchmark hold them against an earlier run.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import pytest

import calibration
import models
import twin

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.filterwarnings("ignore::pytest_benchmark.logger.PytestBenchmarkWarning"),
]

STUDY = "influenza_baccam2006"
WEEK = np.linspace(0.0, 7.0, 141)
COMPILATIONS = 3


def simulation(draws: int | None) -> Callable[[], object]:
    """A call of `twin.simulate` for new parameters each time."""
    model, generator = models.load("influenza_teiv"), np.random.default_rng(0)

    def call() -> object:
        beta = model.default_parameters["beta"] * np.exp(0.2 * generator.standard_normal(draws))
        return twin.simulate(model, WEEK, {"beta": beta})

    return call


def of_a_study(make: Callable[[calibration.Problem], Callable]) -> Callable[[], object]:
    """A compiled function of the vector of a study, called with a new vector each time."""
    problem, generator = calibration.Problem.from_study(STUDY), np.random.default_rng(0)
    function = jax.jit(make(problem))

    def call() -> object:
        with twin.float64():
            theta = problem.nominal + 0.01 * generator.standard_normal(len(problem.names))
            return jax.block_until_ready(function(theta))

    return call


CALLS: dict[str, Callable[[], Callable[[], object]]] = {
    "simulate_one": lambda: simulation(None),
    "simulate_1000_draws": lambda: simulation(1000),
    "log_likelihood_and_gradient": lambda: of_a_study(lambda problem: jax.value_and_grad(problem.log_likelihood)),
    "residual_jacobian": lambda: of_a_study(lambda problem: jax.jacfwd(problem.residuals)),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.benchmark(group="run", min_rounds=5, max_time=2.0)
def test_run(benchmark, name: str) -> None:
    """Calls after the first."""
    call = CALLS[name]()
    call()
    benchmark(call)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.benchmark(group="compile")
@pytest.mark.usefixtures("nothing_cached")
def test_compile(benchmark, name: str) -> None:
    """The first call: tracing, compilation and one run, with nothing kept from before."""

    def fresh() -> tuple[tuple[Callable[[], object]], dict]:
        jax.clear_caches()
        return (CALLS[name](),), {}

    benchmark.pedantic(lambda call: call(), setup=fresh, rounds=COMPILATIONS)
