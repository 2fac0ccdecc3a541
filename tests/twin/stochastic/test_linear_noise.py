"""The linear noise approximation: exact for linear networks, near the jump process for others; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from twin.errors import UnsupportedModelError
from twin.model import Model, Observable, Parameter, Reaction, State
from twin.stochastic import linear_noise, simulate_jumps

TIMES = np.array([0.0, 0.5, 2.0, 6.0])

pytestmark = pytest.mark.xdist_group("jumps")


def test_birth_and_death_exactly() -> None:
    """From 20 molecules: a binomial number survives, a Poisson number has arrived."""
    model = Model(
        "immigration",
        [State("X", 20.0)],
        [Parameter("into", 4.0), Parameter("out", 0.5)],
        [Reaction("arrival", "-> X", "into"), Reaction("death", "X ->", "out * X")],
        observables=[Observable("square", "X^2")],
    )
    found = linear_noise(model, TIMES, variables=["X", "square"])
    left = np.exp(-0.5 * TIMES)
    mean, variance = 20 * left + 8 * (1 - left), 20 * left * (1 - left) + 8 * (1 - left)
    np.testing.assert_allclose(found["mean"].sel(variable="X"), mean, rtol=1e-5)
    np.testing.assert_allclose(found["sd"].sel(variable="X") ** 2, variance, rtol=1e-5, atol=1e-7)
    between = found["covariance"].sel(variable="X", other="square")
    np.testing.assert_allclose(between, 2 * mean * variance, rtol=1e-5, atol=1e-6)


def test_a_linear_network_exactly() -> None:
    """Three states, one a concentration; first and second moments are one linear system."""
    model = Model(
        "chain",
        [State("A", 30.0), State("B", 0.0), State("C", 0.0, compartment="V")],
        [Parameter("V", 2.0), Parameter("k", 0.7), Parameter("m", 0.3), Parameter("d", 0.2)],
        [
            Reaction("convert", "A -> B", "k * A"),
            Reaction("back", "B -> A", "m * B"),
            Reaction("make", "B -> B + C", "3 * B"),
            Reaction("lose", "C ->", "d * C * V"),
        ],
    )
    found = linear_noise(model, TIMES)
    change = np.array([[-1, 1, 0, 0], [1, -1, 0, 0], [0, 0, 0.5, -0.5]])
    rates = np.array([[0.7, 0, 0], [0, 0.3, 0], [0, 3, 0], [0, 0, 0.4]])  # hazards are rates @ x
    jacobian, one = change @ rates, np.eye(3)
    # One linear system for the mean and the nine covariances, row by row.
    noise = np.stack([np.einsum("ir,jr,r->ij", change, change, rates[:, s]).ravel() for s in range(3)], axis=1)
    joint = np.block([[jacobian, np.zeros((3, 9))], [noise, np.kron(jacobian, one) + np.kron(one, jacobian)]])
    start = np.concatenate([[30.0, 0.0, 0.0], np.zeros(9)])
    for index, time in enumerate(TIMES):
        law = expm(joint * time) @ start
        np.testing.assert_allclose(found["mean"][:, index], law[:3], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["covariance"][..., index], law[3:].reshape(3, 3), rtol=1e-5, atol=1e-5)


def test_dimerisation_near_the_jump_process() -> None:
    model = Model(
        "dimers",
        [State("A", 1000.0), State("B", 0.0)],
        [Parameter("on", 1e-3), Parameter("off", 0.3)],
        [Reaction("bind", "2 A -> B", "on * A * (A - 1) / 2"), Reaction("part", "B -> 2 A", "off * B")],
    )
    found, exact = linear_noise(model, TIMES), simulate_jumps(model, TIMES, runs=2000, seed=2)["B"].to_numpy()
    mean, spread = (found[each].sel(variable="B").to_numpy() for each in ("mean", "sd"))
    np.testing.assert_array_less(np.abs(exact.mean(axis=0) - mean)[1:], 4 * spread[1:] / np.sqrt(2000) + 1.0)
    np.testing.assert_allclose(exact.var(axis=0)[1:], spread[1:] ** 2, rtol=4 * np.sqrt(2 / 2000) + 0.01)


def test_what_is_refused() -> None:
    rate = Model("rate", [State("X", 1.0)], [Parameter("k", 1.0)], odes={"X": "-k * X"})
    with pytest.raises(UnsupportedModelError, match="there are no reactions"):
        linear_noise(rate, TIMES)
