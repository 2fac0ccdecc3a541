"""Tasks that hang, die or raise do not take the others with them."""

from __future__ import annotations

import time

import numpy as np
import pytest

from twin.conformance import pool
from twin.conformance.pool import Task, run_tasks
from twin.errors import TwinError

ACT = "pool_tasks:act"


def outcomes(*what: str, workers: int = 1, limit: float = 30.0):
    tasks = [Task(f"{place} {text}", text, 0.5 if text == "hang" else limit) for place, text in enumerate(what)]
    return {outcome.task.argument: outcome for outcome in run_tasks(ACT, tasks, workers)}


def test_every_task_has_an_outcome_and_the_others_go_on() -> None:
    found = outcomes("first", "hang", "second", "die", "raise", "third", workers=2)
    assert {what: outcome.fault for what, outcome in found.items()} == {
        "first": "",
        "hang": "timeout",
        "second": "",
        "die": "died",
        "raise": "raised",
        "third": "",
    }
    assert found["hang"].reason == "timed out after 0.5 s"
    assert 0.5 <= found["hang"].seconds < 5.0
    assert found["die"].reason == "the process died (exit status 3)"
    assert found["raise"].reason == "ValueError: on purpose"
    assert found["third"].result.startswith("third in ")


def test_a_worker_takes_many_tasks_until_it_has_grown(monkeypatch) -> None:
    processes = {outcome.result.rpartition(" ")[2] for outcome in outcomes("a", "b", "c").values()}
    assert len(processes) == 1
    monkeypatch.setattr(pool, "LARGEST_BYTES", 1)
    processes = {outcome.result.rpartition(" ")[2] for outcome in outcomes("a", "b", "c").values()}
    assert len(processes) == 3


def test_the_size_of_the_parent_is_not_the_worker_s(monkeypatch) -> None:
    monkeypatch.setattr(pool, "LARGEST_BYTES", 1 * 2**30)
    large = np.ones(2**28)  # 2 GiB here
    processes = {outcome.result.rpartition(" ")[2] for outcome in outcomes("a", "b", "c").values()}
    assert large[-1] == 1.0 and len(processes) == 1


def test_leaving_early_ends_the_workers() -> None:
    start = time.monotonic()
    running = run_tasks(ACT, [Task("quick", "quick", 60.0), Task("hang", "hang", 60.0)], workers=2)
    assert next(running).task.name == "quick"
    running.close()
    assert time.monotonic() - start < 30.0


def test_a_function_that_is_not_there_is_said() -> None:
    with pytest.raises(TwinError, match=r"cannot start: AttributeError: .*'nothing'"):
        list(run_tasks("pool_tasks:nothing", [Task("a", "a", 1.0)], workers=1))


def test_no_tasks_no_workers() -> None:
    assert list(run_tasks("nowhere:nothing", [])) == []
