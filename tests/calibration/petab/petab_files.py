"""Tables and a model for PEtab problems of a decaying amount."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SBML = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1">
  <model id="decay">
    <listOfCompartments>
      <compartment id="cell" spatialDimensions="3" size="1" constant="true"/>
    </listOfCompartments>
    <listOfSpecies>
      <species id="A" compartment="cell" initialConcentration="2" hasOnlySubstanceUnits="false"
               boundaryCondition="false" constant="false"/>
      <species id="B" compartment="cell" initialConcentration="0" hasOnlySubstanceUnits="false"
               boundaryCondition="false" constant="false"/>
    </listOfSpecies>
    <listOfParameters>
      <parameter id="k" value="0.5" constant="true"/>
      <parameter id="inflow" value="0" constant="true"/>
    </listOfParameters>
    <listOfReactions>
      <reaction id="loss" reversible="false" fast="false">
        <listOfReactants><speciesReference species="A" stoichiometry="1" constant="true"/></listOfReactants>
        <listOfProducts><speciesReference species="B" stoichiometry="1" constant="true"/></listOfProducts>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">
          <apply><times/><ci>cell</ci><ci>k</ci><ci>A</ci></apply></math></kineticLaw>
      </reaction>
      <reaction id="supply" reversible="false" fast="false">
        <listOfProducts><speciesReference species="A" stoichiometry="1" constant="true"/></listOfProducts>
        <kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML">
          <apply><times/><ci>cell</ci><ci>inflow</ci></apply></math></kineticLaw>
      </reaction>
    </listOfReactions>
  </model>
</sbml>
"""
"""dA/dt = inflow - k A from A(0) = 2, dB/dt = k A."""

type Rows = Sequence[str]
type Writer = Callable[..., Path]

VERSION_1: dict[str, Rows] = {
    "parameters": [
        "parameterId parameterScale lowerBound upperBound nominalValue estimate",
        "k log10 0.01 10 0.5 1",
        "sd lin 0.001 10 0.1 1",
    ],
    "observables": ["observableId observableFormula noiseFormula", "y A sd"],
    "conditions": ["conditionId", "c"],
    "measurements": ["observableId simulationConditionId time measurement", "y c 0 2.1", "y c 1 1.2", "y c 2 0.8"],
}
VERSION_2: dict[str, Rows] = {
    "parameters": [
        "parameterId lowerBound upperBound nominalValue estimate",
        "k 0.01 10 0.5 true",
        "sd 0.001 10 0.1 true",
    ],
    "observables": ["observableId observableFormula noiseFormula", "y A sd"],
    "measurements": ["observableId experimentId time measurement", "y - 0 2.1", "y - 1 1.2", "y - 2 0.8"],
}


def write_tables(folder: Path, tables: Mapping[str, Rows], model: str) -> None:
    """Cells are separated by spaces here; ``-`` is an empty cell, and ``~`` a space."""
    (folder / "model.xml").write_text(model)
    for name, rows in tables.items():
        lines = ["\t".join("" if c == "-" else c.replace("~", " ") for c in row.split(" ")) for row in rows]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
