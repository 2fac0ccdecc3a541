"""A learned term as part of a model: what it adds, its weights as a module, its size, what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import twin
from calibration.hybrid import NeuralTerm, TermInput, as_module, from_module
from calibration.hybrid.course import Course, sizes
from twin.errors import ProblemError

GROWTH = twin.Model(
    "growth",
    [twin.State("N", "N0", "1/milliliter")],
    [twin.Parameter("r", 1.0, "1/hour"), twin.Parameter("N0", 0.1, "1/milliliter")],
    [twin.Reaction("growth", "-> N", "r * N")],
    time_unit="hour",
)
TERM = NeuralTerm(
    "learned",
    {"N": "N"},
    (TermInput("N", 0.0, 2.0, "1/milliliter"), TermInput("time", 0.0, 5.0, "hour")),
    unit="1/hour",
    units=2,
)
WEIGHTS = dict(zip(TERM.weights, [0.7, -1.2, 0.4, 0.3, 0.1, -0.5, 0.6, -0.8, 0.2], strict=True))


def test_all_weights_have_a_name_of_their_own() -> None:
    assert len(set(TERM.weights)) == 2 * 2 + 2 + 2 + 1


def test_without_weights_the_model_is_the_mechanism() -> None:
    times = [0.0, 1.0, 2.0]
    plain, both = (twin.simulate(model, times)["N"].to_numpy() for model in (GROWTH, TERM.added_to(GROWTH)))
    np.testing.assert_allclose(both, plain, rtol=1e-6)


def test_the_model_computes_the_network() -> None:
    model = TERM.added_to(GROWTH)
    ds = twin.simulate(model, np.linspace(0, 2, 5), WEIGHTS, variables=["N", "learned", "learned_flux_N"])
    n, output = ds["N"].to_numpy(), ds["learned"].to_numpy()
    np.testing.assert_allclose(output, TERM.values(WEIGHTS, [n, ds["time"].to_numpy()]), rtol=1e-12)
    np.testing.assert_allclose(ds["learned_flux_N"].to_numpy(), n * output, rtol=1e-12)


def test_the_module_is_the_network() -> None:
    module = as_module(TERM, WEIGHTS)
    with twin.float64():
        at = float(module(np.array([0.5 - 1.0, 4.0 / 2.5 - 1.0]))[0])
    assert at == pytest.approx(float(TERM.values(WEIGHTS, [0.5, 4.0])), rel=1e-12)
    assert from_module(TERM, module) == pytest.approx(WEIGHTS, rel=1e-15)


def test_a_module_of_another_shape_is_refused() -> None:
    other = NeuralTerm("learned", TERM.into, TERM.inputs, units=3)
    module = as_module(other, dict.fromkeys(other.weights, 0.0))
    with pytest.raises(ProblemError, match="the module's arrays have the shapes"):
        from_module(TERM, module)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "equinox", None)
    with pytest.raises(ProblemError, match=r"pip install 'cytotwin\[learners\]'"):
        as_module(TERM, WEIGHTS)


def test_priors_grow_with_the_width() -> None:
    narrow, wide = ({estimate.name: estimate.prior.scale for estimate in TERM.estimates(width)} for width in (0.1, 1.0))
    assert {name: wide[name] / narrow[name] for name in TERM.weights} == pytest.approx(
        {name: 10.0 if name in (*TERM.heights, TERM.level) else 1.0 for name in TERM.weights}
    )


def test_sizes_of_known_rates() -> None:
    # Of two states in different units only the first has a term: half as fast as the mechanism in one of two series.
    states = np.array([[[2.0, 1.0], [4.0, 4.0]], [[100.0, 50.0], [100.0, 100.0]]])
    mechanism = np.array([[[-1.0, -1.0], [2.0, 2.0]], [[-50.0, -50.0], [100.0, 100.0]]])
    learned = np.array([[[0.5, 0.5], [0.0, 0.0]], np.zeros((2, 2))])
    course = Course((("a", ""), ("b", "")), np.zeros((2, 2)), states, mechanism, learned, states[:1], states[0])
    found = sizes(course, ("A", "B"))
    # Each series and state at half of its top per unit of time, or all of it: 0.25 over (0.5 + 0.5).
    np.testing.assert_allclose(found.loc["A"], [0.25, (1 / 3) / 2])
    np.testing.assert_allclose(found.loc["B"], [0.0, 0.0])
    np.testing.assert_allclose(found.loc["total"], [0.25 / 2.5, (0.25 / 1.25) / 2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, "no identifier"),
        ({"into": {}}, "acts on nothing"),
        ({"inputs": ()}, "depends on nothing"),
        ({"units": 40}, "units is 40"),
        ({"bend": 0.0}, "bend is 0.0"),
        ({"inputs": (TermInput("N", 2.0, 2.0),)}, "the range of 'N' is 2 to 2"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict, message: str) -> None:
    arguments = {"name": "learned", "into": {"N": "N"}, "inputs": TERM.inputs, "units": 2, "bend": 1.0}
    with pytest.raises(ProblemError, match=message):
        NeuralTerm(**(arguments | changes))


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(ProblemError, match="it acts on 'M'"):
        NeuralTerm("learned", {"M": "N"}, TERM.inputs).added_to(GROWTH)
