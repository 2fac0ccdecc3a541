"""A scenario on a real scheduler with real worker processes, one of which is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import scenario_files

import twin
from twin.errors import ScenarioError
from twin.scenario.cluster import on_cluster
from twin.scenario.run import run_scenario

pytestmark = pytest.mark.xdist_group("scenario")


@contextmanager
def processes(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and workers, ended whatever happens."""
    contact = folder / "scheduler.json"
    begun = []

    def start(program: str, *options: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{program}", "--no-dashboard", *options]
        begun.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder))

    try:
        options = ("--scheduler-file", str(contact))
        start("dask_scheduler", "--port", "0", "--host", "127.0.0.1", *options)
        for _ in range(workers):
            start("dask_worker", "--nthreads", "1", "--no-nanny", *options)
        for _ in range(600):
            if contact.is_file() and contact.stat().st_size:
                break
            time.sleep(0.1)
        import json

        yield json.loads(contact.read_text())["address"], begun[1:]
    finally:
        for process in begun:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_killed_worker_costs_only_its_chunks(tmp_path: Path) -> None:
    file = scenario_files.written(tmp_path)
    scenario = twin.read_scenario(file)
    scenario.run(tmp_path / "here", chunk=100, progress=False)
    with processes(tmp_path, workers=2) as (address, workers):
        execute = on_cluster(file, scheduler=address)

        def kill_one(work, tasks):
            for number, outcome in enumerate(execute(work, tasks)):
                if number == 2:
                    workers[0].send_signal(signal.SIGKILL)
                yield outcome

        run_scenario(scenario, tmp_path / "there", chunk=100, progress=False, executor=kill_one)
        assert workers[0].wait() == -signal.SIGKILL and workers[1].poll() is None
    assert scenario_files.content(tmp_path / "there") == scenario_files.content(tmp_path / "here")


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    file = scenario_files.written(inside)
    (inside / "decay.xml").rename(tmp_path / "decay.xml")
    file.write_text(file.read_text().replace("decay.xml", "../decay.xml"))
    with pytest.raises(ScenarioError, match="lies outside the scenario's folder"):
        on_cluster(file, workers=1)
