"""A few dozen damaged inputs, only read: each ends in a result or a typed error. `fuzz_inputs.py` does thousands."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from fuzz_inputs import find_sources, is_fault, pick
from mutants import Mutant, run
from mutations import BYTES, LINES, TABLE, XML, mutate

import models
from calibration.petab import write_petab
from calibration.problem import Problem
from twin.exchange import write_sbml

SEED, NUMBER = 7, 30


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> tuple[Path, Path]:
    """Small inputs of our own making: an SBML file, and the YAML file of a PEtab problem."""
    sbml = tmp_path_factory.mktemp("sbml") / "model.xml"
    write_sbml(models.load("theophylline"), sbml)
    petab = tmp_path_factory.mktemp("petab")
    write_petab(Problem.from_study("theophylline"), petab)
    (found,) = petab.glob("*.yaml")
    return sbml, found


@pytest.mark.parametrize("kind", ["sbml", "petab"])
def test_damage_ends_in_a_result_or_a_typed_error(kind: str, sources) -> None:
    source = sources[0] if kind == "sbml" else sources[1]
    outcomes = [run(Mutant(number, SEED, source, compute=False)) for number in range(NUMBER)]
    assert [found for found in outcomes if is_fault(found[0])] == []
    # The damage is neither always harmless nor always fatal.
    assert 0 < sum(found[0] == "result" for found in outcomes) < NUMBER


@pytest.mark.parametrize("name", ["model.xml", "table.tsv", "problem.yaml"])
def test_damage_is_the_same_for_the_same_seed(name: str) -> None:
    content = b"<sbml><model id='m'><p id='a' value='1'/></model></sbml>\nid\tvalue\nA\t2.5\n"
    made = [[mutate(content, name, Random(number)) for number in range(60)] for _ in range(2)]
    assert made[0] == made[1]
    known = BYTES | {"model.xml": XML, "table.tsv": TABLE, "problem.yaml": LINES}[name]
    assert {way for way, _ in made[0]} <= set(known)
    assert len({damaged for _, damaged in made[0]}) > 20


def test_sources_are_picked_by_turns(sources) -> None:
    found = find_sources([source.parent for source in sources])
    assert set(found) == set(sources)
    assert [pick(found, 0, number).suffix for number in range(4)] == [".xml", ".yaml", ".xml", ".yaml"]
