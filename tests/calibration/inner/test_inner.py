"""Inner optimisation against closed forms, linear programming, scipy's optimisers and the whole objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog, minimize

from calibration import Problem, read_petab, write_petab
from calibration.inner import InnerObjective, inner_parameters
from calibration.inner.objective import RIDGE
from calibration.optimise.local import minimise
from calibration.optimise.objective import Objective
from twin.errors import ProblemError
from twin.model import Model
from twin.model.parts import Observable, Parameter, Reaction, State
from twin.precision import float64
from twin.progress import progress
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0])
K = Estimate("k", 0.05, 5.0, nominal=0.5)
GAIN = Estimate("gain", 1e-3, 1e3, nominal=1.0)
BACKGROUND = Estimate("background", -5.0, 5.0, scale="lin", nominal=0.0)
SD = Estimate("sd", 1e-4, 1e2, nominal=0.1)
RATES = np.log10([[0.35], [0.5], [0.8]])
"""Outer vectors at which things are compared; the data were made with k = 0.5."""


class Case(NamedTuple):
    problem: Problem
    inner: InnerObjective
    whole: Objective


def model() -> Model:
    """A = exp(-k t), read with unknown gains and backgrounds."""
    parameters = [Parameter(name, 1.0) for name in ("k", "gain", "background", "power", "dimming", "tight", "wide")]
    observables = [
        Observable("line", "gain * A + background"),
        Observable("second", "gain * A"),
        Observable("root", "sqrt(power) * A"),
        Observable("dim", "dimming * A"),
        Observable("cut", "tight * A"),
        Observable("grown", "wide * A"),
        Observable("shifted", "gain * (A + background)"),
    ]
    loss = [Reaction("loss", "A ->", "k * A")]
    return Model("read_decay", [State("A", 1.0)], parameters, loss, observables=observables)


def table(values: Mapping[str, np.ndarray]) -> pd.DataFrame:
    rows = [("e", "1", name, t, v, np.nan, "") for name, y in values.items() for t, v in zip(TIMES, y, strict=True)]
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    return pd.DataFrame(rows, columns=columns)


def case(values: Mapping[str, np.ndarray], estimates: Sequence[Estimate], noise: Mapping[str, Noise]) -> Case:
    problem = Problem(model(), table(values), estimates, noise, rtol=1e-11, atol=1e-13)
    return Case(problem, InnerObjective(problem), Objective(problem))


def signal(seed: int, gain: float, background: float, sd: float) -> np.ndarray:
    return gain * np.exp(-0.5 * TIMES) + background + sd * np.random.default_rng(seed).normal(size=len(TIMES))


def positive(name: str, scale: str = "log10", upper: float = 1e3) -> Estimate:
    return Estimate(name, 1e-4, upper, nominal=1.0, scale=scale)


LINE, SECOND = signal(0, 8.0, 1.5, 0.3), signal(1, 8.0, 0.0, 0.1)
POSITIVE = 8.0 * np.exp(-0.5 * TIMES + 0.2 * np.random.default_rng(2).normal(size=len(TIMES)))


@pytest.fixture(scope="module")
def separate() -> Case:
    """Four observables that share no scaling: a line, multiplicative noise, Laplace noise, a bound below the best."""
    return case(
        {"line": LINE, "root": POSITIVE, "dim": POSITIVE, "cut": SECOND},
        [
            K,
            *(GAIN, BACKGROUND, SD),
            *(positive("power"), positive("sd_root", "lin")),
            *(positive("dimming"), positive("sd_dim")),
            *(positive("tight", upper=4.0), positive("sd_cut", "log")),
        ],
        {
            "line": Noise("normal", "sd"),
            "root": Noise("log_normal", "sd_root"),
            "dim": Noise("laplace", "sd_dim"),
            "cut": Noise("normal", "sd_cut"),
        },
    )


@pytest.fixture(scope="module")
def coupled() -> Case:
    """A gain shared by observables with noise scales of their own, and noise that grows with the prediction."""
    estimates = [K, GAIN, BACKGROUND, SD, positive("sd_second"), *map(positive, ("wide", "sd_grown", "share"))]
    noise = {
        "line": Noise("normal", "sd"),
        "second": Noise("normal", "sd_second"),
        "grown": Noise("normal", "sd_grown + share * grown"),
    }
    return case({"line": LINE, "second": SECOND, "grown": POSITIVE}, estimates, noise)


@pytest.fixture(scope="module", params=["separate", "coupled"])
def each(request: pytest.FixtureRequest) -> Case:
    return request.getfixturevalue(request.param)


def test_value_is_that_of_the_whole_objective(each: Case) -> None:
    with float64():
        reduced, complete = each.inner(RATES), each.inner.complete(RATES)
        whole = each.whole(complete)
    assert complete.shape == (3, len(each.problem.names))
    np.testing.assert_array_equal(complete[:, each.inner.outer], RATES)
    assert (complete >= each.problem.lower).all() and (complete <= each.problem.upper).all()
    np.testing.assert_allclose(reduced.value, whole.value, atol=1e-10, rtol=0)
    np.testing.assert_allclose(reduced.nllh, whole.nllh, atol=1e-10, rtol=0)


def test_gradient_is_that_of_the_reduced_objective(each: Case) -> None:
    step = 1e-5
    with float64():
        found = each.inner(RATES).gradient
        around = [each.inner(RATES + sign * step).value for sign in (1, -1)]
    # Central differences: integration error 1e-11 over the step, and the third derivative times its square.
    np.testing.assert_allclose(found[:, 0], (around[0] - around[1]) / (2 * step), rtol=1e-6, atol=2e-5)


@pytest.mark.slow
def test_curvature_leaves_out_what_follows(each: Case) -> None:
    """The inverse of a Schur complement is the block of the whole inverse; entries on a bound do not move."""
    with float64():
        reduced, complete = each.inner(RATES), each.inner.complete(RATES)
        whole = each.whole(complete).curvature
    for k, theta in enumerate(complete):
        free = (theta > each.problem.lower) & (theta < each.problem.upper)
        block = np.linalg.inv(whole[k][np.ix_(free, free)])
        expected = 1 / block[0, 0] + RIDGE * whole[k][0, 0]
        np.testing.assert_allclose(reduced.curvature[k], [[expected]], rtol=1e-8)


def of_names(one: Case, *names: str) -> np.ndarray:
    """Inner entries by name, linear scale [rate, name]."""
    with float64():
        complete = one.inner.complete(RATES)
    linear = one.problem.parameters.linear(complete)
    return linear[:, [one.problem.names.index(name) for name in names]]


def courses() -> np.ndarray:
    return np.exp(-(10.0**RATES) * TIMES)


def test_normal_noise_is_linear_regression(separate: Case) -> None:
    for course, found in zip(courses(), of_names(separate, "gain", "background", "sd"), strict=True):
        beta, rss, *_ = np.linalg.lstsq(np.stack([course, np.ones(len(TIMES))], axis=1), LINE)
        np.testing.assert_allclose(found, [*beta, np.sqrt(rss[0] / len(TIMES))], rtol=1e-8)


def test_multiplicative_noise_is_a_mean_of_logarithms(separate: Case) -> None:
    for course, found in zip(courses(), of_names(separate, "power", "sd_root"), strict=True):
        ratio = np.log(POSITIVE / course)
        np.testing.assert_allclose(found, [np.exp(2 * ratio.mean()), ratio.std()], rtol=1e-8)


def test_laplace_noise_is_least_absolute_deviation(separate: Case) -> None:
    n = len(TIMES)
    for course, found in zip(courses(), of_names(separate, "dimming", "sd_dim"), strict=True):
        # minimise the sum of u with -u <= y - g A <= u
        sides = np.block([[-course[:, None], -np.eye(n)], [course[:, None], -np.eye(n)]])
        best = linprog(np.append(0.0, np.ones(n)), A_ub=sides, b_ub=np.append(-POSITIVE, POSITIVE))
        np.testing.assert_allclose(found, [best.x[0], best.fun / n], rtol=1e-7)


def test_bounds_hold_and_the_rest_follows(separate: Case) -> None:
    for course, found in zip(courses(), of_names(separate, "tight", "sd_cut"), strict=True):
        np.testing.assert_allclose(found, [4.0, np.sqrt(np.mean((SECOND - 4.0 * course) ** 2))], rtol=1e-8)


def test_coupled_optima_are_the_global_ones(coupled: Case) -> None:
    """The reduced objective by scipy's simplex from many starts."""
    with float64():
        found = coupled.inner(RATES).nllh

    def normal(y: np.ndarray, f: np.ndarray, s: np.ndarray | float) -> float:
        return float(np.sum(0.5 * ((y - f) / s) ** 2 + np.log(s) + 0.5 * np.log(2 * np.pi)))

    def shared(x: np.ndarray, course: np.ndarray) -> float:
        gain, sd, other = 10.0 ** x[:3]
        return normal(LINE, gain * course + x[3], sd) + normal(SECOND, gain * course, other)

    def grown(x: np.ndarray, course: np.ndarray) -> float:
        wide, sd, share = 10.0**x
        return normal(POSITIVE, wide * course, sd + share * wide * course)

    for course, here in zip(courses(), found, strict=True):
        best = sum(simplex(lambda x, f=f, c=course: f(x, c), n) for f, n in ((shared, 4), (grown, 3)))
        # The simplex stops at 1e-12; parameters within 1e-4 of a lower bound do not matter to that.
        np.testing.assert_allclose(here, best, atol=1e-7)


