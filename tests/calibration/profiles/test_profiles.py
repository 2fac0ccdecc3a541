"""Profiles against closed forms, brute force and mechanisms whose identifiability is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

import calibration
from calibration import Problem, profile, profile_pair
from calibration.profiles.curve import IDENTIFIABLE, PRACTICALLY_NOT, STRUCTURALLY_NOT, Curve, judge
from calibration.profiles.result import Profiles
from twin.errors import ProblemError, TwinWarning
from twin.model import Model
from twin.model.parts import Observable, Parameter, Reaction, State
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD = 0.2
DESIGN = np.stack([-TIMES, np.ones(6)], axis=1)
"""ln y = ln A0 - k t: linear in (k, ln A0)."""
COVARIANCE = np.linalg.inv(DESIGN.T @ DESIGN / SD**2)
ESTIMATES = [Estimate("k", 0.01, 5.0, scale="lin"), Estimate("A0", 0.01, 100.0, scale="log")]

type Rows = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def linear(decay: Model, table_of_rows: Rows) -> tuple[Problem, np.ndarray]:
    """A problem whose log-likelihood is quadratic, and its optimum."""
    logarithm = np.log(2.0) - 0.5 * TIMES + SD * np.random.default_rng(2).normal(size=6)
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(logarithm), strict=True)])
    problem = Problem(decay, table, ESTIMATES, Noise("log_normal", SD), rtol=1e-10, atol=1e-12)
    return problem, COVARIANCE @ DESIGN.T @ logarithm / SD**2


@pytest.fixture(scope="module")
def of_linear(linear: tuple[Problem, np.ndarray]) -> Profiles:
    problem, optimum = linear
    return profile(problem, optimum, quiet=True)


def test_linear_intervals_are_the_analytic_ones(of_linear: Profiles, linear: tuple[Problem, np.ndarray]) -> None:
    half = np.sqrt(chi2.ppf(0.95, 1) * np.diag(COVARIANCE))
    for name, at, reach in zip(of_linear.names, linear[1], half, strict=True):
        # Interpolated where the curve is a parabola, which the cubic reproduces; what is left is the optimiser's error.
        np.testing.assert_allclose(of_linear[name].interval, (at - reach, at + reach), rtol=1e-4)
    assert of_linear.flags == (IDENTIFIABLE, IDENTIFIABLE)
    assert of_linear.better is None


def test_linear_curves_are_parabolas(of_linear: Profiles, linear: tuple[Problem, np.ndarray]) -> None:
    for index, curve in enumerate(of_linear.curves):
        away = curve.position - linear[1][index]
        np.testing.assert_allclose(curve.rise, away**2 / COVARIANCE[index, index], atol=1e-4)
        np.testing.assert_allclose(curve.slope, 2.0 * away / COVARIANCE[index, index], rtol=1e-2, atol=1e-2)
        other = 1 - index
        along = linear[1][other] + COVARIANCE[0, 1] / COVARIANCE[index, index] * away
        np.testing.assert_allclose(curve.theta[:, other], along, atol=1e-3)
        assert (np.diff(curve.position) > 0.0).all()
        assert curve.ends == ("threshold", "threshold")
        assert 10 <= len(curve.position) <= 20


def test_level_sets_the_width(linear: tuple[Problem, np.ndarray]) -> None:
    problem, optimum = linear
    found = profile(problem, optimum, ["k"], level=0.5, quiet=True)
    half = np.sqrt(chi2.ppf(0.5, 1) * COVARIANCE[0, 0])
    np.testing.assert_allclose(found["k"].interval, (optimum[0] - half, optimum[0] + half), rtol=1e-4)


def test_priors_count_on_request(linear: tuple[Problem, np.ndarray], decay: Model) -> None:
    problem, _ = linear
    prior = Prior("normal", location=1.0, scale=0.1)
    estimates = [Estimate("k", 0.01, 5.0, scale="lin", prior=prior), ESTIMATES[1]]
    informed = Problem(decay, problem.measurements, estimates, Noise("log_normal", SD), rtol=1e-10, atol=1e-12)
    fit = calibration.fit(informed, starts=4, quiet=True)
    precision = np.linalg.inv(COVARIANCE) + np.diag([1.0 / 0.1**2, 0.0])
    half = np.sqrt(chi2.ppf(0.95, 1) * np.linalg.inv(precision)[0, 0])
    with_prior = profile(informed, fit, ["k"], with_prior=True, quiet=True)
    np.testing.assert_allclose(with_prior["k"].interval, (fit.best[0] - half, fit.best[0] + half), rtol=1e-3)
    # Without it the likelihood alone speaks, from its own optimum, and no warning is due.
    without = profile(informed, fit, ["k"], quiet=True)
    half = np.sqrt(chi2.ppf(0.95, 1) * COVARIANCE[0, 0])
    np.testing.assert_allclose(without["k"].interval, (linear[1][0] - half, linear[1][0] + half), rtol=1e-3)


def test_pair_is_an_ellipse(linear: tuple[Problem, np.ndarray]) -> None:
    problem, optimum = linear
    pair = profile_pair(problem, optimum, ("k", "A0"), points=9, quiet=True)
    a, b = np.meshgrid(pair.a - optimum[0], pair.b - optimum[1], indexing="ij")
    away = np.stack([a, b], axis=-1)
    np.testing.assert_allclose(
        pair.rise, np.einsum("abi,ij,abj->ab", away, np.linalg.inv(COVARIANCE), away), rtol=1e-4, atol=1e-4
    )
    assert pair.threshold == pytest.approx(chi2.ppf(0.95, 2))
    half = np.sqrt(pair.threshold * np.diag(COVARIANCE))
    assert pair.a[0] < optimum[0] - half[0] and pair.a[-1] > optimum[0] + half[0]
    assert pair.table()["inside"].sum() == (pair.rise <= pair.threshold).sum()
    assert pair.to_dataset()["theta"].dims == ("k", "A0", "entry")
    assert pair.plot().axes
    assert "9 x 9 cells" in repr(pair)


@pytest.fixture(scope="module")
def of_product(table_of_rows: Rows) -> Profiles:
    """A decays at the rate k1 k2, so the data know the product only."""
    model = Model(
        "product",
        [State("A", "A0")],
        [Parameter("k1", 0.2), Parameter("k2", 2.5), Parameter("A0", 2.0)],
        [Reaction("loss", "A ->", "k1 * k2 * A")],
        observables=[Observable("y", "A")],
    )
    scatter = 0.05 * np.random.default_rng(1).normal(size=6)
    table = table_of_rows(
        [("e", "1", "y", t, v) for t, v in zip(TIMES, 2.0 * np.exp(-0.5 * TIMES + scatter), strict=True)]
    )
    estimates = [Estimate("k1", 1e-3, 1e3), Estimate("k2", 1e-3, 1e3), Estimate("A0", 0.1, 10.0)]
    problem = Problem(model, table, estimates, Noise("log_normal", 0.05))
    return profile(problem, calibration.fit(problem, starts=4, quiet=True), quiet=True)


def test_product_is_structurally_non_identifiable(of_product: Profiles) -> None:
    assert of_product.flag("k1") == of_product.flag("k2") == STRUCTURALLY_NOT
    assert of_product.flag("A0") == IDENTIFIABLE
    assert of_product.along == (("k2",), ("k1",), ())


def test_the_partner_compensates(of_product: Profiles) -> None:
    curve = of_product["k1"]
    flat = curve.rise < 0.01
    total = curve.theta[flat][:, :2].sum(axis=1)  # log10 k1 + log10 k2
    assert np.ptp(curve.position[flat]) > 2.0
    np.testing.assert_allclose(total, total[0], atol=1e-3)


def test_saturation_is_practically_non_identifiable(table_of_rows: Rows) -> None:
    """Loss saturates above K, which is far above what was seen: the data bound K from below alone."""
    model = Model(
        "saturation",
        [State("A", 1.0)],
        [Parameter("rate", 0.5), Parameter("K", 100.0)],
        [Reaction("loss", "A ->", "rate * K * A / (K + A)")],
        observables=[Observable("y", "A")],
    )
    scatter = 0.05 * np.random.default_rng(3).normal(size=6)
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES, np.exp(-0.5 * TIMES + scatter), strict=True)])
    estimates = [Estimate("rate", 1e-2, 1e2), Estimate("K", 1e-3, 1e5)]
    problem = Problem(model, table, estimates, Noise("log_normal", 0.05))
    found = profile(problem, calibration.fit(problem, starts=6, quiet=True), quiet=True)
    assert found.flag("K") == PRACTICALLY_NOT
    assert found.flag("rate") == IDENTIFIABLE
    low, high = found.interval("K")
    assert 0.1 < low < 100.0
    assert high == np.inf
    assert found["K"].ends == ("threshold", "bound")
    assert found.table().loc["K", "upper"] == np.inf
    assert "inf)" in repr(found)


OBSERVED = np.array([0.02, 0.31, 0.55, 0.72, 0.74, 0.60])


@pytest.fixture(scope="module")
def conversion(table_of_rows: Rows) -> Problem:
    """A -> B ->, only B is seen, with normal noise."""
    model = Model(
        "conversion",
        [State("A", 1.5), State("B", 0.0)],
        [Parameter("ka", 1.0), Parameter("kb", 0.2)],
        [Reaction("on", "A -> B", "ka * A"), Reaction("off", "B ->", "kb * B")],
        observables=[Observable("y", "B")],
    )
    table = table_of_rows([("e", "1", "y", t, v) for t, v in zip(TIMES / 2.0, OBSERVED, strict=True)])
    estimates = [Estimate("ka", 0.01, 10.0), Estimate("kb", 0.001, 10.0), Estimate("sd", 0.001, 1.0)]
    return Problem(model, table, estimates, Noise("normal", "sd"), rtol=1e-9, atol=1e-11)


def bateman(ka: float, kb: float) -> np.ndarray:
    """B(t) in closed form."""
    times = TIMES / 2.0
    return 1.5 * ka / (kb - ka) * (np.exp(-ka * times) - np.exp(-kb * times))


def minus_two_log_likelihood(theta: np.ndarray) -> float:
    """-2 log L of `conversion` at log10 (ka, kb, sd)."""
    ka, kb, sd = 10.0 ** np.asarray(theta)
    if abs(ka - kb) < 1e-9:
        ka += 1e-8
    return float(np.sum(((bateman(ka, kb) - OBSERVED) / sd) ** 2 + np.log(2.0 * np.pi * sd**2)))


def brute(index: int, value: float, start: np.ndarray) -> float:
    """The profile at one value by SciPy's simplex."""
    others = [i for i in range(3) if i != index]

    def objective(x: np.ndarray) -> float:
        theta = np.zeros(3)
        theta[index], theta[others] = value, x
        return minus_two_log_likelihood(theta)

    return float(minimize(objective, start[others], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10}).fun)


