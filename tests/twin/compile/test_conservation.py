"""Conservation laws: all that the stoichiometry has, and none that the equations do not keep."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import twin
from twin import library
from twin.compile.conservation import conservation_laws
from twin.compile.system import compile_model
from twin.precision import float64

K = [twin.Parameter("k", 0.7), twin.Parameter("r", 0.4), twin.Parameter("cell", 2.0), twin.Parameter("n", 1.0)]
A, B, C = twin.State("A", 1.0), twin.State("B", 0.5), twin.State("C", 0.2)
IN_CELL = [twin.State("A", 1.0), twin.State("B", 0.5, compartment="cell"), twin.State("C", 0.2, compartment="cell")]


def reactions(**given: str) -> list[twin.Reaction]:
    """From equation and rate with a colon between."""
    return [twin.Reaction(name, *text.split(": ")) for name, text in given.items()]


CASES = {
    "reversible": (
        twin.Model("reversible", [A, B, C], K, reactions(first="A -> B: k * A - r * B", second="B -> C: B * C")),
        [{"A": 1, "B": 1, "C": 1}],
    ),
    "two_into_one": (twin.Model("two", [A, B], K, reactions(first="2 A -> B: k * A^2")), [{"A": 1, "B": 2}]),
    "by_equations": (
        twin.Model("odes", [A, B, C], K, odes={"A": "-k * A + r * B", "B": "k * A - r * B", "C": "A * (1 - C)"}),
        [{"A": 1, "B": 1}],
    ),
    "into_a_compartment": (
        twin.Model("cell", IN_CELL, K, reactions(first="A -> B: k * A", second="B -> C: r * B")),
        [{"A": 1, "B": "cell", "C": "cell"}],
    ),
    "of_a_state_that_rests": (
        twin.Model("rests", [A, B], K, reactions(first="A -> : k * A * B")),
        [{"B": 1}],
    ),
    # C - B k / r is kept, too, but not by the stoichiometry.
    "of_branches": (
        twin.Model("branches", [A, B, C], K, reactions(first="A -> B: k * A", second="A -> C: r * A")),
        [{"A": 1, "B": 1, "C": 1}],
    ),
    "of_a_formula": (
        twin.Model("formula", [A, B], K, [twin.Reaction("turn", {"A": -1, "B": "n"}, "k * A")]),
        [{"A": 1, "B": "1/n"}],
    ),
    "of_another_formula": (
        twin.Model(
            "two_ways",
            [A, B],
            K,
            [twin.Reaction("turn", {"A": -1, "B": "n"}, "k * A"), twin.Reaction("other", {"A": -1, "B": 1}, "r * A")],
        ),
        [],
    ),
    "none": (twin.Model("none", [A, B], K, reactions(first="A -> B: k * A", second="B -> : r * B")), []),
}


@pytest.mark.parametrize("name", CASES)
def test_laws_of_small_models(name: str) -> None:
    model, expected = CASES[name]
    laws = conservation_laws(model)
    found = []
    for weights, pivot in zip(laws.weights, laws.pivots, strict=True):
        assert weights[pivot] == 1
        amounts = {s: int(w) / x for s, w, x in zip(model.state_names, weights, laws.scales, strict=True) if w}
        found.append({s: str(x) if x.free_symbols else int(x) for s, x in amounts.items()})
    assert found == expected


@pytest.mark.parametrize("name", library.list_models())
def test_the_equations_of_the_library_keep_them(name: str) -> None:
    model = library.load_model(name)
    laws, system = conservation_laws(model), compile_model(model)
    rng = np.random.default_rng(1)
    with float64():
        y, p = (jnp.asarray(rng.uniform(0.5, 2.0, (len(x), 4))) for x in (model.state_names, model.parameter_names))
        scales = system.evaluate_formulas(laws.scales, dict(zip(model.parameter_names, p, strict=True)))
        scales = np.stack([np.broadcast_to(x, 4) for x in scales])
        slope = np.asarray(system.vector_field(jnp.ones(4), jnp.ones(4), y, p)) / scales
    np.testing.assert_allclose(laws.weights @ slope, 0.0, atol=1e-12 * np.abs(slope).max(initial=1.0))
