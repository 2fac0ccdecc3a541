"""Measures: formulas over endpoints summed up over patients, and derivatives of what is read off trajectories."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import twin
from twin.errors import ScenarioError, UnknownSymbolError
from twin.model.formula import parse
from twin.scenario.optimise.measures import Formulated, mean, quantile

KNOWN = {"fast": parse("half < 0.7")}


def formulated(of: str, statistic: str | float = "mean") -> Formulated:
    return Formulated(twin.Measure(of, statistic), KNOWN, ("half", "peak"), ("dose",), "minimise")


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.9, 0.9999])
def test_quantiles_are_those_of_numpy(level: float) -> None:
    values = np.random.default_rng(1).normal(size=37)
    usable = np.arange(37) % 5 != 0
    with twin.float64():
        found = quantile(jnp.asarray(values), jnp.asarray(usable), level)
    assert float(found) == pytest.approx(np.quantile(values[usable], level), rel=1e-14)


def test_slope_of_a_quantile_is_that_of_those_who_lie_there() -> None:
    # v = x + d w with w independent of x: the quantile's derivative in d at d = 0 is the mean of w near it, here 2.
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=4000), 2.0 + rng.normal(size=4000)
    with twin.float64():
        slope = jax.jacfwd(lambda d: quantile(jnp.asarray(x) + d * jnp.asarray(w), jnp.ones(4000, bool), 0.7))(0.0)
    # Some sqrt(4000) / 2 patients count with triangular weights: standard error 1 / sqrt(48).
    assert float(slope) == pytest.approx(2.0, abs=4 / np.sqrt(48))


def test_nobody_usable_is_no_number() -> None:
    none = jnp.zeros(3, bool)
    assert np.isnan(mean(jnp.arange(3.0), none)) and np.isnan(quantile(jnp.arange(3.0), none, 0.5))


def test_who_has_no_number_does_not_count() -> None:
    with twin.float64():
        values = {"half": jnp.asarray([1.0, np.nan, 3.0, 5.0]), "peak": jnp.ones(4)}
        usable = jnp.asarray([True, True, True, False])
        found = formulated("half * dose")(values, {"dose": jnp.asarray(10.0)}, usable)
    assert float(found) == 20.0


def test_share_of_responders() -> None:
    with twin.float64():
        values = {"half": jnp.asarray([0.1, 0.2, 0.9, 1.5]), "peak": jnp.ones(4)}
        assert float(formulated("fast")(values, {"dose": jnp.asarray(1.0)}, jnp.ones(4, bool))) == 0.5
    assert formulated("fast").jumps and not formulated("half + dose").jumps


@pytest.mark.parametrize(
    "kind", ["time_above", "time_below", "area", "peak", "value", "first_crossing", "time_of_peak"]
)
def test_endpoints_are_the_same_traced(kind: str) -> None:
    given = {
        "time_above": {"threshold": 0.3},
        "time_below": {"threshold": 0.3, "start": 0.5},
        "value": {"time": 1.5},
        "first_crossing": {"threshold": 0.3, "direction": "down"},
    }.get(kind, {})
    endpoint = twin.Endpoint(kind, "A", **given)
    ts = np.linspace(0.0, 3.0, 31)
    curves = np.sin(ts[:, None] * np.array([0.7, 1.3, 2.9, 0.01])) ** 2
    curves[4, 3] = np.nan
    with twin.float64():
        traced = np.asarray(endpoint.traced(ts, jnp.asarray(curves)))
    np.testing.assert_allclose(traced, endpoint(ts, curves), rtol=1e-14)


@pytest.mark.parametrize("kind", ["time_above", "area", "peak", "first_crossing"])
def test_slopes_of_endpoints(kind: str) -> None:
    given = {"threshold": 0.4} if kind in ("time_above", "first_crossing") else {}
    endpoint = twin.Endpoint(kind, "A", **given)
    ts = np.linspace(0.0, 3.0, 31)

    def value(rate):
        # The second patient never reaches the threshold: its value is infinite, or zero, and its slope is zero.
        return endpoint.traced(ts, jnp.stack([jnp.sin(rate * ts), 0.1 * jnp.sin(rate * ts)], axis=1))

    with twin.float64():
        slope = np.asarray(jax.jacfwd(value)(jnp.asarray(1.1)))
        near = [np.asarray(value(jnp.asarray(1.1 + step))) for step in (1e-6, -1e-6)]
    with np.errstate(invalid="ignore"):
        difference = np.nan_to_num((near[0] - near[1]) / 2e-6)
    np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("statistic", ["mode", 0.0, 1.0, 95, True, None])
def test_a_statistic_that_there_is_not(statistic) -> None:
    with pytest.raises(ScenarioError, match="the statistic is"):
        formulated("half", statistic)


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownSymbolError, match="unknown name 'hlaf'"):
        formulated("hlaf + dose")


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({}, "it has no bound"),
        ({"at_most": np.inf}, "at_most is inf"),
        ({"at_least": 2.0, "at_most": 1.0}, "nothing is at least 2 and at most 1"),
    ],
)
def test_limits_without_sense(bounds: dict[str, float], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        twin.Limit("half", **bounds).check("limits.half")


def test_limits() -> None:
    limit = twin.Limit("peak", 0.95, at_least=1.0, at_most=20.0)
    assert limit.said == "1 <= 95 % quantile of peak <= 20"
    assert limit.keeps(20.0) and limit.keeps(1.0) and not limit.keeps(20.1) and limit.excess(0.5) == 0.5
    assert isinstance(formulated("half * 2").expression, sp.Expr)