def test_nonlinear_curves_equal_brute_force(conversion: Problem) -> None:
    fit = calibration.fit(conversion, starts=8, quiet=True)
    found = profile(conversion, fit, quiet=True)
    lowest = float(minimize(minus_two_log_likelihood, fit.best, method="Nelder-Mead", options={"xatol": 1e-9}).fun)
    for index, curve in enumerate(found.curves):
        reference = [brute(index, x, theta) - lowest for x, theta in zip(curve.position, curve.theta, strict=True)]
        # Twice the optimiser's tolerance of 1e-5, and the error of the integration.
        np.testing.assert_allclose(curve.rise, reference, atol=1e-3)
        low, high = curve.interval
        for end in (low, high):
            if np.isfinite(end):
                near = curve.theta[np.argmin(np.abs(curve.position - end))]
                edge = brentq(
                    lambda x, i=index, near=near: brute(i, x, near) - lowest - found.threshold, end - 0.02, end + 0.02
                )
                assert end == pytest.approx(edge, abs=2e-3)


def test_a_fit_that_has_not_converged_is_reported(conversion: Problem) -> None:
    fit = calibration.fit(conversion, starts=8, quiet=True)
    with pytest.warns(TwinWarning, match="had not converged"):
        found = profile(conversion, fit.best + np.array([0.05, -0.05, 0.1]), ["ka"], quiet=True)
    assert found.objective == pytest.approx(fit.nllh[0], abs=1e-4)
    np.testing.assert_allclose(found.best, fit.best, atol=1e-3)


