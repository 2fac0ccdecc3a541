"""Claim: an SBML model with an event is simulated and differentiated as it stands, through the moment of the event.

A drug is given again whenever its concentration has fallen to a threshold. The event belongs to the file, not to the
experiment, so the times of the doses follow from the model and move with its parameters.

    uv run python examples/existing_model.py
"""

from __future__ import annotations

import jax
import numpy as np

import twin
from twin.compile import compile_model
from twin.experiment.actions import collect_actions
from twin.simulation import run_lanes
from twin.solve import Tolerance, method_named

MATHS = 'xmlns="http://www.w3.org/1998/Math/MathML"'
SBML = f"""<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="topped_up">
  <listOfCompartments><compartment id="body" size="4" constant="true"/></listOfCompartments>
  <listOfSpecies><species id="drug" compartment="body" initialConcentration="10" hasOnlySubstanceUnits="false"
    boundaryCondition="false" constant="false"/></listOfSpecies>
  <listOfParameters>
    <parameter id="CL" value="1.2" constant="true"/>
    <parameter id="threshold" value="2" constant="true"/>
  </listOfParameters>
  <listOfReactions><reaction id="loss" reversible="false">
    <listOfReactants><speciesReference species="drug" stoichiometry="1" constant="true"/></listOfReactants>
    <kineticLaw><math {MATHS}><apply><times/><ci>CL</ci><ci>drug</ci></apply></math></kineticLaw>
  </reaction></listOfReactions>
  <listOfEvents><event useValuesFromTriggerTime="true">
    <trigger initialValue="true" persistent="true">
      <math {MATHS}><apply><lt/><ci>drug</ci><ci>threshold</ci></apply></math></trigger>
    <listOfEventAssignments><eventAssignment variable="drug">
      <math {MATHS}><apply><plus/><ci>drug</ci><cn>8</cn></apply></math></eventAssignment></listOfEventAssignments>
  </event></listOfEvents>
</model></sbml>"""


def main() -> None:
    """Simulate, compare with the closed form, differentiate."""
    model = twin.read_sbml(SBML)
    print(model)
    ds = twin.simulate(model, np.linspace(0, 24, 97), variables=["drug", "drug * body"])
    period = np.log(10 / 2) / (1.2 / 4)  # from 10 down to the threshold, and up to 10 again
    expected = 10 * np.exp(-0.3 * (ds.time.values % period))
    assert np.allclose(ds.drug, expected, rtol=1e-7)

    system = compile_model(model)
    actions = collect_actions(system, [twin.Experiment()], [24.0])
    p = np.array(list(model.default_parameters.values()))
    chosen = np.array([system.parameters.index(name) for name in ("CL", "threshold")])
    outputs = (model.formula("drug"),)

    def last(values: jax.Array) -> jax.Array:
        tolerance = Tolerance(1e-10, 1e-12, 4096)
        full = jax.numpy.asarray(p).at[chosen].set(values)[:, None, None]
        return run_lanes(system, method_named("rodas5p"), tolerance, outputs, actions, full, np.array([[24.0]]))[
            0
        ].sum()

    with twin.float64():
        gradient = np.asarray(jax.grad(last)(p[chosen]))
        steps = 1e-5 * np.eye(2)
        differences = [float(last(p[chosen] + step) - last(p[chosen] - step)) / 2e-5 for step in steps]
    print("d drug(24) / d (CL, threshold):", gradient, "by differences:", differences)
    assert np.allclose(gradient, differences, rtol=1e-6)
    count = int(24 // period)
    print(f"\nClaim: the slope of the last value through {count} doses that the model gives itself equals differences.")


if __name__ == "__main__":
    main()
