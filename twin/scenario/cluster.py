"""Chunks of a scenario on many machines: a Dask scheduler hands them out, this process writes what comes back.

Workers are sent the scenario's file with the files that it names, and the numbers of chunks; they need cytotwin, and no
shared disk. A chunk is the same whoever computes it (on machines of one kind), so that it may be computed twice without
harm: a worker that dies costs the chunks it was at. Writing and journal stay in one place, with one lock.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.errors import LibraryError, ScenarioError
from twin.scenario.durable import plain_faults
from twin.scenario.journal import Task
from twin.scenario.run import RETRIES, Outcome
from twin.scenario.scenario_file import files_of, read_scenario
from twin.scenario.work import Result, Work

if TYPE_CHECKING:
    from distributed import Client, Future

AHEAD = 2
"""Chunks in the hands of each worker: one at work and one to go on with."""
MOST_SENT = 16 * 2**20
"""Bytes of the files that are sent with every chunk."""
PATIENCE = "30s"
"""How long a scheduler, and the first worker, is waited for."""

_LOCK = threading.Lock()
_WORKS: dict[tuple[str, int], Work] = {}


def on_cluster(
    file: Path, *, scheduler: str | None = None, workers: int | None = None
) -> Callable[[Work, list[Task]], Iterator[Outcome]]:
    """An executor for `run_scenario`.

    Args:
        file: The scenario.
        scheduler: Address of a scheduler that runs already.
        workers: Or the number of worker processes to start on this machine.

    Raises:
        LibraryError: The package distributed is not installed.
        ScenarioError: The files are too large to be sent, or no scheduler or worker answers.
    """
    try:
        import distributed  # noqa: F401
    except ImportError:
        fix = "pip install 'cytotwin[cluster]'"
        raise LibraryError("a cluster needs the package distributed", fix=fix) from None
    files = _contents(file)

    def execute(work: Work, tasks: list[Task]) -> Iterator[Outcome]:
        with _client(scheduler, workers) as client:
            fingerprint = work.scenario.fingerprint
            yield from _hand_out(client, tasks, (files, fingerprint, work.width))

    return execute


def _contents(file: Path) -> dict[str, bytes]:
    """The scenario's file (first) and those that it names, by path relative to it."""
    found = {}
    for path in files_of(file):
        relative = path.resolve().relative_to(file.resolve().parent, walk_up=True)
        if relative.is_absolute() or ".." in relative.parts:
            raise ScenarioError(
                f"the file {str(relative)!r} lies outside the scenario's folder",
                where=str(file),
                fix="put it beside the scenario: it is sent to other machines",
            )
        with plain_faults(path, "read"):
            found[str(relative)] = path.read_bytes()
    if (size := sum(map(len, found.values()))) > MOST_SENT:
        raise ScenarioError(
            f"the scenario's files have {size / 2**20:.0f} MiB",
            where=str(file),
            expected=f"at most {MOST_SENT // 2**20} MiB, which are sent with every chunk",
            fix="thin the posterior or the table, or run without a cluster",
        )
    return found


def _client(scheduler: str | None, workers: int | None) -> Client:
    from distributed import Client, LocalCluster

    if scheduler is None:
        cluster = LocalCluster(
            n_workers=workers or 1,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.ERROR,
        )
        return _Owner(cluster)  # type: ignore[return-value]  # it is a client to its users
    try:
        client = Client(scheduler, timeout=PATIENCE)
        client.wait_for_workers(1, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError) as error:
        raise ScenarioError(
            f"no scheduler, or none with a worker, answers ({type(error).__name__}: {error})",
            where=f"scheduler {scheduler}",
            expected="an address such as tcp://10.0.0.1:8786",
            fix="start 'dask scheduler' and 'dask worker ADDRESS --nthreads 1'",
        ) from error
    return client


class _Owner:
    """A client of a cluster on this machine that ends with it."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def __enter__(self) -> Client:
        from distributed import Client

        self._client = Client(self._cluster)
        return self._client

    def __exit__(self, *exception: object) -> None:
        self._client.close()
        self._cluster.close()


def _hand_out(client: Client, tasks: list[Task], fixed: tuple[Mapping[str, bytes], str, int]) -> Iterator[Outcome]:
    """Keep every worker busy, and no more chunks under way than that takes: memory stays bounded."""
    from distributed import as_completed

    waiting = iter(tasks)
    attempts = dict.fromkeys(tasks, 0)
    under_way: dict[Future, Task] = {}

    def submit(task: Task) -> Future:
        name = f"scenario-{fixed[1][:8]}-{task[0]}-{task[1]}-{attempts[task]}"
        attempts[task] += 1
        future = client.submit(work_on, *fixed, task, key=name, pure=False)
        under_way[future] = task
        return future

    def room() -> int:
        return max(AHEAD * max(len(client.scheduler_info()["workers"]), 1) - len(under_way), 0)

    results = as_completed([submit(task) for task in islice(waiting, room())])
    for future in results:
        task = under_way.pop(future)
        if future.status == "finished":
            yield task, future.result()
        elif attempts[task] <= RETRIES:
            results.add(submit(task))
        else:
            yield task, _fault(future)
        for following in islice(waiting, room()):
            results.add(submit(following))


def _fault(future: Future) -> Exception:
    error = future.exception()
    return error if isinstance(error, Exception) else RuntimeError(f"the chunk was {future.status}")


def work_on(files: Mapping[str, bytes], fingerprint: str, width: int, task: Task) -> Result:
    """The work on a chunk, in a worker; the scenario stays in its memory for the next one.

    Args:
        files: The scenario's file and those that it names.
        fingerprint: What the scenario must be.
        width: Patients of a chunk.
        task: Arm and chunk.

    Raises:
        ScenarioError: This machine reads another scenario out of the files.
    """
    with _LOCK:  # threads of a worker would share the blocks of drawn patients
        if (fingerprint, width) not in _WORKS:
            _WORKS.clear()
            _WORKS[fingerprint, width] = _unpacked(files, fingerprint, width)
        return _WORKS[fingerprint, width].run(*task)


def _unpacked(files: Mapping[str, bytes], fingerprint: str, width: int) -> Work:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        scenario = read_scenario(paths[0])
    if scenario.fingerprint != fingerprint:
        raise ScenarioError(
            "a worker reads another scenario out of the same files",
            where="cluster",
            expected="one version of cytotwin, and of the models of its library, everywhere",
        )
    return Work(scenario, width)