def simplex(function: Callable[[np.ndarray], float], size: int) -> float:
    """The least value from many starts; the first three entries are logarithms of what is at least 1e-4."""
    rng, best, bounds = np.random.default_rng(0), np.inf, [*[(-4.0, 3.0)] * 3, (-5.0, 5.0)][:size]
    for _ in range(8):
        x = rng.uniform(-1.0, 1.0, size)
        for _ in range(4):
            options = {"maxiter": 1000, "xatol": 1e-10, "fatol": 1e-13}
            result = minimize(function, x, method="Nelder-Mead", bounds=bounds, options=options)
            x = result.x
        best = min(best, result.fun)
    return best


def test_inner_and_outer_fits_agree(coupled: Case) -> None:
    problem, inner, whole = coupled
    runs = []
    with float64(), progress("fits", 1, True) as line:
        first = inner.complete(RATES)
        for evaluate, lower, upper, start in (
            (inner, inner.lower, inner.upper, RATES),
            (whole, problem.lower, problem.upper, np.where(np.arange(len(problem.names)) == 0, first, problem.nominal)),
        ):
            at = evaluate(start)
            runs.append(minimise(evaluate, start, at, lower, upper, iterations=300, tolerance=1e-10, line=line))
        complete = inner.complete(runs[0].theta)
    by_inner, by_outer = runs
    best = int(np.argmin(by_outer.at.value))
    np.testing.assert_allclose(by_inner.at.value, by_outer.at.value[best], atol=1e-6)
    assert abs(complete[0, 0] - by_outer.theta[best, 0]) < 1e-4
    assert by_inner.iterations.max() < by_outer.iterations.min()


