"""Lanes that take the places of those that have ended: the same numbers as side by side, in every respect."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import twin
from twin.compile.system import compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import Samples, Tolerance, adjoint, blocks, integrate, method_named

LANES = 21
"""Of which some take 30 times as many steps as others."""

OSCILLATOR = twin.Model(
    "oscillator",
    [twin.State("x", 1.0), twin.State("v", 0.0)],
    [twin.Parameter("w", 2.0), twin.Parameter("d", 0.1)],
    odes={"x": "v", "v": "-w^2 * x - d * v^3"},
)
BOUNCING = twin.Model(
    "bouncing",
    [twin.State("x", 1.0), twin.State("v", 0.0)],
    [twin.Parameter("w", 2.0), twin.Parameter("d", 0.1)],
    odes={"x": "v", "v": "-w^2"},
    events=[twin.Event("bounce", "x < 0", {"x": "0", "v": "-(1 - d) * v"})],
)
CONSTRAINED = twin.Model(
    "constrained",
    [twin.State("a", 1.0), twin.State("q", 0.4)],
    [twin.Parameter("w", 2.0), twin.Parameter("d", 0.1)],
    odes={"a": "-w * a * q"},
    constraints={"q": "q^3 + d * q - a"},
)
MODELS = {model.name: model for model in (OSCILLATOR, BOUNCING, CONSTRAINED)}
TS = np.array([0.3, 0.0, 2.9, 1.0, 1.0, 2.2])  # in no order, and one twice


def of_parameters(model: twin.Model, tolerance: Tolerance) -> Callable[[Array], Samples]:
    """Samples as a function of parameters [parameter, lane]."""
    system = compile_model(model)
    dose = twin.Experiment([twin.Bolus(model.state_names[0], 0.5, 1.5)])
    actions = collect_actions(system, [dose], [3.0])

    def samples(p: Array) -> Samples:
        schedule = make_schedule(system, actions, p[:, None, :])
        ts = jnp.broadcast_to(TS[:, None], (len(TS), p.shape[1]))
        return integrate(system, schedule, method_named("rodas5p"), tolerance, ts)

    return samples


def parameters(name: str = "oscillator") -> np.ndarray:
    """Slow and fast lanes in no order."""
    rng = np.random.default_rng(5)
    fastest = 8.0 if name == "bouncing" else 20.0  # it comes to rest by ever more bounces
    return np.stack([rng.permutation(np.geomspace(0.5, fastest, LANES)), rng.uniform(0.05, 0.1, LANES)])


def value_and_gradient(samples: Callable[[Array], Samples], p: np.ndarray):
    """Weighted squares of the samples with their gradient, and the samples."""
    weights = np.random.default_rng(1).normal(size=(2, len(TS), p.shape[1]))

    def total(p: Array):
        found = samples(p)
        return jnp.sum(weights * jnp.where(found.status == 0, found.y, 0.0) ** 2), found

    with float64():
        return jax.jit(jax.value_and_grad(lambda p: total(p), has_aux=True))(p)


def taking_turns(monkeypatch: pytest.MonkeyPatch, places: int = 4) -> None:
    """As many places as said, from now on."""
    monkeypatch.setattr(blocks, "FEWEST_PLACES", min(4, places))
    monkeypatch.setattr(blocks, "MOST_LANES", places)


@pytest.mark.parametrize("name", MODELS)
def test_taking_turns_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system, samples, p = (
        compile_model(MODELS[name]),
        of_parameters(MODELS[name], Tolerance(1e-8, 1e-10, 3000)),
        parameters(name),
    )
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "FEWEST_PLACES", LANES)
        assert blocks.lanes_in_turn(system, LANES) == (LANES, LANES)
        (value, plain), gradient = value_and_gradient(samples, p)
    taking_turns(monkeypatch)
    assert blocks.lanes_in_turn(system, LANES) == (LANES, 4)
    (in_turn, found), of_turns = value_and_gradient(samples, p)
    assert (plain.status == 0).all() and plain.steps.max() > 3 * plain.steps.min()
    np.testing.assert_array_equal(found.steps, plain.steps)
    np.testing.assert_array_equal(found.status, plain.status)
    np.testing.assert_allclose(found.y, plain.y, rtol=1e-9, atol=1e-12)
    assert in_turn == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(of_turns, gradient, rtol=1e-6, atol=1e-8 * np.abs(gradient).max())


@pytest.mark.parametrize("name", ["oscillator", "bouncing"])
@pytest.mark.parametrize("page", [3, 7, 50])
def test_pages_of_lanes_that_take_turns(name: str, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that end in the middle of lanes, at their ends and before their beginnings, are integrated again."""
    samples, p = of_parameters(MODELS[name], Tolerance(1e-8, 1e-10, 3000)), parameters(name)
    taking_turns(monkeypatch)
    (value, _), gradient = value_and_gradient(samples, p)
    for limit in ("SHORTEST_PAGE", "LONGEST_PAGE", "MEMORY_FOR_A_PAGE"):
        monkeypatch.setattr(adjoint, limit, page)
    (in_pages, _), of_pages = value_and_gradient(samples, p)
    assert in_pages == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(of_pages, gradient, rtol=1e-9, atol=1e-11 * np.abs(gradient).max())


