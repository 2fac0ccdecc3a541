"""The network of a learned term as an equinox module, and back: for whoever trains or keeps networks there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from calibration.hybrid.term import NeuralTerm
from twin.errors import ProblemError
from twin.precision import in_float64

if TYPE_CHECKING:
    import equinox as eqx


def _equinox():
    try:
        import equinox
    except ImportError as error:
        raise ProblemError(
            "the package equinox is not installed", where="learned terms", fix="pip install 'cytotwin[learners]'"
        ) from error
    return equinox


@in_float64
def as_module(term: NeuralTerm, weights: Mapping[str, float]) -> eqx.nn.MLP:
    """The network with these weights, a function of the inputs mapped to -1 to 1.

    Args:
        term: The learned term.
        weights: Value of each of its weights.

    Raises:
        ProblemError: equinox is not installed, or a weight is missing.
    """
    eqx = _equinox()
    if missing := [name for name in term.weights if name not in weights]:
        raise ProblemError(f"there is no weight {missing[0]!r}", where=term.name, expected=", ".join(term.weights))
    empty = _empty(term)
    values = [
        np.array([[weights[name] for name in row] for row in term.hidden]),
        np.array([weights[name] for name in term.shifts]),
        np.array([[weights[name] for name in term.heights]]),
        np.array([weights[term.level]]),
    ]
    return eqx.tree_at(_leaves, empty, [jnp.asarray(each, dtype=float) for each in values])


def from_module(term: NeuralTerm, module: eqx.nn.MLP) -> dict[str, float]:
    """The weights of a module of the term's shape, by the names that they have in the model.

    Raises:
        ProblemError: equinox is not installed, or the module has another shape.
    """
    wanted, given = _empty(term), jax.tree.leaves(module)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(wanted) if hasattr(leaf, "shape")]
    arrays = [leaf for leaf in given if hasattr(leaf, "shape")]
    if [np.shape(leaf) for leaf in arrays] != shapes:
        raise ProblemError(
            f"the module's arrays have the shapes {[np.shape(leaf) for leaf in arrays]}",
            where=f"learned term {term.name!r}",
            expected=f"{shapes}: eqx.nn.MLP({len(term.inputs)}, 1, {term.units}, depth=1, activation=jnp.tanh)",
        )
    hidden, shifts, heights, level = (np.asarray(leaf, dtype=float) for leaf in _leaves(module))
    found = {name: hidden[j, i] for j, row in enumerate(term.hidden) for i, name in enumerate(row)}
    found |= dict(zip(term.shifts, shifts, strict=True)) | dict(zip(term.heights, heights[0], strict=True))
    return {name: float(value) for name, value in (found | {term.level: level[0]}).items()}


def _empty(term: NeuralTerm):
    eqx = _equinox()
    return eqx.nn.MLP(len(term.inputs), 1, term.units, depth=1, activation=jnp.tanh, key=jax.random.key(0))


def _leaves(module):
    hidden, output = module.layers
    return [hidden.weight, hidden.bias, output.weight, output.bias]
