"""The vector: its names, scales and bounds, and the parameter values that every series gets from it."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.parameters import ETA_BOUND, LARGEST_BETWEEN, ParameterVector
from twin.errors import ProblemError
from twin.precision import float64
from twin.study import Estimate, Prior

SERIES = [("low", "a"), ("low", "b"), ("high", "a")]
SPREAD = Prior("half_normal", 0.0, 0.4)


def vector(*estimates: Estimate) -> ParameterVector:
    return ParameterVector(estimates, SERIES, {"k": 0.5, "A0": 2.0})


def values(parameters: ParameterVector, theta: list[float]) -> dict[str, list[float]]:
    """Values per series for one vector."""
    with float64():
        result = parameters.values(np.array(theta)[:, None], np.arange(len(parameters.series)))
        return {name: np.asarray(value)[:, 0].tolist() for name, value in result.items()}


def test_scales() -> None:
    parameters = vector(
        Estimate("k", 0.01, 10.0),
        Estimate("A0", 1.0, 8.0, scale="log"),
        Estimate("sd", -1.0, 3.0, scale="lin", nominal=0.5),
        Estimate("new", 0.01, 1.0),
    )
    assert parameters.names == ("k", "A0", "sd", "new")
    assert len(parameters) == 4
    np.testing.assert_allclose(parameters.lower, [-2.0, 0.0, -1.0, -2.0], atol=1e-15)
    np.testing.assert_allclose(parameters.upper, [1.0, np.log(8.0), 3.0, 0.0])
    # Without any nominal value: the middle of the bounds on the estimation scale.
    np.testing.assert_allclose(parameters.nominal, [np.log10(0.5), np.log(2.0), 0.5, -1.0])
    np.testing.assert_allclose(parameters.linear(parameters.nominal), [0.5, 2.0, 0.5, 0.1])
    many = parameters.linear(np.stack([[parameters.nominal, parameters.lower]] * 2))
    assert many.shape == (2, 2, 4)
    np.testing.assert_allclose(many[1, 1], [0.01, 1.0, -1.0, 0.01])
    assert values(parameters, [-1.0, 0.0, 0.25, -2.0]) == {
        "k": pytest.approx([0.1] * 3),
        "A0": pytest.approx([1.0] * 3),
        "sd": pytest.approx([0.25] * 3),
        "new": pytest.approx([0.01] * 3),
    }


def test_one_value_per_subject_or_experiment() -> None:
    parameters = vector(Estimate("k", 0.01, 10.0, per="subject"), Estimate("A0", 0.1, 10.0, "lin", per="experiment"))
    assert parameters.names == ("k[a]", "k[b]", "A0[low]", "A0[high]")
    # Subject "a" has one value in both experiments.
    assert values(parameters, [-1.0, 0.0, 3.0, 4.0]) == {
        "k": pytest.approx([0.1, 1.0, 0.1]),
        "A0": pytest.approx([3.0, 3.0, 4.0]),
    }


@pytest.mark.parametrize("scale", ["lin", "log", "log10"])
def test_spread_between_subjects(scale) -> None:
    back = {"lin": lambda x: x, "log": np.exp, "log10": lambda x: 10.0**x}[scale]
    given = vector(Estimate("k", 0.1, 10.0, scale, per="subject", between=0.5))
    assert given.names == ("k", "k_eta[a]", "k_eta[b]")
    expected = [back(0.2 + 0.5 * 1.0), back(0.2 - 0.5 * 2.0), back(0.2 + 0.5 * 1.0)]
    assert values(given, [0.2, 1.0, -2.0])["k"] == pytest.approx(expected)

    estimated = vector(Estimate("k", 0.1, 10.0, scale, per="experiment", between=SPREAD))
    assert estimated.names == ("k", "k_between", "k_eta[low]", "k_eta[high]")
    expected = [back(0.2 + 0.3 * 1.0), back(0.2 + 0.3 * 1.0), back(0.2 - 0.3 * 2.0)]
    assert values(estimated, [0.2, 0.3, 1.0, -2.0])["k"] == pytest.approx(expected)
    spread, eta = estimated.entries[1], estimated.entries[2]
    assert (spread.role, spread.lower, spread.upper, spread.prior) == ("between", 0.0, LARGEST_BETWEEN * 0.4, SPREAD)
    assert spread.lower < spread.nominal < spread.upper
    assert (eta.role, eta.lower, eta.upper, eta.nominal) == ("eta", -ETA_BOUND, ETA_BOUND, 0.0)
    assert eta.prior == Prior("normal", 0.0, 1.0)


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (Estimate("k", 1.0, 10.0), "nominal value 0.5 lies outside the bounds"),
        (Estimate("k", 0.1, 1.0, nominal=np.nan), "nominal value nan lies outside"),
        (Estimate("k", 1.0, 0.1), "lower bound 1 is not below the upper bound 0.1"),
        (Estimate("k", 0.5, 0.5), "not below the upper bound"),
        (Estimate("k", 0.0, 1.0), "lower bound is 0 on a log10 scale"),
        (Estimate("k", -1.0, 1.0, scale="log"), "lower bound is -1 on a log scale"),
        (Estimate("k", 0.1, np.inf), "expected: finite bounds"),
        (Estimate("k", 0.1, 1.0, scale="ln"), "the scale is 'ln'"),  # type: ignore[arg-type]
        (Estimate("k", 0.1, 1.0, per="patient"), r"the level \(per\) is 'patient'"),  # type: ignore[arg-type]
        (Estimate("k", 0.1, 1.0, between=0.3), "but the parameter is shared"),
        (Estimate("k", 0.1, 1.0, per="subject", between=-0.3), "the spread between subjects is -0.3"),
        (Estimate("k", 0.1, 1.0, per="subject", between=Prior("normal")), "has a normal prior"),
        (Estimate("k", 0.1, 1.0, per="subject", between=Prior("half_normal", -1.0)), "location of at least 0"),
        (Estimate("k", 0.1, 1.0, per="subject", between=Prior("half_normal", 0.0, 0.0)), "a positive scale"),
    ],
)
def test_nonsense_is_refused(estimate: Estimate, message: str) -> None:
    with pytest.raises(ProblemError, match=message) as caught:
        vector(estimate)
    assert "'k'" in str(caught.value)


def test_duplicates_are_refused() -> None:
    with pytest.raises(ProblemError, match="'k' is to be estimated twice"):
        vector(Estimate("k", 0.1, 1.0), Estimate("k", 0.1, 2.0))
    with pytest.raises(ProblemError, match="two entries of the vector would be named 'k_between'"):
        vector(Estimate("k", 0.1, 1.0, per="subject", between=SPREAD), Estimate("k_between", 0.1, 1.0))
