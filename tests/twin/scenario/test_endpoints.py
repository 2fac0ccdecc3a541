"""Endpoints against values known from the shape of the curve; formulas over endpoints."""

from __future__ import annotations

import numpy as np
import pytest

from twin.errors import CyclicAssignmentError, ScenarioError, UnknownSymbolError
from twin.scenario.endpoints import Endpoint
from twin.scenario.formulas import Formulas

TS = np.array([0.0, 1.0, 2.0, 4.0])
#: Up to 2 and down again; constant; minus infinity at first; not a number.
CURVES = np.array([[0.0, 1.0, -np.inf, 0.0], [2.0, 1.0, 3.0, np.nan], [1.0, 1.0, 3.0, 1.0], [0.0, 1.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (Endpoint("peak", "A"), [2.0, 1.0, 3.0]),
        (Endpoint("time_of_peak", "A"), [1.0, 0.0, 1.0]),
        (Endpoint("area", "A"), [1.0 + 1.5 + 1.0, 4.0, -np.inf]),
        (Endpoint("area", "A", start=1.0, stop=2.0), [1.5, 1.0, 3.0]),
        (Endpoint("value", "A", time=2.0), [1.0, 1.0, 3.0]),
        (Endpoint("time_above", "A", threshold=1.0), [0.5 + 1.0, 0.0, 1.0 + 2.0]),
        (Endpoint("time_below", "A", threshold=1.0), [0.5 + 2.0, 0.0, 1.0]),
        (Endpoint("time_below", "A", threshold=2.0), [1.0 + 1.0 + 2.0, 4.0, 1.0 + 1.0]),
        (Endpoint("first_crossing", "A", threshold=1.5, direction="up"), [0.75, np.inf, 1.0]),
        (Endpoint("first_crossing", "A", threshold=1.5, direction="down"), [1.5, np.inf, 3.5]),
        (Endpoint("first_crossing", "A", threshold=0.5, direction="any", otherwise=9.0), [0.25, 9.0, 1.0]),
    ],
)
def test_known_curves(endpoint: Endpoint, expected: list[float]) -> None:
    endpoint.check("endpoint")
    found = endpoint(TS, CURVES)
    np.testing.assert_allclose(found[:3], expected)
    # The last curve is not a number at time 1: what does not look there is not concerned.
    assert np.isnan(found[3]) == (endpoint.kind != "value")


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (Endpoint("peek", "A"), "the kind of endpoint is 'peek'"),  # type: ignore[arg-type]
        (Endpoint("time_above", "A"), "time_above has no threshold"),
        (Endpoint("peak", "A", threshold=1.0), "peak has a threshold"),
        (Endpoint("value", "A", time=np.nan), "time is nan"),
        (Endpoint("value", "A", time=1.0, start=0.0), "value has a window"),
        (Endpoint("area", "A", start=2.0, stop=1.0), "the window from 2 to 1 is empty"),
        (Endpoint("first_crossing", "A", threshold=1.0, otherwise=np.nan), "otherwise is nan"),
        (Endpoint("peak", " "), "it is of ' '"),
    ],
)
def test_faults(endpoint: Endpoint, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        endpoint.check("endpoints.x")


def test_formulas_keep_what_is_unknown_unknown() -> None:
    formulas = Formulas(["a", "b"], {"d": "c + 1", "c": "a / b"}, {"low": "a < 1", "both": "a < 1 && d > 2"})
    columns = {"a": np.array([0.0, 2.0, np.nan]), "b": np.array([1.0, np.inf, 1.0])}
    formulas.add_derived(columns)
    np.testing.assert_array_equal(columns["d"], [1.0, 1.0, np.nan])
    np.testing.assert_array_equal(formulas.responders(columns), [[1, 0, -1], [0, 0, -1]])


def test_faults_of_formulas() -> None:
    with pytest.raises(UnknownSymbolError, match="unknown name 'peek'"):
        Formulas(["peak"], {"x": "peek + 1"}, {})
    with pytest.raises(ScenarioError, match="'peak . 2' is no comparison"):
        Formulas(["peak"], {}, {"x": "peak + 2"})
    with pytest.raises(CyclicAssignmentError, match="x"):
        Formulas(["peak"], {"x": "y", "y": "x"}, {})


def test_an_endpoint_as_a_formula() -> None:
    assert Endpoint("peak", "log10(V + 1)").formula == "peak(log10(V + 1))"
    crossing = Endpoint("first_crossing", "A", threshold=0.5, direction="down", otherwise=99)
    assert crossing.formula == "first_crossing(A, threshold=0.5, direction=down, otherwise=99)"
    assert Endpoint("area", "A", start=0.0, stop=1234567.5).formula == "area(A, start=0, stop=1234567.5)"