def test_table_names_roles_and_reasons(coupled: Case) -> None:
    found = inner_parameters(coupled.problem).set_index("entry")
    assert found.loc["gain", "role"] == found.loc["wide", "role"] == "scaling"
    assert found.loc["background", "role"] == "offset"
    assert set(found.loc[["sd", "sd_second", "sd_grown", "share"], "role"]) == {"noise"}
    assert found.loc["gain", "group"] == found.loc["sd_second", "group"] != found.loc["share", "group"]
    assert "mechanism" in found.loc["k", "why"]
    assert coupled.inner.names == ("k",)


def why(values: Mapping[str, np.ndarray], estimates: Sequence[Estimate], noise: Noise) -> dict[str, str]:
    found = inner_parameters(Problem(model(), table(values), estimates, noise))
    return {entry: reason or role for entry, role, reason in zip(found.entry, found.role, found.why, strict=True)}


def test_a_product_of_two_is_affine_in_one() -> None:
    found = why({"shifted": LINE}, [K, GAIN, BACKGROUND, SD], Noise("normal", "sd"))
    assert found["gain"] == "scaling"
    assert "not in both" in found["background"]


def test_a_root_is_no_scaling_of_additive_noise() -> None:
    assert "not affine" in why({"root": LINE}, [K, positive("power"), SD], Noise("normal", "sd"))["power"]


