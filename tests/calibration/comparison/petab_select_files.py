"""A PEtab Select problem with a known answer: which of three inputs feed a state that decays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">
  <model id="inputs">
    <listOfCompartments><compartment id="cell" spatialDimensions="3" size="1" constant="true"/></listOfCompartments>
    <listOfSpecies>
      <species id="x" compartment="cell" initialConcentration="2" hasOnlySubstanceUnits="false"
               boundaryCondition="false" constant="false"/>
    </listOfSpecies>
    <listOfParameters>
      <parameter id="loss" value="0" constant="true"/>
      <parameter id="supply" value="0" constant="true"/>
      <parameter id="feedback" value="0" constant="true"/>
    </listOfParameters>
    <listOfRules>
      <rateRule variable="x"><math xmlns="http://www.w3.org/1998/Math/MathML">
        <apply><plus/><ci>supply</ci>
          <apply><times/><ci>feedback</ci><ci>x</ci><ci>x</ci></apply>
          <apply><minus/><apply><times/><ci>loss</ci><ci>x</ci></apply></apply>
        </apply></math></rateRule>
    </listOfRules>
  </model>
</sbml>
"""
"""dx/dt = supply + feedback x^2 - loss x from x(0) = 2."""

TIMES = np.linspace(0.0, 6.0, 25)
SD, LOSS, SUPPLY = 0.03, 0.9, 0.1
"""With little supply the loss explains most, and a search that adds terms one by one begins with it. With 0.6 instead,
feedback alone comes first and forward search ends with all three terms, whatever fits them."""


def write_space(folder: Path, method: str = "forward", criterion: str = "BIC", noise_seed: int = 0) -> Path:
    """Data with loss and supply, no feedback; each of the three terms may be left out, which makes eight models."""
    truth = SUPPLY / LOSS + (2.0 - SUPPLY / LOSS) * np.exp(-LOSS * TIMES)
    values = truth + SD * np.random.default_rng(noise_seed).standard_normal(len(TIMES))
    tables = {
        "parameters": [
            "parameterId parameterScale lowerBound upperBound nominalValue estimate",
            *(f"{name} lin -3 3 0.1 1" for name in ("loss", "supply", "feedback")),
            "sd log10 0.001 10 0.1 1",
        ],
        "observables": ["observableId observableFormula noiseFormula", "y x sd"],
        "conditions": ["conditionId", "c"],
        "measurements": [
            "observableId simulationConditionId time measurement",
            *(f"y c {t} {v:.6f}" for t, v in zip(TIMES, values, strict=True)),
        ],
        "model_space": [
            "model_subspace_id model_subspace_petab_yaml loss supply feedback",
            "M petab.yaml 0;estimate 0;estimate 0;estimate",
        ],
    }
    for name, rows in tables.items():
        (folder / f"{name}.tsv").write_text("".join(row.replace(" ", "\t") + "\n" for row in rows))
    (folder / "model.xml").write_text(SBML)
    (folder / "petab.yaml").write_text(
        "format_version: 1\nparameter_file: parameters.tsv\nproblems:\n- sbml_files: [model.xml]\n"
        "  condition_files: [conditions.tsv]\n  observable_files: [observables.tsv]\n"
        "  measurement_files: [measurements.tsv]\n"
    )
    (folder / "select.yaml").write_text(
        f"format_version: 1.0.0\ncriterion: {criterion}\nmethod: {method}\nmodel_space_files: [model_space.tsv]\n"
    )
    return folder / "select.yaml"
