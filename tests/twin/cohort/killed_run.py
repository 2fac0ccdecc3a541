"""A run over a cohort, here and in a process of its own that kills itself or says how much memory it took."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile

import numpy as np

import twin
from twin.cohort.netcdf_store import NetcdfStore
from twin.cohort.zarr_store import ZarrStore

MODEL = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})


def run(path, **changed):
    """2000 subjects in chunks of 300."""
    cohort = twin.Cohort(2000, {"k": twin.LogNormal(1.0, 0.4)}, seed=4)
    summaries = [twin.Bands((0.1, 0.5, 0.9), resolution=64), twin.Count("A < 0.5", "half gone")]
    call = {"to": path, "summaries": summaries, "chunk": 300, "rtol": 1e-6, "max_steps": 512, "progress": False}
    return twin.simulate_cohort(MODEL, np.linspace(0.0, 2.0, 4), cohort, **call | changed)


def die() -> None:
    """What the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_writing() -> None:
    """In the middle of the fourth chunk: some variables are there, others not."""
    for store in (ZarrStore, NetcdfStore):

        def dying(self, start, parts, write=store.write):
            for number, (name, values) in enumerate(parts.items()):
                if start >= 900 and number == 2:
                    die()
                write(self, start, {name: values})

        store.write = dying


def die_before_the_journal() -> None:
    """After the fourth chunk: the state of the summaries is newer than the journal."""
    replace, made = os.replace, []

    def dying(source, target):
        made.append(target)
        if len(made) == 5:  # the first is that of the empty run
            die()
        replace(source, target)

    os.replace = dying


def peak(size: int, ending: str) -> float:
    """Most memory that the process has ever taken [MiB], after a run over so many subjects."""
    cohort = twin.Cohort(size, {"k": twin.LogNormal(1.0, 0.4)})
    with tempfile.TemporaryDirectory() as folder:
        call = {"to": f"{folder}/x.{ending}", "rtol": 1e-2, "atol": 1e-4, "max_steps": 64, "progress": False}
        twin.simulate_cohort(MODEL, np.linspace(0.0, 1.0, 41), cohort, summaries=[twin.Bands()], **call).close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[2] == "memory":
        print(peak(20_000, sys.argv[1]), peak(200_000, sys.argv[1]))
    else:
        die_while_writing() if sys.argv[2] == "while writing" else die_before_the_journal()
        run(sys.argv[1])
