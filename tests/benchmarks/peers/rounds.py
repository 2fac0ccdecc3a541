"""Engines measured in turn: some rounds, in each of them every engine a few runs; the median of the rounds' best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .channel import Channel
from .engines.registry import missing
from .engines.task import EngineError, Task

ROUNDS = 5
SECONDS_PER_TURN = 0.3
RUNS_PER_TURN = 20
LONG = 10.0
"""Seconds of one run above which one round is enough."""


@dataclass
class Measured:
    """What was found of one engine.

    Attributes:
        seconds: What is compared, of one run.
        wall: The user's call.
        compile_s: Seconds from the file to the first result.
        version: Of the engine.
        answer: Its result.
        status: ok, skipped or failed.
        reason: Why there is no result.
    """

    seconds: float = float("nan")
    wall: float = float("nan")
    compile_s: float = float("nan")
    version: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    status: str = "ok"
    reason: str = ""

    def fail(self, error: EngineError, status: str = "failed") -> None:
        """Records why there is no result."""
        self.status, self.reason = status, str(error)


@dataclass(frozen=True)
class Limits:
    """Seconds of wall clock that an engine may take to prepare a task and to run it once."""

    compile: float = 600.0
    run: float = 120.0


def measure_in_turn(tasks: Mapping[str, Task], log: Path, limits: Limits, rounds: int = ROUNDS) -> dict[str, Measured]:
    """Prepares the task of every engine, then times them in turn.

    Args:
        tasks: What each engine is to do, by engine.
        log: File for what the engines print.
        limits: Limits of wall clock.
        rounds: Number of rounds.
    """
    found = {engine: Measured() for engine in tasks}
    turns: dict[str, list[dict[str, float]]] = {engine: [] for engine in tasks}
    with ExitStack() as stack:
        channels: dict[str, Channel] = {}
        for engine, task in tasks.items():
            if reason := missing(engine):
                found[engine].fail(EngineError(reason), "skipped")
                continue
            channel = stack.enter_context(Channel(engine, log))

            def prepare(engine: str = engine, channel: Channel = channel, task: Task = task) -> None:
                opened = channel.open(task, limits.compile)
                found[engine].compile_s, found[engine].version = opened["compile_s"], opened["version"]

            if _tried(found[engine], prepare):
                channels[engine] = channel
        for number in range(rounds):
            for engine, channel in list(channels.items()):
                if number and min(turn["seconds"] for turn in turns[engine]) > LONG:
                    continue
                if not _tried(found[engine], lambda e=engine, c=channel: turns[e].append(_turn(c, limits.run))):
                    del channels[engine]
        for engine, channel in channels.items():
            _tried(found[engine], lambda e=engine, c=channel: found[e].answer.update(c.answer()))
    for engine, best in turns.items():
        if best and found[engine].status == "ok":
            found[engine].seconds = statistics.median(turn["seconds"] for turn in best)
            found[engine].wall = statistics.median(turn["wall"] for turn in best)
    return found


def _turn(channel: Channel, limit: float) -> dict[str, float]:
    """The best of a few runs."""
    runs, started = [], time.perf_counter()
    while not runs or (len(runs) < RUNS_PER_TURN and time.perf_counter() - started < SECONDS_PER_TURN):
        runs.append(channel.run(limit))
    return {clock: min(run[clock] for run in runs) for clock in ("seconds", "wall")}


def _tried(found: Measured, action: Callable[[], object]) -> bool:
    try:
        action()
    except EngineError as error:
        found.fail(error)
        return False
    return True
