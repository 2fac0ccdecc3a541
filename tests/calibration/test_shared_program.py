"""Problems that differ in numbers share a program, and each has its own numbers; other differences have their own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import shared_program
from calibration.compiled import kept_program
from calibration.priors import PriorDensity
from calibration.problem import Problem
from calibration.shared_program import SharedProgram
from twin.experiment import Bolus, Experiment
from twin.precision import float64
from twin.study import Effect, Estimate, Noise, Prior

DOSE, WHEN = 1.5, 0.75
SHARED = "one program"
OWN = "a program of its own"


@pytest.fixture
def compiled_programs(monkeypatch) -> dict:
    """The programs that are kept, none at first."""
    kept = shared_program.OrderedDict()
    monkeypatch.setattr(shared_program, "_programs", kept)
    return kept


def of_array(numbers: np.ndarray, factor: float) -> Callable:
    return lambda x: factor * jnp.sum(x * numbers)


def test_arrays_are_arguments_and_all_else_is_code(compiled_programs: dict) -> None:
    x = np.arange(3.0, dtype=np.float32)
    assert SharedProgram(of_array(np.array([1.0, 2.0, 3.0]), 2.0))(x) == 16.0
    assert SharedProgram(of_array(np.array([3.0, 2.0, 1.0]), 2.0))(x) == 8.0
    assert len(compiled_programs) == 1
    assert SharedProgram(of_array(np.array([3.0, 2.0, 1.0]), 3.0))(x) == 12.0
    assert SharedProgram(of_array(np.array(3.0), 2.0))(x) == 18.0
    assert len(compiled_programs) == 3


def test_functions_of_python_are_not_shared(compiled_programs: dict) -> None:
    def calling(sign: float) -> Callable:
        of = lambda x: np.asarray(sign * x)  # noqa: E731
        return lambda x: jax.pure_callback(of, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    assert SharedProgram(calling(1.0))(np.float32(2.0)) == 2.0
    assert SharedProgram(calling(-1.0))(np.float32(2.0)) == -2.0
    assert not compiled_programs


def test_as_part_of_a_larger_program(compiled_programs: dict) -> None:
    double = SharedProgram(of_array(np.ones(3), 2.0))
    np.testing.assert_array_equal(jax.grad(double)(jnp.ones(3)), 2.0)
    assert jax.jit(lambda x: x + double(np.ones(3, dtype=np.float32)))(1.0) == 7.0
    assert double(np.ones(3)) == 6.0


def test_the_last_used_are_kept(compiled_programs: dict, monkeypatch) -> None:
    monkeypatch.setattr(shared_program, "MOST_PROGRAMS", 2)
    for factor in (1.0, 2.0, 1.0, 3.0):
        SharedProgram(of_array(np.ones(3), factor))(np.ones(3))
    kept = list(compiled_programs)
    SharedProgram(of_array(np.ones(3), 1.0))(np.ones(3))
    assert set(compiled_programs) == set(kept)


def table(times=(0.5, 1.0, 2.0), values=(1.8, 2.0, 1.4), noise=0.3, censoring=("", "", "")) -> pd.DataFrame:
    """Readings of one subject."""
    rows = {"experiment": "e", "subject": "1", "observable": "y", "time": times, "value": values, "noise": noise}
    return pd.DataFrame({**rows, "censoring": list(censoring)})


def course(t: np.ndarray, k: float, amount: float = 2.0, dose: float = DOSE, when: float = WHEN) -> np.ndarray:
    """A(t) of the decay with a bolus."""
    return amount * np.exp(-k * t) + np.where(t >= when, dose * np.exp(-k * (t - when)), 0.0)


def expected(found: pd.DataFrame, predicted: np.ndarray, scale: np.ndarray | float) -> float:
    """Log-likelihood of normal readings, those below a limit by its probability."""
    low = (found["censoring"] == "left").to_numpy()
    value = found["value"].to_numpy()
    each = stats.norm.logpdf(value, predicted, scale)
    return float(np.sum(np.where(low, stats.norm.logcdf(value, predicted, scale), each)))


@pytest.mark.slow
def test_each_input_counts(decay, compiled_programs: dict) -> None:
    """Every kind of input is changed, one at a time; what comes out is its closed form."""
    k, t = 0.6, np.array([0.5, 1.0, 2.0])
    log, rate, given = np.log10(k), Estimate("k", 0.01, 10.0), Noise("normal", None)
    by_weight = Estimate("k", 0.01, 10.0, effects=(Effect("weight", 0.2),))

    def problem(readings: pd.DataFrame, dose=DOSE, when=WHEN, estimates=(rate,), noise=given, **other) -> Problem:
        done = {"e": Experiment(doses=[Bolus("A", dose, when)])}
        return Problem(
            decay, readings, estimates, noise, experiments=done, solver="tsit5", rtol=1e-7, atol=1e-9, **other
        )

    def heavy(weight: float) -> Problem:
        return problem(plain, estimates=(by_weight,), covariates={"1": {"weight": weight}})

    plain, later = table(), table(times=(0.25, 1.25, 3.0))
    other, exact = table(values=(1.7, 2.2, 1.1)), table(noise=0.1)
    limited = table(values=(1.8, 2.0, 1.5), censoring=("", "", "left"))
    higher = table(values=(1.8, 2.0, 1.6), censoring=("", "", "left"))
    linear = (Estimate("k", 0.01, 10.0, scale="lin"),)
    of = functools.partial(course, t, k)
    cases = [
        (problem(plain), log, expected(plain, of(), 0.3), OWN),
        (problem(other), log, expected(other, of(), 0.3), SHARED),
        (problem(later), log, expected(later, course(later["time"].to_numpy(), k), 0.3), SHARED),
        (problem(exact), log, expected(exact, of(), 0.1), SHARED),
        (problem(plain, dose=0.7), log, expected(plain, of(dose=0.7), 0.3), SHARED),
        (problem(plain, when=1.5), log, expected(plain, of(when=1.5), 0.3), SHARED),
        (problem(plain, fixed={"A0": 3.0}), log, expected(plain, of(amount=3.0), 0.3), SHARED),
        (problem(limited), log, expected(limited, of(), 0.3), OWN),
        (problem(higher), log, expected(higher, of(), 0.3), SHARED),
        (problem(plain, noise=Noise("normal", 0.2)), log, expected(plain, of(), 0.2), SHARED),
        (problem(plain, noise=Noise("normal", "0.2 * y")), log, expected(plain, of(), 0.2 * of()), OWN),
        (problem(plain, estimates=linear), k, expected(plain, of(), 0.3), OWN),
        (heavy(0.5), log, expected(plain, course(t, k * 10**0.1), 0.3), OWN),
        (heavy(1.0), log, expected(plain, course(t, k * 10**0.2), 0.3), SHARED),
    ]
    for index, (each, theta, value, how) in enumerate(cases):
        before = len(compiled_programs)
        make = functools.partial(Problem.log_likelihood_many.__wrapped__, each)
        with jax.enable_x64(True):
            found = kept_program(each, "tested", lambda make=make: make)(np.array([[theta]]))
        assert float(found[0]) == pytest.approx(value, rel=1e-5), index
        assert (OWN if len(compiled_programs) > before else SHARED) == how, index


def test_gradients_in_a_mapped_loop_share_it_and_keep_their_numbers(decay, compiled_programs: dict) -> None:
    """As a sampler takes them: the readings may not hide in a program within the loop."""
    done = {"e": Experiment(doses=[Bolus("A", DOSE, WHEN)])}
    start = np.log10([[0.5], [0.6], [0.7], [0.8]])
    for values in ((1.8, 2.0, 1.4), (1.7, 2.2, 1.1)):
        problem = Problem(
            decay,
            table(values=values),
            [Estimate("k", 0.01, 10.0)],
            Noise("normal", None),
            experiments=done,
            solver="tsit5",
        )
        with float64():
            climb = lambda x, problem=problem: x + 1e-3 * jax.grad(problem.log_posterior)(x)  # noqa: E731

            def once(x, climb=climb):
                # Whether there is a step depends on the vector, as the length of a sampler's trajectory does.
                going = lambda at: (at[1] < 1) & (at[0][0] < 1.0)  # noqa: E731
                return jax.lax.while_loop(going, lambda at: (climb(at[0]), at[1] + 1), (x, 0))[0]

            found = SharedProgram(jax.vmap(once))(jnp.asarray(start))
            alone = np.stack([np.asarray(climb(np.asarray(x))) for x in start])
        np.testing.assert_allclose(np.asarray(found), alone, rtol=1e-9)
    assert len(compiled_programs) == 1


def test_bounds_and_priors_count(compiled_programs: dict) -> None:
    def density(prior: Prior, lower: float, upper: float, scale: str = "lin") -> float:
        made = PriorDensity([prior], np.array([lower]), np.array([upper]), [scale])
        with jax.enable_x64(True):
            return float(SharedProgram(made.log_density)(np.array([[0.5]]))[0])

    assert density(Prior("uniform"), 0.0, 2.0) == pytest.approx(-np.log(2.0))
    assert density(Prior("uniform"), 0.0, 4.0) == pytest.approx(-np.log(4.0))
    assert density(Prior("uniform"), 0.6, 4.0) == -np.inf
    for mean, sd in ((0.0, 1.0), (0.2, 0.3)):
        inside = np.diff(stats.norm.cdf([-9.0, 9.0], mean, sd))[0]
        assert density(Prior("normal", mean, sd), -9.0, 9.0) == pytest.approx(
            stats.norm.logpdf(0.5, mean, sd) - np.log(inside)
        )
