"""Runs that are killed go on where they stood; memory does not grow with the number of subjects."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import killed_run
import numpy as np
import pytest

import twin
from twin.errors import ExperimentError

pytestmark = pytest.mark.xdist_group("cohort")


@pytest.mark.parametrize(("ending", "moment"), [("zarr", "while writing"), ("nc", "before the journal is replaced")])
def test_a_killed_run_goes_on(ending: str, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"x.{ending}"
    command = [sys.executable, killed_run.__file__, str(path), moment]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not path.exists()
    journal = json.loads((tmp_path / f"x.{ending}.running" / "journal.json").read_text())
    assert journal["done"] == 900

    with pytest.raises(ExperimentError, match="another call has begun to write it"):
        killed_run.run(path, rtol=1e-5)
    with pytest.raises(ExperimentError, match="begun with chunks of 300 subjects, not 200"):
        killed_run.run(path, chunk=200)
    simulated = []
    rows = twin.Cohort.rows
    with monkeypatch.context() as patch:
        patch.setattr(twin.Cohort, "rows", lambda self, a, b: (simulated.append(a), rows(self, a, b))[1])
        resumed = killed_run.run(path, chunk=None)
    assert simulated == [900, 1200, 1500, 1800]
    whole = killed_run.run(None, keep=True)
    with resumed:
        for name in whole.variables:
            np.testing.assert_array_equal(resumed[name].to_numpy(), whole[name].to_numpy(), err_msg=str(name))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ["zarr", "nc"])
def test_memory_does_not_grow(ending: str) -> None:
    done = subprocess.run(
        [sys.executable, killed_run.__file__, ending, "memory"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    small, large = map(float, done.stdout.split())
    # The trajectories of 200,000 subjects take 63 MiB; what may grow is what allocators keep.
    assert large - small < 25, (small, large)
