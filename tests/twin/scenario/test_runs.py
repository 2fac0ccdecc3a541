"""Runs that are killed, spoilt or refused: what is finished stays, and the store ends with the same bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scenarios
from scenario_files import content

import twin
from twin.errors import ScenarioError, SimulationError, StoreError, TwinWarning
from twin.scenario import durable
from twin.scenario.compare import compare_arms
from twin.scenario.results import open_scenario
from twin.scenario.run import status_of
from twin.scenario.work import Work

pytestmark = pytest.mark.xdist_group("scenario")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("scenario") / "whole"
    scenarios.decay().run(folder, **scenarios.CALL)
    return folder


def test_endpoints_against_closed_forms(whole: Path) -> None:
    ds = twin.open_scenario(whole)
    k = ds["k"].to_numpy()
    assert ds.attrs["complete"] and status_of(whole).done == (4, 4)
    # rtol 1e-6 per step; areas by the trapezoidal rule, whose error is below k^2 dt^2 / 12 of the area.
    np.testing.assert_allclose(ds["late"][0], np.exp(-2.1 * k), rtol=1e-4)
    late = np.exp(-2.1 * k) + np.exp(-1.1 * k)
    np.testing.assert_allclose(ds["late"][1], late, rtol=1e-4)
    area = (1 - np.exp(-3 * k)) / k
    assert (np.abs(ds["area"][0] / area - 1) < k**2 * 0.1**2 / 12 + 1e-4).all()
    np.testing.assert_allclose(ds["ratio"], ds["area"] / ds["peak"])
    np.testing.assert_array_equal(ds["fast"] == 1, ds["half"] < 0.7)
    quantiles = np.quantile(np.exp(-2.1 * k), [0.1, 0.5, 0.9])
    place = int(np.argmin(np.abs(ds["time"].to_numpy() - 2.1)))
    # 64 marks for 1000 patients: ranks are known to 1/64.
    assert float(ds["band_rank_error"].max()) < 1 / 64
    np.testing.assert_allclose(ds["band"][0, 0, :, place], quantiles, atol=0.02)


@pytest.mark.parametrize("moment", ["before the journal", "in a chunk", "in the bands", "half a line"])
def test_killed_and_resumed(moment: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends where the exception stands; `test_killed_for_real` kills one with a signal."""

    class Killed(BaseException):
        pass

    folder, replace, append, seen = tmp_path / "x", os.replace, durable.append_line, []

    def dying_replace(source, target):
        name = "bands-" if moment == "in the bands" else "values/c/" if moment == "in a chunk" else "nothing"
        if name in Path(target).as_posix():
            seen.append(target)
        if len(seen) == 4:
            raise Killed
        replace(source, target)

    def dying_append(path, line):
        seen.append(line)
        if len(seen) == 4:
            if moment == "half a line":
                with path.open("a") as file:
                    file.write(line[:40])
            raise Killed
        append(path, line)

    with monkeypatch.context() as patch:
        if moment in ("before the journal", "half a line"):
            patch.setattr("twin.scenario.journal.append_line", dying_append)
        else:
            patch.setattr(os, "replace", dying_replace)
        with pytest.raises(Killed):
            scenarios.decay().run(folder, **scenarios.CALL)
    assert sum(status_of(folder).done) == 3 and not status_of(folder).complete
    scenarios.decay().run(folder, progress=False)
    assert content(folder) == content(whole)


