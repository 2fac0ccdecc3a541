"""Results and tables come back from every kind of file as they were, with their units."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from twin.errors import TwinError
from twin.exchange.results import write_results

TIMES, DRAWS = np.array([0.0, 0.5, 2.0]), np.arange(2)


@pytest.fixture
def result() -> xr.Dataset:
    """A dataset of the shape that `twin.simulate` gives."""
    values = np.array([[1.0, 1e-12, np.nan], [3.0, 4.0, 5.0]])
    return xr.Dataset(
        {
            "A": (("draw", "time"), values, {"units": "nanomolar"}),
            "A + B": (("draw", "time"), 2 * values),
            "A - B": (("draw", "time"), 3 * values),
            "k": ("draw", np.array([0.1, 0.2]), {"units": "1/hour"}),
        },
        {"time": ("time", TIMES, {"units": "hour"}), "draw": DRAWS},
        {"model": "decay", "rtol": 1e-8, "failed": np.int64(1)},
    )


def test_parquet_opens_in_pandas_with_units(result: xr.Dataset, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    path = write_results(result, tmp_path / "run.parquet")
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["draw", "time", "A", "A + B", "A - B", "k"] and len(frame) == 6
    np.testing.assert_array_equal(frame["A"], result["A"].to_numpy().ravel())
    np.testing.assert_array_equal(frame["time"], np.tile(TIMES, 2))
    np.testing.assert_array_equal(frame["k"], np.repeat([0.1, 0.2], 3))
    schema = pq.read_schema(path)
    assert schema.field("A").metadata[b"units"] == b"nanomolar" and schema.field("time").metadata[b"units"] == b"hour"
    assert json.loads(schema.metadata[b"cytotwin"]) == {"model": "decay", "rtol": 1e-8, "failed": 1}


def test_netcdf_keeps_expressions_apart(result: xr.Dataset, tmp_path: Path) -> None:
    path = write_results(result, tmp_path / "run.nc")
    with xr.open_dataset(path, engine="h5netcdf") as back:
        assert set(back.data_vars) == {"A", "A_B", "A_B_", "k"}
        assert back["A_B"].attrs["expression"] == "A + B" and back["A_B_"].attrs["expression"] == "A - B"
        np.testing.assert_array_equal(back["A_B_"], result["A - B"])
    assert "expression" not in result["A + B"].attrs  # what was given stays as it was


def test_csv_has_units_in_its_head(result: xr.Dataset, tmp_path: Path) -> None:
    frame = pd.read_csv(write_results(result, tmp_path / "run.csv"))
    assert list(frame.columns)[:3] == ["draw", "time [hour]", "A [nanomolar]"]
    np.testing.assert_allclose(frame["A [nanomolar]"], result["A"].to_numpy().ravel(), rtol=1e-15)


@pytest.mark.parametrize("kind", ["parquet", "nc", "csv"])
def test_tables_of_endpoints(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    table = pd.DataFrame({"endpoint": ["peak", "area é"], "patient": [0, 1], "value": [1.5, np.nan]})
    table.attrs = {"units": {"value": "mg/l"}, "model": "decay"}
    path = write_results(table, tmp_path / f"endpoints.{kind}")
    if kind == "nc":
        with xr.open_dataset(path, engine="h5netcdf") as back:
            assert back["value"].attrs["units"] == "mg/l" and back.attrs["model"] == "decay"
            frame = back.to_dataframe().reset_index(drop=True)
    else:
        frame = pd.read_parquet(path) if kind == "parquet" else pd.read_csv(path)
        frame.columns = [name.partition(" [")[0] for name in frame.columns]
    assert list(frame["endpoint"]) == ["peak", "area é"] and list(frame["patient"]) == [0, 1]
    np.testing.assert_array_equal(frame["value"], [1.5, np.nan])


def test_what_cannot_be_written_is_refused(result: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TwinError, match=r"called 'run.xlsx'"):
        write_results(result, tmp_path / "run.xlsx")
    with pytest.raises(TwinError, match="there is no folder"):
        write_results(result, tmp_path / "nowhere" / "run.nc")
    with pytest.raises(TwinError, match="the result is a dict"):
        write_results({}, tmp_path / "run.nc")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TwinError, match=r"cytotwin\[export\]"):
        write_results(result, tmp_path / "run.parquet")
    assert list(tmp_path.iterdir()) == []
