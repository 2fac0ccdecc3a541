"""The public stochastic suite: means and standard deviations of a thousand runs, judged by the ranges of each case.

A mean counts as right if sqrt(n) (mean - reference) / sd lies in `meanRange`, a standard deviation if sqrt(n / 2)
(variance / reference - 1) lies in `sdRange`. Any of fifty times may leave the first range by chance (0.3 %): two may.
Tau-leaping is judged like the exact method.

References:
    Evans, Gillespie & Wilkinson (2008), doi:10.1093/bioinformatics/btm566.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import twin
from twin.errors import UnsupportedModelError

RUNS = 1000
SIMULATED = [
    "00002",
    "00003",
    "00006",
    "00007",
    "00008",
    "00009",
    "00010",
    "00011",
    "00015",
    "00019",
    "00021",
    "00022",
    "00025",
    "00026",
    "00027",
    "00031",
    "00034",
    "00036",
    "00037",
    "00038",
    "00039",
]
HEAVY = {"00003"}
"""A population near extinction: the variance of a thousand runs is far from normal, which `sdRange` presumes."""
WITH_EVENTS = ["00028", "00029", "00033"]

pytestmark = pytest.mark.slow


def drawn_and_reference(folder: Path, method: str) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """By species: its name, molecules in a thousand runs [run, time], and their mean and standard deviation."""
    model = twin.read_sbml(folder / "model.xml")
    settings, (times, reference) = read_settings(folder), read_results(folder)
    assert settings["meanRange"] == "(-3, 3)" and settings["sdRange"] == "(-5, 5)"
    sizes = {state.name: state.compartment for state in model.states}
    for species in (each.strip() for each in settings["variables"].split(",")):
        # The suite counts molecules; a state with a compartment is a concentration.
        wanted = species if sizes.get(species) is None else f"{species} * {sizes[species]}"
        drawn = twin.simulate_jumps(model, times, variables=[wanted], runs=RUNS, seed=1, method=method)
        yield species, drawn[wanted].to_numpy(), reference[f"{species}-mean"], reference[f"{species}-sd"]


@pytest.mark.parametrize("method", ["direct", "tau_leap"])
@pytest.mark.parametrize("name", SIMULATED)
def test_case(name: str, method: str, suite_folder) -> None:
    for species, drawn, mean, sd in drawn_and_reference(suite_folder("sbml-stochastic") / name, method):
        varies = sd > 0
        np.testing.assert_allclose(drawn[:, ~varies], np.tile(mean[~varies], (RUNS, 1)))
        off = np.sqrt(RUNS) * (drawn.mean(axis=0) - mean)[varies] / sd[varies]
        spread = np.sqrt(RUNS / 2) * (drawn.var(axis=0, ddof=1)[varies] / sd[varies] ** 2 - 1)
        assert np.sum(np.abs(off) > 3) <= 2, species
        if name not in HEAVY:
            assert np.sum(np.abs(spread) > 5) == 0, species


@pytest.mark.parametrize("name", WITH_EVENTS)
def test_events_are_refused_by_name(name: str, suite_folder) -> None:
    model = twin.read_sbml(suite_folder("sbml-stochastic") / name / "model.xml")
    with pytest.raises(UnsupportedModelError, match="it has events: reset"):
        twin.simulate_jumps(model, [0.0, 1.0], runs=2)


def test_the_other_cases_need_the_package_distrib(suite_folder) -> None:
    folder = suite_folder("sbml-stochastic")
    others = {path.name for path in folder.iterdir() if path.is_dir()} - {*SIMULATED, *WITH_EVENTS}
    for name in sorted(others):
        with pytest.raises(UnsupportedModelError, match="package 'distrib'"):
            twin.read_sbml(folder / name / "model.xml")


def read_settings(folder: Path) -> dict[str, str]:
    lines = (folder / "settings.txt").read_text(encoding="utf-8").splitlines()
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def read_results(folder: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    with open(folder / "results.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    return columns["time"], columns