def test_a_full_disk(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, fsync, calls = tmp_path / "x", os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"No space left on device(.|\n)*free space, then resume"):
            scenarios.decay().run(folder, **scenarios.CALL)
    assert not status_of(folder).complete
    assert not [path for path in folder.rglob("*.part") if path.is_file()]
    scenarios.decay().run(folder, progress=False)
    assert content(folder) == content(whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full is Linux's")
def test_a_journal_on_a_full_device(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No space left on device"):
        durable.append_line(Path("/dev/full"), "line")


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # The super-user may write anywhere, so the refusal is made here.
    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(StoreError, match=r"Permission denied(.|\n)*write to another folder"):
        scenarios.decay().run(tmp_path / "x", **scenarios.CALL)


def test_damaged_chunks_are_computed_again(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    scenarios.decay().run(folder, **scenarios.CALL)
    values = folder / "endpoints.zarr" / "values" / "c" / "1" / "0" / "2"
    spoilt = bytearray(values.read_bytes())
    spoilt[17] ^= 1
    values.write_bytes(bytes(spoilt))
    (folder / "endpoints.zarr" / "parameters" / "c" / "0" / "3").unlink()
    (folder / "endpoints.zarr" / "values" / "zarr.json").write_text("{")
    with pytest.warns(TwinWarning, match="2 of 8 chunks are damaged"):
        scenarios.decay().run(folder, progress=False)
    assert content(folder) == content(whole)
    band = folder / "endpoints.zarr" / "band" / "c" / "0" / "0" / "0" / "0"
    band.write_bytes(b"")
    scenarios.decay().run(folder, progress=False)
    assert content(folder) == content(whole)


def test_a_finished_store_that_lost_a_file_is_no_store_of_failed_patients(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(whole, folder)
    arrays = folder / "endpoints.zarr"
    endpoints, _ = compare_arms(folder)
    assert len(endpoints) and not endpoints["failed"].any()
    for lost in ("values/c/1/0/2", "status/c/0/3", "parameters/c/0/0", "band/c/1/0/0/0"):
        kept = (arrays / lost).read_bytes()
        (arrays / lost).unlink()
        with pytest.raises(StoreError, match=r"a file of the store is missing(.|\n)*twin scenario resume"):
            open_scenario(folder)
        (arrays / lost).write_bytes(kept)
    spoilt = bytearray((arrays / "values/c/1/0/2").read_bytes())
    spoilt[17] ^= 1
    (arrays / "values/c/1/0/2").write_bytes(bytes(spoilt))
    open_scenario(folder)
    with pytest.raises(StoreError, match="not what the run wrote"):
        compare_arms(folder)


def test_some_patients_fail(tmp_path: Path) -> None:
    """About one in a hundred: their solution ends before the last time."""
    model = twin.Model("blow", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "k*A^2"})
    cohort = twin.Cohort(1000, {"k": twin.LogNormal(0.1, 0.4)}, seed=1)
    peak = {"peak": twin.Endpoint("peak", "A")}
    arms = {"plain": {}, "gentle": {"k": 0.1}}
    scenario = twin.Scenario(
        model, cohort, [0.0, 1.0, 4.0], peak, arms=arms, responders={"low": "peak < 2"}, rtol=1e-6, max_steps=512
    )
    with pytest.warns(TwinWarning, match=r"arm 'plain': \d+ of 1,000 patients failed .*they are NaN"):
        ds = scenario.run(tmp_path, **scenarios.CALL)
    doomed = ds["k"].to_numpy() * 4.0 > 1.0
    assert 5 <= doomed.sum() <= 25
    np.testing.assert_array_equal(np.isnan(ds["peak"][0]), doomed)
    np.testing.assert_array_equal(ds["status"][0] > 0, doomed)
    np.testing.assert_array_equal(ds["low"][0] == -1, doomed)
    assert not np.isnan(ds["peak"][1]).any() and ds.attrs["failed"] == doomed.sum()
    assert sum(status_of(tmp_path).failed["0"].values()) == doomed.sum()
    np.testing.assert_allclose(ds["peak"][0][~doomed], 1 / (1 - 4 * ds["k"][~doomed]), rtol=1e-3)


def test_a_clock_that_jumps(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = iter(np.tile([2e9, 0.0, -5e8, 1e3], 10_000).tolist())
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    scenarios.decay().run(tmp_path / "x", **scenarios.CALL)
    assert status_of(tmp_path / "x").complete
    assert content(tmp_path / "x") == content(whole)


def test_another_scenario_is_refused(whole: Path, tmp_path: Path) -> None:
    for changed in (scenarios.decay(rtol=1e-5), scenarios.decay(500), scenarios.decay(responders={})):
        with pytest.raises(ScenarioError, match=r"belongs to another scenario(.|\n)*undo the change"):
            changed.run(whole, progress=False)
    with pytest.raises(ScenarioError, match="begun with chunks of 300 patients, not 200"):
        scenarios.decay().run(whole, chunk=200, progress=False)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ScenarioError, match=r"holds something else \(notes.txt\)"):
        scenarios.decay().run(tmp_path, progress=False)


def test_a_chunk_that_raises_errors(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, tried = Work.run, []

    def failing(self, arm, chunk):
        if (arm, chunk) == (1, 2):
            tried.append(chunk)
            raise MemoryError("no room")
        return run(self, arm, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "run", failing)
        with pytest.raises(SimulationError, match=r"1 chunks raised errors(.|\n)*arm 'dose=1', patients from 600 on"):
            scenarios.decay().run(tmp_path / "x", **scenarios.CALL)
    assert len(tried) == 2
    assert status_of(tmp_path / "x").done == (4, 3)
    lines = (tmp_path / "x" / "failed-1-2.csv").read_text().splitlines()
    assert "MemoryError: no room" in lines[0] and lines[1] == "k" and len(lines) == 302
    scenarios.decay().run(tmp_path / "x", progress=False)
    assert content(tmp_path / "x") == content(whole)


def test_the_journal_is_plain(whole: Path) -> None:
    sums = json.loads((whole / "checksums.json").read_text())
    assert [line[:2] for line in sums["chunks"]] == [[arm, chunk] for arm in (0, 1) for chunk in range(4)]
    assert json.loads((whole / "scenario.json").read_text())["width"] == 300


@pytest.mark.slow
def test_killed_for_real(whole: Path, tmp_path: Path) -> None:
    """SIGKILL once a few chunks are there."""
    code = "import scenarios, sys; scenarios.decay().run(sys.argv[1], **scenarios.CALL)"
    folder = tmp_path / "x"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=Path(__file__).parent)
    journal = folder / "journal.jsonl"
    while process.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") >= 2):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 2 <= sum(status_of(folder).done) <= 8
    scenarios.decay().run(folder, progress=False)
    assert content(folder) == content(whole)
