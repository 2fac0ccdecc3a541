"""One table row per PEtab problem and engine: what gradients, batches and Jacobians have in common."""

from __future__ import annotations

from pathlib import Path

from ..engines.task import Task
from ..references import judged, references
from ..rounds import Measured, measure_in_turn
from .settings import Settings

TOLERANCE = 1e-8


def measure_problems(
    settings: Settings, part: str, kind: str, engines: tuple[str, ...], counts: dict[str, int]
) -> None:
    """Measures all problems and writes the table of a part.

    Args:
        settings: Arguments of the command.
        part: Name of the table.
        kind: Kind of the task.
        engines: Engines of the part.
        counts: Number of vectors by engine (default 1, the nominal one).
    """
    from ..petab_folder import vectors_beside

    table = settings.table(part)
    for name, path in settings.problems.items():
        todo = [engine for engine in settings.chosen(engines) if not table.has(name, engine, TOLERANCE)]
        if not todo:
            continue
        tasks = {
            engine: petab_task(path, kind, settings.build, vectors_beside(path, counts.get(engine, 1)))
            | {"max_steps": settings.max_steps}
            for engine in todo
        }
        found = measure_in_turn(tasks, settings.log, settings.limits, settings.rounds)
        known = references(name, path, settings.out, settings.build, settings.limits) if kind == "gradient" else {}
        for engine, measured in found.items():
            table.add(**_row(name, engine, measured, counts.get(engine, 1), known))


def petab_task(path: Path, kind: str, build: Path, vectors: list[dict[str, float]]) -> Task:
    """The task at the common tolerance. A single vector is the nominal one, which the engines know to all digits."""
    vectors = [{}] if len(vectors) == 1 else vectors
    task = {"kind": kind, "path": str(path.resolve()), "build": str(build), "vectors": vectors}
    return task | {"rtol": TOLERANCE, "atol": TOLERANCE}


def _row(name: str, engine: str, measured: Measured, count: int, known: dict) -> dict[str, object]:
    row: dict[str, object] = {"problem": name, "engine": engine, "rtol": TOLERANCE, "atol": TOLERANCE}
    row |= {"version": measured.version, "status": measured.status, "reason": measured.reason, "count": count}
    if measured.status == "ok":
        row |= {"seconds": measured.seconds / count, "wall_s": measured.wall / count, "compile_s": measured.compile_s}
        row |= {"size": measured.answer.get("states", "")}
        if known:
            row |= judged(measured.answer["results"][0], known)
    return row