def test_a_lane_that_fails_says_so_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are counted for each lane by itself, however many had its place before."""
    samples, p = of_parameters(OSCILLATOR, Tolerance(1e-8, 1e-10, 100)), parameters()
    with monkeypatch.context() as patch:
        patch.setattr(blocks, "FEWEST_PLACES", LANES)
        (_, plain), gradient = value_and_gradient(samples, p)
    taking_turns(monkeypatch)
    (_, found), of_turns = value_and_gradient(samples, p)
    assert 3 < (plain.status == 1).sum() < LANES - 3
    np.testing.assert_array_equal(found.status, plain.status)
    np.testing.assert_array_equal(np.isnan(found.y), np.isnan(plain.y))
    assert np.isnan(found.y[:, :, np.asarray(found.status) == 1]).all()
    fine = np.asarray(found.status) == 0
    np.testing.assert_allclose(of_turns[:, fine], gradient[:, fine], rtol=1e-6, atol=1e-8)
    assert np.isfinite(of_turns[:, fine]).all()


@pytest.mark.parametrize(("lanes", "expected"), [(15, (15, 15)), (16, (16, 4)), (100, (100, 8)), (5000, (1667, 64))])
def test_how_many_take_turns(lanes: int, expected: tuple[int, int]) -> None:
    """Few go side by side; blocks of many have so many turns that their steps fit on a page."""
    system = compile_model(OSCILLATOR)
    assert blocks.lanes_in_turn(system, lanes) == expected
    width = blocks.lanes_per_block(system, lanes)
    assert blocks.lanes_in_turn(system, lanes, alike=lanes) == (width, width)  # draws end at about the same time


def test_turns_on_two_devices() -> None:
    """Each device has its share of the lanes, which take turns there."""
    script = """
import jax, jax.numpy as jnp, numpy as np, twin
from twin.compile.system import compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.solve import Tolerance, blocks, integrate, method_named

decay = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
system = compile_model(decay)
actions = collect_actions(system, [twin.Experiment()], [1.0])

def total(k):
    schedule = make_schedule(system, actions, k[None, None])
    return integrate(system, schedule, method_named("rodas5p"), Tolerance(1e-9, 1e-12), jnp.ones((1, len(k)))).y.sum()

k = np.geomspace(0.1, 100.0, 45)
with twin.float64():
    assert jax.device_count() == 2 and blocks.lanes_in_turn(system, len(k)) == (23, 4)
    value, gradient = jax.jit(jax.value_and_grad(total))(k)
np.testing.assert_allclose(value, np.exp(-k).sum(), rtol=1e-7)
np.testing.assert_allclose(gradient, -np.exp(-k), rtol=1e-5, atol=1e-9)
print("same")
"""
    settings = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "CYTOTWIN_NO_CACHE": "1"}
    command, settings = [sys.executable, "-c", script], {**os.environ, "JAX_PLATFORMS": "cpu", **settings}
    answer = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    assert answer.stdout.strip() == "same", answer.stderr[-2000:]