def test_an_offset_is_no_factor_of_multiplicative_noise() -> None:
    found = why({"line": POSITIVE}, [K, GAIN, BACKGROUND, SD], Noise("log_normal", "sd"))
    assert "not proportional" in found["background"] and "not proportional" in found["gain"]
    assert found["sd"] == "noise"


def test_other_noise_and_priors_stay_outside() -> None:
    assert "student_t" in why({"dim": LINE}, [K, positive("dimming"), SD], Noise("student_t", "sd"))["dimming"]
    informed = Estimate("dimming", 1e-3, 1e3, prior=Prior("cauchy", 0.0, 1.0), nominal=1.0)
    assert "its prior is cauchy" in why({"dim": LINE}, [K, informed, SD], Noise("normal", "sd"))["dimming"]


def test_a_root_of_squares_is_left_outside() -> None:
    estimates = [K, positive("dimming"), SD, positive("share")]
    found = why({"dim": LINE}, estimates, Noise("normal", "sqrt(sd^2 + (share * dim)^2)"))
    assert all("polynomial" in found[name] for name in ("sd", "share"))


def test_a_problem_without_inner_entries_says_why() -> None:
    problem = Problem(model(), table({"root": LINE}), [K, positive("power")], Noise("normal", 0.1))
    with pytest.raises(ProblemError, match="power: the formula of 'root' is not affine in it"):
        InnerObjective(problem)


@pytest.fixture(scope="module")
def read_back(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A problem of PEtab version 2: linear scales, log-uniform priors where the scale was logarithmic, one normal."""
    background = Estimate("background", -5.0, 5.0, scale="lin", prior=Prior("normal", 0.5, 0.1), nominal=0.0)
    problem = Problem(model(), table({"line": LINE}), [K, GAIN, background, SD], Noise("normal", "sd"))
    written = write_petab(problem, tmp_path_factory.mktemp("petab"), "2.0.0")
    problem = read_petab(written, rtol=1e-11, atol=1e-13)
    return Case(problem, InnerObjective(problem), Objective(problem))


@pytest.mark.slow
def test_petab_version_2_with_priors(read_back: Case) -> None:
    """The best line under priors: by scipy's simplex on the negative log-posterior."""
    problem = read_back.problem
    assert set(inner_parameters(problem)["role"]) == {"outer", "scaling", "offset", "noise"}
    rates = 10.0**RATES
    with float64():
        reduced, complete = read_back.inner(rates), read_back.inner.complete(rates)
        whole = read_back.whole(complete)
        around = [read_back.inner(rates + sign * 1e-5).value for sign in (1, -1)]
    np.testing.assert_allclose(reduced.value, whole.value, atol=1e-10, rtol=0)
    np.testing.assert_allclose(reduced.gradient[:, 0], (around[0] - around[1]) / 2e-5, rtol=1e-6, atol=2e-5)
    for course, theta in zip(courses(), complete, strict=True):

        def posterior(x: np.ndarray, course: np.ndarray = course) -> float:
            residual = LINE - x[0] * course - x[1]
            spread = np.exp(x[2])
            fit = np.sum(0.5 * (residual / spread) ** 2 + x[2])
            return float(fit + np.log(x[0]) + x[2] + 0.5 * ((x[1] - 0.5) / 0.1) ** 2)

        options = {"maxiter": 4000, "maxfev": 4000, "xatol": 1e-10, "fatol": 1e-13}
        found = minimize(posterior, [8.0, 0.5, -1.0], method="Nelder-Mead", options=options).x
        np.testing.assert_allclose(theta[1:], [found[0], found[1], np.exp(found[2])], rtol=1e-5)
