"""The parent's side of a worker: starts it, asks it, and ends it where it takes too long."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Any

from .engines.registry import ENGINES
from .engines.task import EngineError, Task

ROOT = Path(__file__).resolve().parents[3]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MAKEFLAGS": "-j1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}


class Channel:
    """One engine in its process; the process inherits the cores of this one.

    Args:
        engine: A name of `ENGINES`.
        log: File for what the engine prints.
        environment: Further variables of the environment.
    """

    def __init__(self, engine: str, log: Path, environment: dict[str, str] | None = None) -> None:
        self.engine, self.log = engine, log.open("a")
        command = [sys.executable, "-m", f"{__package__}.worker", ENGINES[engine].module]
        variables = {**os.environ, **ONE_THREAD, **(environment or {})}
        # As installed packages are: without bytecode, importing SymPy alone takes a second longer.
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, cwd=ROOT, env=variables)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self, task: Task, limit: float) -> dict[str, Any]:
        """Prepares a task; "compile_s" and "version"."""
        return self._ask({"do": "open", "task": {**task, **ENGINES[self.engine].options}}, limit)

    def run(self, limit: float) -> dict[str, float]:
        """Seconds of one run, by clock."""
        return self._ask({"do": "run"}, limit)

    def answer(self) -> dict[str, Any]:
        """The result of the last run."""
        return self._ask({"do": "answer"}, 600.0)

    def _ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        if self.process.poll() is not None:
            raise EngineError(f"the process ended with code {self.process.returncode}")
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write((json.dumps(request) + "\n").encode())
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(limit):
                self.close()
                raise EngineError(f"over the limit of {limit:.0f} s ({request['do']})")
        line = self.process.stdout.readline()
        if not line:
            raise EngineError(f"the process ended with code {self.process.wait()}")
        reply = json.loads(line)
        if "failed" in reply:
            raise EngineError(reply["failed"])
        return reply

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None and not stream.closed:
                stream.close()
