"""How lanes are cut into blocks, and steps into pages, changes nothing but memory and time."""

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
from twin.solve import Segment, Tolerance, blocks, integrate, method_named

MODEL = twin.Model(
    "oscillator",
    [twin.State("x", 1.0), twin.State("v", 0.0)],
    [twin.Parameter("w", 2.0), twin.Parameter("d", 0.1)],
    odes={"x": "v", "v": "-w^2 * x - d * v^3"},
)
TS = np.linspace(0.0, 6.0, 9)
TOLERANCE = Tolerance(1e-8, 1e-10, 600)


def squares(lanes: int) -> tuple[Callable[[Array], Array], np.ndarray]:
    """Sum of weighted squares of the samples as a function of parameters [parameter, lane], and a point."""
    system = compile_model(MODEL)
    experiment = twin.Experiment([twin.Bolus("x", 0.5, 2.5)])
    actions = collect_actions(system, [experiment], [TS[-1]])
    weights = np.random.default_rng(1).normal(size=(2, len(TS), lanes))

    def function(p: Array) -> Array:
        schedule = make_schedule(system, actions, p[:, None, :])
        ts = jnp.broadcast_to(TS[:, None], (len(TS), lanes))
        return jnp.sum(weights * integrate(system, schedule, method_named("rodas5p"), TOLERANCE, ts).y ** 2)

    return function, np.stack([np.linspace(1.0, 3.0, lanes), np.linspace(0.0, 0.2, lanes)])


@pytest.mark.parametrize(("directions", "width"), [(1, 13), (3, 7), (8, 1), (30, 1)])
def test_lanes_with_many_directions_go_one_by_one(directions: int, width: int) -> None:
    """With few they go in whole vectors, shared out evenly: 13 lanes in one block of 16, in two of 8, alone."""
    assert blocks.lanes_per_block(compile_model(MODEL), 13, directions) == width


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block is filled up with lanes that nobody asked for."""
    function, p = squares(7)
    with float64():
        value, gradient = jax.jit(jax.value_and_grad(function))(p)
        monkeypatch.setattr(blocks, "FEWEST_LANES", 3)
        monkeypatch.setattr(blocks, "MOST_LANES", 3)
        assert blocks.lanes_per_block(compile_model(MODEL), 7) == 3
        in_blocks = jax.jit(jax.value_and_grad(lambda p: function(p)))(p)
    np.testing.assert_allclose(in_blocks[0], value, rtol=1e-12)
    np.testing.assert_allclose(in_blocks[1], gradient, rtol=1e-9)


def test_pages_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With pages of 5 steps most steps are integrated again on the way back."""
    module = sys.modules["twin.solve.adjoint"]
    function, p = squares(2)
    with float64():
        value, gradient = jax.jit(jax.value_and_grad(function))(p)
        monkeypatch.setattr(module, "LONGEST_PAGE", 5)
        monkeypatch.setattr(module, "SHORTEST_PAGE", 5)
        in_pages = jax.jit(jax.value_and_grad(lambda p: function(p)))(p)
    np.testing.assert_allclose(in_pages[0], value, rtol=1e-12)
    np.testing.assert_allclose(in_pages[1], gradient, rtol=1e-10)


def test_adjoint_by_hand_is_the_derived_one() -> None:
    """Of everything that a step gives, in everything that it takes, with a constraint and a vector field in time."""
    model = twin.Model(
        "forced",
        [twin.State("a", 1.0), twin.State("b", 0.5), twin.State("q", 0.4)],
        [twin.Parameter("k", 0.7)],
        odes={"a": "-k * a * b + sin(time)", "b": "k * a^2 - q * b"},
        constraints={"q": "q^3 + q - a"},
    )
    system = compile_model(model)
    rng = np.random.default_rng(3)
    lanes = 2
    with float64():
        method = method_named("rodas5p")
        segment = Segment(jnp.full((1, lanes), 0.7), jnp.full((3, lanes), 0.1), *jnp.ones((3, lanes)))
        y, t, h = rng.uniform(0.3, 1.0, (3, lanes)), jnp.array([0.2, 0.5]), jnp.array([0.1, 0.03])
        pulled = []
        for step in (method.stepper(system), method.replayer(system)):
            out, pull = jax.vjp(
                lambda p, t, y, h, step=step: step(segment._replace(params=p), t, y, h)[:3], segment.params, t, y, h
            )
            cotangent = jax.tree.map(lambda x: np.random.default_rng(4).normal(size=x.shape), out)
            pulled.append(jax.tree.leaves(pull(cotangent)))
    for derived, by_hand in zip(*pulled, strict=True):
        np.testing.assert_allclose(by_hand, derived, rtol=1e-9, atol=1e-11)


def test_several_devices_change_nothing() -> None:
    """Two CPU devices share the blocks; the caller's code is the same."""
    script = """
import jax, numpy as np, twin
decay = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
k = np.linspace(0.1, 2.0, 150)
ds = twin.simulate(decay, [0.0, 1.0], {"k": k})
assert jax.device_count() == 2, jax.devices()
np.testing.assert_allclose(ds.A[:, 1], np.exp(-k), rtol=1e-7)
print("same")
"""
    environment = {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "CYTOTWIN_NO_CACHE": "1",
    }

    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    assert answer.stdout.strip() == "same", answer.stderr[-2000:]
