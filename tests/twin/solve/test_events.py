"""Events in compiled lanes: when they happen, what they do, and derivatives through them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import twin
from twin import Event, Model, Parameter, State
from twin.compile.system import compile_model
from twin.experiment.actions import collect_actions
from twin.experiment.schedule import make_schedule
from twin.precision import float64
from twin.solve import Tolerance, integrate, method_named

pytestmark = pytest.mark.xdist_group("gradients")

GRAVITY, BOUNCE = 9.81, 0.8


def run(model: Model, ts: list[float], names: str, **kwargs) -> list[np.ndarray]:
    ds = twin.simulate(model, ts, **kwargs)
    return [ds[name].values for name in names.split()]


def test_bouncing_ball_falls_where_mechanics_says() -> None:
    """Each lane bounces at its own times, which are known in closed form."""
    model = Model(
        "ball",
        [State("h", "h0"), State("v", 0.0)],
        [Parameter("h0", 1.0)],
        odes={"h": "v", "v": f"-{GRAVITY}"},
        events=[Event("bounce", "h < 0", {"v": f"-{BOUNCE} * v"})],
    )
    heights = np.array([0.5, 1.0, 3.0])
    ts = np.linspace(0.0, 2.0, 41)
    ds = twin.simulate(model, ts, {"h0": heights})
    np.testing.assert_allclose(ds.h.values, [[_height(t, h) for t in ts] for h in heights], atol=1e-9)


def _height(t: float, h0: float) -> float:
    fall = np.sqrt(2 * h0 / GRAVITY)
    if t < fall:
        return h0 - GRAVITY * t**2 / 2
    t, speed = t - fall, GRAVITY * fall * BOUNCE
    while t > (flight := 2 * speed / GRAVITY):
        t, speed = t - flight, speed * BOUNCE
    return speed * t - GRAVITY * t**2 / 2


def counter(*events: Event, odes: dict | None = None) -> Model:
    states = [State("n", 0.0), State("m", 0.0), State("x", 0.0)]
    return Model("counter", states, odes=odes or {"x": "1"}, events=events)


@pytest.mark.parametrize(
    ("trigger", "initially", "expected"),
    [
        ("time >= 1", True, [0, 1, 1]),  # at the moment itself
        ("time > 1", True, [0, 0, 1]),  # just after it
        ("x >= 0", True, [0, 0, 0]),  # true before the start: no change
        ("x >= 0", False, [1, 1, 1]),  # fires at the start
        ("time >= 2", True, [0, 0, 1]),  # at the very end
        ("x > 0.25 && x < 0.3", True, [0, 1, 1]),  # holds for a moment only
    ],
)
def test_when_an_event_fires(trigger: str, initially: bool, expected: list[float]) -> None:
    (n,) = run(counter(Event("e", trigger, {"n": "n + 1"}, initially=initially)), [0.0, 1.0, 2.0], "n")
    np.testing.assert_array_equal(n, expected)


def test_highest_priority_first_and_values_of_the_trigger() -> None:
    low = Event("low", "time >= 1", {"n": "n + 1"}, priority=1)
    high = Event("high", "time >= 1", {"n": "10 * n + 5"}, priority=2)
    # Both values are computed at the trigger, when n is 0: the one executed last stays.
    (n,) = run(counter(low, high), [2.0], "n")
    assert n[0] == 1.0
    late = [Event(e.name, e.trigger, e.assignments, priority=e.priority, from_trigger_time=False) for e in (low, high)]
    (n,) = run(counter(*late), [2.0], "n")
    assert n[0] == 6.0


def test_delay_persistence_and_cascade() -> None:
    kept = Event("kept", "x > 1", {"n": "x"}, delay=0.5, from_trigger_time=False)
    dropped = Event("dropped", "x > 1 && x < 1.2", {"m": 1}, delay=0.5, persistent=False)
    n, m = run(counter(kept, dropped), [1.4, 2.0], "n m")
    np.testing.assert_allclose(n, [0.0, 1.5], rtol=1e-9)
    np.testing.assert_array_equal(m, [0.0, 0.0])
    first = Event("first", "x >= 1", {"n": 1})
    second = Event("second", "n > 0", {"m": "n + 1"})
    n, m = run(counter(first, second), [0.5, 1.0], "n m")
    np.testing.assert_array_equal([n, m], [[0, 1], [0, 2]])


def test_dose_that_makes_a_condition_true() -> None:
    model = Model(
        "dosed", [State("A", 0.0), State("n", 0.0)], odes={"A": "-A"}, events=[Event("e", "A > 1", {"n": "n + 1"})]
    )
    (n,) = run(model, [0.5, 1.0, 9.0], "n", experiment=twin.Experiment([twin.Bolus("A", 2.0, 1.0, every=4.0, count=2)]))
    np.testing.assert_array_equal(n, [0, 1, 2])


def test_executions_beyond_the_room_for_waiting_are_an_error() -> None:
    event = Event("often", "sin(60 * time) > 0", {"n": "n + 1"}, delay=5)
    with pytest.raises(twin.errors.SimulationError, match="waiting than there is room for"):
        run(counter(event), [2.0], "n")


MODEL = Model(
    "moving moments",
    [State("h", 1.0), State("v", 0.0), State("c", "c0"), State("n", 0.0), State("q", 1.0)],
    [
        Parameter("g", GRAVITY),
        Parameter("r", BOUNCE),
        Parameter("k", 0.7),
        Parameter("c0", 0.3),
        Parameter("lag", 0.31),
        Parameter("threshold", 0.55),
        Parameter("moment", 2.2),
    ],
    odes={"h": "v", "v": "-g", "c": "k * (1 - c)"},
    constraints={"q": "q^3 + q - 2 * c"},
    events=[
        Event("bounce", "h < 0", {"v": "-r * v"}),
        Event("divide", "c > threshold", {"c": "c / 2", "n": "n + c"}, delay="lag"),
        Event("late", "n > 1 || time > moment", {"c": "c + k * time"}, delay="0.1 * k", from_trigger_time=False),
    ],
)
TS = np.array([0.0, 0.5, 1.3, 2.2, 3.0, 4.1])


def test_derivatives_through_events() -> None:
    """Moments that move with parameters, delays that do, values from both moments, algebraic states after jumps."""
    system = compile_model(MODEL)
    actions = collect_actions(system, [twin.Experiment()], [TS[-1]])
    p = np.array(list(MODEL.default_parameters.values()))

    def states(p: Array, mode: str) -> Array:
        schedule = make_schedule(system, actions, p[:, None, :])
        exact, at = Tolerance(1e-10, 1e-12, 2048), jnp.tile(TS[:, None], p.shape[1])
        return integrate(system, schedule, method_named("rodas5p"), exact, at, mode).y

    weights = np.random.default_rng(5).normal(size=(len(system.states), len(TS)))
    direction = np.random.default_rng(6).normal(size=p.shape) * p
    with float64():
        # The more often it bounced, the more sharply the ball depends on everything: small steps.
        shifts = 1e-5 * np.array([-2.0, -1.0, 1.0, 2.0])
        four = np.asarray(jax.jit(lambda v: states(v, "reverse"))(p[:, None] + direction[:, None] * shifts))
        expected = four @ np.array([1.0, -8.0, 8.0, -1.0]) / 12e-5
        _, forward = jax.jit(lambda v, d: jax.jvp(lambda u: states(u[:, None], "forward")[..., 0], (v,), (d,)))(
            p, direction
        )
        gradient = jax.jit(jax.grad(lambda v: jnp.sum(weights * states(v[:, None], "reverse")[..., 0])))(p)
    scale = np.abs(expected).max()
    assert scale > 1.0
    np.testing.assert_allclose(forward, expected, rtol=1e-6, atol=1e-6 * scale)
    along = np.asarray(gradient) @ direction
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=1e-6, atol=1e-6 * scale)
