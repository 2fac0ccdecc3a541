"""Claim: the derivative of a peak in the amount and the time of a dose, through the solver, equals finite differences.

Theophylline, two oral doses. Amount and time of the second one are parameters (``"second"``, ``"wait"``), so the
schedule of the experiment is part of what is differentiated, in reverse mode.

    uv run python examples/gradient_of_a_dose.py
"""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

import models
import twin
from twin.compile import compile_model
from twin.experiment.actions import collect_actions
from twin.simulation import run_lanes
from twin.solve import Tolerance, method_named

SECOND, DELAY = 3.0, 9.0
"""The second dose [mg/kg] and when it is given [h]."""


def with_dosing_parameters(model: twin.Model) -> twin.Model:
    """The model with two parameters that only the experiment uses."""
    dosing = (
        twin.Parameter("second", SECOND, "milligram/kilogram", "Second dose"),
        twin.Parameter("wait", DELAY, "hour", "Time of the second dose"),
    )
    return replace(model, parameters=(*model.parameters, *dosing))


def main() -> None:
    """Differentiate the second peak, and compare."""
    model = with_dosing_parameters(models.load("theophylline"))
    system = compile_model(model)
    experiment = twin.Experiment(doses=[twin.Bolus("gut", 4.0), twin.Bolus("gut", "second", time="wait")])
    # Sampled after the second dose: the peak of these readings is the second one.
    ts = np.linspace(DELAY + 0.5, DELAY + 6.0, 23)
    actions = collect_actions(system, [experiment], [ts[-1]])
    concentration = (model.observable_expr("concentration"),)
    nominal = np.array([model.default_parameters[name] for name in system.parameters])
    which = np.array([system.parameters.index(name) for name in ("second", "wait")])

    def peak(dosing: jax.Array) -> jax.Array:
        """Highest concentration [mg/L]: the top of the parabola through the three highest neighbours."""
        p = jnp.asarray(nominal).at[which].set(dosing)[:, None, None]
        outputs, _ = run_lanes(
            system, method_named("rodas5p"), Tolerance(1e-10, 1e-12), concentration, actions, p, ts[:, None]
        )
        course = outputs[0, :, 0, 0]
        top = jnp.clip(jnp.argmax(course), 1, len(ts) - 2)
        before, at, after = course[top - 1], course[top], course[top + 1]
        return at + (after - before) ** 2 / (8.0 * (2.0 * at - before - after))

    with twin.float64():
        here = jnp.array([SECOND, DELAY])
        value, derivative = jax.value_and_grad(peak)(here)
        gradient = np.asarray(derivative)
        step = 1e-4
        differences = [
            float(peak(here.at[i].add(step)) - peak(here.at[i].add(-step))) / (2.0 * step) for i in range(len(here))
        ]
    print(f"second peak: {float(value):.4f} mg/L")
    print("                     through the solver   finite differences")
    for name, ours, theirs in zip(("amount [1/(L/kg)]", "time [mg/L/h]"), gradient, differences, strict=True):
        print(f"  by {name:<17} {float(ours):18.9f}   {theirs:18.9f}")
    worst = float(np.max(np.abs(gradient / differences - 1.0)))
    print(f"\nClaim: the two agree to {worst:.0e}. A bigger second dose raises the peak, a later one lowers it.")
    assert worst < 1e-6
    assert gradient[0] > 0.0 > gradient[1]


if __name__ == "__main__":
    main()
