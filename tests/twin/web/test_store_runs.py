"""Runs as a page reads them: numbers of the store, of `compare_arms`, and nothing that is not whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import twin
from twin.errors import ScenarioError, StoreError
from twin.scenario.compare import compare_arms
from twin.scenario.store import FOLDER
from twin.web.store.asked import UNSAID
from twin.web.store.page import page
from twin.web.store.runs import LEVELS, Run, Runs
from twin.web.store.view import first_view

pytestmark = pytest.mark.xdist_group("stores")


@pytest.fixture(scope="module")
def runs(stores: tuple[Path, Path, Path]) -> Runs:
    return Runs(stores)


def test_distributions_are_those_of_the_patients(runs: Runs, stores: tuple[Path, Path, Path]) -> None:
    values = twin.open_scenario(stores[0])["half"].sel(arm="strong").to_numpy()
    known = np.sort(values[~np.isnan(values)])
    found = runs[0].distribution("half", "strong")
    assert 250 < found.known == len(known) < 300 and np.isinf(known).any()
    assert found.quantiles[0] == known[0] and found.quantiles[-1] == np.inf
    assert found.quantiles[LEVELS.tolist().index(0.5)] == known[-(-len(known) // 2) - 1]
    edges = tuple(np.linspace(0, 3, 7))
    counts = [np.sum((known >= a) & (known < b)) for a, b in zip(edges, edges[1:], strict=False)]
    np.testing.assert_allclose(runs[0].histogram("half", "strong", edges), np.array(counts) / len(known))


def test_comparisons_are_those_of_the_command(runs: Runs, stores: tuple[Path, Path, Path]) -> None:
    whole = compare_arms(stores[0], "strong")
    for found, expected in zip(runs[0].tables("strong", runs[0].arms), whole, strict=True):
        pd.testing.assert_frame_equal(found, expected)
    for kind, column, name in ((0, "endpoint", "peak"), (1, "criterion", "fast")):
        expected = whole[kind][whole[kind][column] == name].set_index("arm", drop=False)
        first = runs[0].compared("strong", name, ["none"])
        assert list(first) == ["none"]
        for arm, row in runs[0].compared("strong", name, runs[0].arms).items():
            pd.testing.assert_series_equal(pd.Series(row), expected.loc[arm], check_names=False, check_dtype=False)


def test_what_was_computed_is_kept_within_bounds(
    stores: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twin.web.store.runs.MOST_KEPT", 3)
    run = Run(stores[0])
    first = run.distribution("peak", "none")
    assert run.distribution("peak", "none") is first
    for top in range(1, 6):
        run.histogram("peak", "strong", (0.0, float(top)))
    again = run.distribution("peak", "none")
    assert again is not first and len(run._kept) == 3
    np.testing.assert_array_equal(again.quantiles, first.quantiles)


def test_who_failed(runs: Runs, stores: tuple[Path, Path, Path]) -> None:
    status = twin.open_scenario(stores[0])["status"].to_numpy()
    failures = runs[0].failures()
    assert {failure.arm for failure in failures} == {"strong"}
    assert sorted(n for failure in failures for n in failure.patients) == np.flatnonzero(status[2]).tolist()
    assert all(failure.reason for failure in failures) and runs[2].failures() == ()


def test_same_patients_and_others(runs: Runs) -> None:
    assert runs.paired(1) and not runs.paired(2)
    endpoints, criteria = runs.between(1, "none", "strong")
    assert endpoints["endpoint"].tolist() == ["half", "peak", "twice"] and criteria["criterion"].tolist() == ["fast"]
    assert runs.title(1, "none") == "none · again"


def test_the_zarr_folder_may_be_named(stores: tuple[Path, Path, Path]) -> None:
    assert Run(stores[0] / FOLDER).folder == stores[0]


def test_runs_of_one_name_are_told_apart(stores: tuple[Path, Path, Path], tmp_path: Path) -> None:
    shutil.copytree(stores[0], tmp_path / "copy")
    found = Runs([stores[0], tmp_path / "copy"])
    assert [run.label for run in found] == ["decay (1)", "decay (2)"]
    with pytest.raises(ScenarioError, match="named twice"):
        Runs([stores[0], stores[0] / FOLDER])
    with pytest.raises(ScenarioError, match="7 stores"):
        Runs([stores[0]] * 7)


def test_what_is_not_complete_is_refused(stores: tuple[Path, Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(stores[0], tmp_path / "copy")
    (copy / "checksums.json").unlink()
    with pytest.raises(ScenarioError, match=r"(?s)6 of 6 chunks are missing.*twin scenario resume"):
        Runs([copy])
    with pytest.raises(ScenarioError, match="no scenario was run into it"):
        Runs([tmp_path])


def test_what_is_damaged_or_goes_missing_is_refused(stores: tuple[Path, Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(stores[0], tmp_path / "copy")
    found = Runs([copy])
    chunk = copy / FOLDER / "values" / "c" / "1" / "0" / "0"
    content = chunk.read_bytes()
    chunk.unlink()
    found[0]._checked = -np.inf
    with pytest.raises(StoreError, match="a file of the store is missing"):
        found[0].distribution("half", "none")
    chunk.write_bytes(bytes(8) + content[8:])
    with pytest.raises(StoreError, match="not what the run wrote"):
        Runs([copy])


def test_no_file_elsewhere_is_read(stores: tuple[Path, Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(stores[0], tmp_path / "copy")
    chunk = copy / FOLDER / "values" / "c" / "1" / "0" / "0"
    chunk.rename(tmp_path / "elsewhere")
    chunk.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="links to something outside"):
        Runs([copy])
    chunk.unlink()
    (tmp_path / "elsewhere").rename(chunk.with_name("inside"))
    chunk.symlink_to(chunk.with_name("inside"))
    (tmp_path / "link").symlink_to(copy, target_is_directory=True)
    assert len(Runs([tmp_path / "link"])) == 1


def test_nothing_is_unpickled(stores: tuple[Path, Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(stores[0], tmp_path / "copy")
    values = copy / FOLDER / "values"
    meta = json.loads((values / "zarr.json").read_text())
    meta["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    (values / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="cannot be read"):
        Runs([copy])
    # An array of format 2, whose filters could unpickle, is none for a group of format 3.
    shutil.rmtree(values)
    values.mkdir()
    old = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "filters": [{"id": "pickle"}], "order": "C"}
    (values / ".zarray").write_text(json.dumps({**old, "compressor": None, "fill_value": 0}))
    with (
        pytest.warns(UserWarning, match="not recognized as a component"),
        pytest.raises(StoreError, match="there is no array 'values'"),
    ):
        Runs([copy])


def test_an_older_store_says_less(stores: tuple[Path, Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(stores[0], tmp_path / "copy")
    header = json.loads((copy / "scenario.json").read_text())
    assert set(header.pop("versions")) == {"cytotwin", "jax", "numpy"}
    (copy / "scenario.json").write_text(json.dumps(header))
    meta = json.loads((copy / FOLDER / "zarr.json").read_text())
    for key in ("endpoints", "experiments", "seed", "cohort_seed"):
        del meta["attributes"][key]
    (copy / FOLDER / "zarr.json").write_text(json.dumps(meta))
    found = Runs([copy])
    assert found[0].definition("peak") == "" and found[0].definition("twice") == "2 * peak"
    shown = page(found, first_view(found))
    assert UNSAID in shown and "not noted when the run began" in shown
