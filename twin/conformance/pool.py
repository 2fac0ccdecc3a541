"""Tasks in worker processes that outlive each other: a task may hang or kill its process, and the others go on.

A worker is a fresh interpreter (``spawn``) that imports the function once and then takes one task after the other. A
worker whose task exceeds its time is killed and replaced, one that dies is replaced, one that has grown is retired.
`concurrent.futures` does none of these: there a dead worker ends the whole pool.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from twin.conformance import worker
from twin.errors import TwinError

START_LIMIT = 180.0
"""Seconds that a worker may take to import what it needs."""

LARGEST_BYTES = 3 * 2**30
"""A worker whose memory has reached this is retired: compiled programs stay in memory."""

ENVIRONMENT = {
    # One thread per worker: there is a worker per core.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
"""What workers find in their environment unless it says otherwise."""


@dataclass(frozen=True)
class Task:
    """Something to be done.

    Args:
        name: Its name.
        argument: What the function is called with; it is pickled.
        limit: Seconds it may take.
    """

    name: str
    argument: Any
    limit: float


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Args:
        task: The task.
        result: What the function returned; None if there is a fault.
        fault: ``"timeout"``, ``"died"`` or ``"raised"``; empty if the function returned.
        reason: More about the fault.
        seconds: How long it took.
    """

    task: Task
    result: Any
    fault: str
    reason: str
    seconds: float


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_tasks(target: str, tasks: Iterable[Task], workers: int | None = None) -> Iterator[Outcome]:
    """Outcomes in the order in which they come.

    Leaving the iterator early, by an exception or by closing it, ends the workers.

    Args:
        target: The function, as ``package.module:function``.
        tasks: What it is called with.
        workers: Processes; default one per core.

    Raises:
        TwinError: A worker cannot start.
    """
    waiting = deque(tasks)
    team: list[_Worker] = []
    try:
        for _ in range(min(workers or cores(), len(waiting))):
            team.append(_Worker(target))
        while team:
            for member in list(team):
                if member.ready and member.task is None:
                    if waiting:
                        member.give(waiting.popleft())
                    else:
                        member.end()
                        team.remove(member)
            yield from _news(team, target, waiting)
    finally:
        for member in team:
            member.end()


def _news(team: list[_Worker], target: str, waiting: deque[Task]) -> Iterator[Outcome]:
    """Waits until a worker says something, dies or is late; replaces workers that are gone."""
    if not team:
        return
    first = min(member.deadline for member in team)
    spoken = wait([member.connection for member in team], timeout=max(0.0, first - time.monotonic()))
    for member in list(team):
        if member.connection in spoken:
            outcome = member.listen()
        elif time.monotonic() >= member.deadline:
            outcome = member.late()
        else:
            continue
        if member.gone or (member.grown and member.task is None):
            member.end()
            team.remove(member)
            if waiting:
                team.append(_Worker(target))
        if outcome is not None:
            yield outcome


class _Worker:
    """The parent's side of a worker process."""

    def __init__(self, target: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        with _environment(ENVIRONMENT):
            self.process = context.Process(target=worker.work, args=(target, theirs), daemon=True)
            self.process.start()
        # With our copy of its end closed, its death is the end of the pipe.
        theirs.close()
        self.task: Task | None = None
        self.ready = self.gone = self.grown = False
        self.started = time.monotonic()
        self.deadline = self.started + START_LIMIT

    def give(self, task: Task) -> None:
        """Hand a task over."""
        self.task, self.started = task, time.monotonic()
        self.deadline = self.started + task.limit
        try:
            self.connection.send(task.argument)
        except OSError:  # it died between two tasks; its end of the pipe is read next
            return

    def listen(self) -> Outcome | None:
        """What it has to say: that it is ready, a result, or nothing more."""
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            return self._died()
        if said[0] == "ready":
            self.ready, self.deadline = True, float("inf")
            return None
        if said[0] == "broken":
            raise TwinError(f"a worker process cannot start: {said[1]}", where="conformance")
        kind, value, memory = said
        self.grown = memory >= LARGEST_BYTES
        return self._finish(value, "") if kind == "result" else self._finish(None, "raised", value)

    def late(self) -> Outcome | None:
        """It took too long."""
        if self.task is None:
            raise TwinError(f"a worker process did not start within {START_LIMIT:.0f} s", where="conformance")
        self.gone = True
        return self._finish(None, "timeout", f"timed out after {self.task.limit:g} s")

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    def _died(self) -> Outcome:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        if self.task is None:
            raise TwinError(f"a worker process ended without a task ({how})", where="conformance")
        self.gone = True
        return self._finish(None, "died", f"the process died ({how})")

    def _finish(self, result: Any, fault: str, reason: str = "") -> Outcome:
        assert self.task is not None
        outcome = Outcome(self.task, result, fault, reason, time.monotonic() - self.started)
        self.task, self.deadline = None, float("inf")
        return outcome


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    """The environment with some variables where there are none: a new interpreter reads it as it starts."""
    new = [name for name in added if name not in os.environ]
    os.environ.update({name: added[name] for name in new})
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]
