"""Trajectories for many draws of the parameters: seconds per trajectory and the error, at several tolerances.

The error of a draw is the largest distance from the reference over times and states, each state in units of its largest
value, at least the absolute tolerance of the main runs; the median over draws is reported. The reference is this
package's at tolerance 1e-11; `reference_gap` is libRoadRunner's distance from it at the same tolerance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..channel import Channel
from ..engines.registry import ENGINES as REGISTRY
from ..engines.registry import missing
from ..engines.task import EngineError, Task
from ..results import Table
from ..rounds import Limits, Measured, measure_in_turn
from ..scenarios import SCENARIOS, Scenario
from .settings import Settings

ENGINES = (
    "cytotwin", "cytotwin tsit5", "libRoadRunner", "libRoadRunner Adams", "diffrax Kvaerno5",
    "diffrax Tsit5", "SciPy LSODA", "SciPy Radau",
)  # fmt: skip
NON_STIFF = {"cytotwin tsit5", "libRoadRunner Adams", "diffrax Tsit5"}
MAIN = 1e-6
TOLERANCES = (MAIN, 1e-4, 1e-5, 1e-7, 1e-8, 1e-9)
ATOL_OF_RTOL = 1e-2
REFERENCE = 1e-11
KEPT = 32
"""Draws whose trajectories are compared with the reference."""
PROBED = {"SciPy LSODA": 2, "SciPy Radau": 2}
"""Draws to estimate the time from (default 64)."""
SECONDS = 20.0
"""Draws of an engine are cut to what takes about so long."""
FEWER = 10
"""At other tolerances than the main one there are so many times fewer draws."""


def measure(settings: Settings) -> None:
    """Measures the part."""
    table = settings.table("ensembles")
    chosen = [rtol for rtol in TOLERANCES if not settings.tolerances or rtol in settings.tolerances]
    for scenario in SCENARIOS:
        if settings.only and scenario.name not in settings.only:
            continue
        engines = [name for name in settings.chosen(ENGINES) if not (scenario.stiff and name in NON_STIFF)]
        todo = {rtol: [name for name in engines if not table.has(scenario.name, name, rtol)] for rtol in chosen}
        if any(todo.values()):
            _measure_scenario(scenario, todo, table, settings)


def _measure_scenario(scenario: Scenario, todo: dict[float, list[str]], table: Table, settings: Settings) -> None:
    folder = settings.out / "scenarios" / scenario.name
    try:
        states, parameters = scenario.prepare(folder, settings.problems)
    except KeyError:
        print(f"{scenario.name}: its PEtab problem is not in the folder", flush=True)
        return
    common: Task = {"kind": "ensemble", "path": str(folder), "states": states, "parameters": parameters, "kept": KEPT}
    reference = _reference("cytotwin", common, folder, settings)
    other = _reference("libRoadRunner", common, folder, settings)
    gap = deviation(other, reference)
    affordable: dict[str, int] = {}
    for rtol, engines in todo.items():
        share = 1 if rtol == MAIN else FEWER
        tasks: dict[str, Task] = {}
        found: dict[str, Measured] = {}
        for engine in engines:
            task = common | {"rtol": rtol, "atol": rtol * ATOL_OF_RTOL, "file": str(folder / f"{engine}.npy")}
            try:
                if engine not in affordable:
                    affordable[engine] = _affordable(engine, task, settings.log, settings.limits)
                tasks[engine] = task | {"draws": max(2, min(scenario.draws, affordable[engine]) // share)}
            except EngineError as error:
                found[engine] = Measured()
                found[engine].fail(error, "skipped" if missing(engine) else "failed")
        found |= measure_in_turn(tasks, settings.log, settings.limits, settings.rounds)
        for engine, measured in found.items():
            task = tasks.get(engine, {"draws": 1})
            row = {"problem": scenario.name, "engine": engine, "rtol": rtol, "atol": rtol * ATOL_OF_RTOL}
            table.add(**row, **_columns(measured, task, reference, gap, len(states)))


def _columns(measured: Measured, task: Task, reference: np.ndarray | None, gap: float, size: int) -> dict[str, object]:
    columns: dict[str, object] = {"version": measured.version, "status": measured.status, "reason": measured.reason}
    columns |= {"size": size, "reference_gap": gap}
    if measured.status == "ok":
        draws = task["draws"]
        columns |= {"seconds": measured.seconds / draws, "wall_s": measured.wall / draws, "count": draws}
        columns |= {"compile_s": measured.compile_s, "failures": measured.answer["failures"]}
        columns |= {"error": deviation(np.load(task["file"]), reference)}
    return columns


def _affordable(engine: str, task: Task, log: Path, limits: Limits) -> int:
    """Draws that take about `SECONDS`, by the time of a few."""
    if reason := missing(engine):
        raise EngineError(reason)
    probed = PROBED.get(engine, 64)
    with Channel(engine, log) as channel:
        channel.open(task | {"draws": probed}, limits.compile)
        per_draw = channel.run(limits.run)["seconds"] / probed
    return max(probed, int(SECONDS / per_draw))


def _reference(engine: str, common: Task, folder: Path, settings: Settings) -> np.ndarray | None:
    """Trajectories at a tight tolerance; kept between runs."""
    file = folder / f"reference {engine}.npy"
    if not file.exists() and not missing(engine):
        task = common | {"rtol": REFERENCE, "atol": 1e-3 * REFERENCE, "draws": KEPT, "file": str(file)}
        try:
            with Channel(engine, settings.log) as channel:
                channel.open(task | REGISTRY[engine].options | {"max_steps": 60_000}, settings.limits.compile)
                channel.run(settings.limits.run)
                channel.answer()
        except EngineError as error:
            print(f"no reference by {engine}: {error}", flush=True)
    return np.load(file) if file.exists() else None


def deviation(found: np.ndarray | None, reference: np.ndarray | None) -> float:
    """Median over draws of the largest scaled distance over times and states; NaN without a reference.

    Args:
        found: [draw, time, state], with fewer draws or as many as the reference; NaN where one failed.
        reference: [draw, time, state].
    """
    if found is None or reference is None:
        return float("nan")
    reference = reference[: len(found)]
    # States that never exceed the absolute tolerance are not resolved, by anybody.
    size = np.maximum(np.abs(reference).max(axis=1, keepdims=True), ATOL_OF_RTOL * MAIN)
    distance = np.abs(found - reference) / size
    return float(np.median(distance.max(axis=(1, 2))))
