"""From starting Python to the first gradient of a PEtab problem, with nothing compiled before and with a warm cache.

A fresh process each time. "cold": this package with an empty cache, AMICI with nothing generated. "warm": the second
process of this package with JAX's persistent cache, of AMICI with the module that it built.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from ..channel import Channel
from ..engines.registry import missing
from ..engines.task import EngineError
from ..results import Table
from .petab_tasks import TOLERANCE, petab_task
from .settings import Settings

PROBLEMS = ("Boehm_JProteomeRes2014", "Bachmann_MSB2011", "Smith_BMCSystBiol2013")
ENGINES = ("cytotwin", "AMICI forward", "AMICI JAX")
TIMES = ("cold", "warm")


def measure(settings: Settings) -> None:
    """Measures the part."""
    table = settings.table("compile")
    for name in PROBLEMS:
        if name not in settings.problems:
            continue
        for engine in settings.chosen(ENGINES):
            if not all(table.has(name, f"{engine} ({when})", TOLERANCE) for when in TIMES):
                with tempfile.TemporaryDirectory() as folder:
                    _measure_engine(table, name, engine, settings, Path(folder))


def _measure_engine(table: Table, name: str, engine: str, settings: Settings, folder: Path) -> None:
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    build = folder / "build"
    build.mkdir()
    task = petab_task(settings.problems[name], "gradient", build, [{}])
    for when in TIMES:
        row: dict[str, object] = {"problem": name, "engine": f"{engine} ({when})"}
        row |= {"rtol": TOLERANCE, "atol": TOLERANCE, "count": 1}
        if reason := missing(engine):
            table.add(**row, status="skipped", reason=reason)
            continue
        started = time.perf_counter()
        try:
            with Channel(engine, settings.log, cache) as channel:
                opened = channel.open(task, settings.limits.compile)
                seconds = time.perf_counter() - started
            table.add(**row, version=opened["version"], seconds=seconds, compile_s=opened["compile_s"], status="ok")
        except EngineError as error:
            table.add(**row, status="failed", reason=error)
            shutil.rmtree(build, ignore_errors=True)
            return