def two_valleys(table_of_rows: Rows, tilt: float, sd: float) -> Problem:
    """The readings are met at k = 1; there is another valley below k = 3."""
    model = Model(
        "two_valleys",
        [State("A", 2.0)],
        [Parameter("k", 3.0)],
        [Reaction("loss", "A ->", "0.1 * A")],
        observables=[Observable("y", f"A * exp((k - 1)^2 * (k - 3)^2 + {tilt} * k)")],
    )
    table = table_of_rows([("e", "1", "y", t, 2.0 * np.exp(tilt - 0.1 * t)) for t in TIMES])
    return Problem(model, table, [Estimate("k", 0.1, 6.0, scale="lin")], Noise("log_normal", sd))


def test_a_better_optimum_is_reported(table_of_rows: Rows) -> None:
    """Two valleys with a barrier below the threshold: the walk from the shallower one comes to the deeper."""
    problem = two_valleys(table_of_rows, tilt=0.3, sd=2.0)
    assert float(problem.log_likelihood(np.array([1.0]))) > float(problem.log_likelihood(np.array([2.8])))
    with pytest.warns(TwinWarning, match="no global optimum"):
        found = profile(problem, np.array([2.8]), quiet=True)
    assert found.better is not None
    assert found.better_objective is not None
    assert found.better_objective < found.objective
    # The reading's logarithm is met at k = 1, and once more just below.
    assert found.better_objective == pytest.approx(-float(problem.log_likelihood(np.array([1.0]))), abs=1e-4)
    assert 0.9 < found.better[0] < 1.01
    assert found["k"].rise.min() == 0.0
    low, high = found["k"].interval
    assert low < 1.0 < 3.0 < high  # both valleys lie below the threshold
    assert "better optimum" in repr(found)


def test_a_fit_that_the_data_rule_out_decides_nothing(table_of_rows: Rows) -> None:
    """An interval around a valley far above another one would be that of a wrong vector."""
    problem = two_valleys(table_of_rows, tilt=0.9, sd=float(np.sqrt(len(TIMES) / 3)))
    with pytest.warns(TwinWarning, match="no global optimum"):
        found = profile(problem, np.array([2.85]), quiet=True)
    assert found.better is not None
    assert found.better_objective is not None
    assert 2 * (found.objective - found.better_objective) > found.threshold
    assert found.flags == ("undecided",)
    assert found["k"].optimum == found.better[0]


@pytest.mark.parametrize(
    ("first_rise", "last_end", "flag"),
    [
        (0.4, "steps", "practically non-identifiable"),
        (0.4, "failed", "practically non-identifiable"),
        (4.5, "steps", "undecided"),
    ],
)
def test_a_point_at_a_bound_below_the_threshold_decides(first_rise: float, last_end: str, flag: str) -> None:
    """Whatever became of the other side, and though the optimiser gave up: any vector bounds the profile from above."""
    position = np.array([-1.0, 0.0, 1.0])
    curve = Curve(
        "k",
        position,
        rise=np.array([first_rise, 0.0, 2.0]),
        slope=np.array([-0.5, 0.0, 3.0]),
        theta=position[:, None],
        converged=np.array([False, True, False]),
        optimum=0.0,
        ends=("bound", last_end),
        threshold=3.84,
    )
    assert judge(curve, 0, np.array([-1.0]), np.array([5.0])) == (flag, ())


def test_tables_datasets_and_pictures(of_linear: Profiles, of_product: Profiles) -> None:
    table = of_linear.table()
    assert list(table.index) == ["k", "A0"]
    assert table.loc["A0", "estimate"] == pytest.approx(np.exp(of_linear.best[1]))
    assert table.loc["A0", "lower"] == pytest.approx(np.exp(of_linear["A0"].interval[0]))
    ds = of_product.to_dataset()
    assert ds["theta"].dims == ("parameter", "point", "entry")
    assert ds["flag"].sel(parameter="k1").item() == STRUCTURALLY_NOT
    assert ds.attrs["threshold"] == pytest.approx(chi2.ppf(0.95, 1))
    figure = of_product.plot()
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(of_product.flags)
    assert "2 structurally non-identifiable, 1 identifiable" in repr(of_product)


def test_bad_input_is_refused(linear: tuple[Problem, np.ndarray]) -> None:
    problem, optimum = linear
    with pytest.raises(ProblemError, match="'A1' is no entry"):
        profile(problem, optimum, ["A1"])
    with pytest.raises(ProblemError, match="'k' is named twice"):
        profile(problem, optimum, ["k", "k"])
    with pytest.raises(ProblemError, match="no parameter is named"):
        profile(problem, optimum, [])
    for level in (0.0, 1.0, 95, float("nan"), "high"):
        with pytest.raises(ProblemError, match="the level is"):
            profile(problem, optimum, level=level)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="steps is 0"):
        profile(problem, optimum, steps=0)
    with pytest.raises(ProblemError, match="shape"):
        profile(problem, optimum[:1])
    with pytest.raises(ProblemError, match="not finite"):
        profile(problem, np.full(2, np.nan))
    with pytest.raises(ProblemError, match="outside its bounds"):
        profile(problem, np.array([-1.0, 0.0]))
    with pytest.raises(ProblemError, match="1 names"):
        profile_pair(problem, optimum, ("k",))  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="points is 2"):
        profile_pair(problem, optimum, ("k", "A0"), points=2)


def test_unknown_curve_is_refused(of_linear: Profiles) -> None:
    with pytest.raises(ProblemError, match="'B' was not profiled"):
        of_linear["B"]
