"""Frozen predictions: a hash over everything, a file that shows when it was changed."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pandas as pd
import pytest

from calibration.prospective.frozen import Frozen
from twin.errors import ProblemError


def test_the_file_holds_everything(frozen_of, tmp_path) -> None:
    frozen = frozen_of()
    sha256 = frozen.save(tmp_path / "f.nc")
    again = Frozen.load(tmp_path / "f.nc", sha256.upper())
    assert again.sha256 == sha256 == frozen.sha256
    assert again.about == frozen.about
    assert again.design.equals(frozen.design)
    np.testing.assert_array_equal(again.reading, frozen.reading)
    np.testing.assert_array_equal(again.baselines["mean"], frozen.baselines["mean"])


def test_the_hash_does_not_move() -> None:
    # Typed from one run: a published hash must still be reproducible by later versions.
    design = pd.DataFrame({"experiment": ["e"], "subject": ["1"], "observable": ["y"], "time": [1.5]})
    one = np.array([[0.25], [-0.0]])
    frozen = Frozen(design, one, one + 1, one + np.nan, one[0], np.array([-np.inf]), {"mean": one}, {"a": "µ", "b": 1})
    assert frozen.sha256 == "846fb74ed1ee086c1213c2ba6471892c7504cccafc1ec6cd1bdba1517a7668e8"


@pytest.mark.parametrize(
    "part", ["value", "scale", "reading", "sigma", "limit", "time", "subject", "about", "baseline"]
)
def test_every_part_is_hashed(frozen_of, part: str) -> None:
    frozen = frozen_of()
    if part in ("time", "subject"):
        design = frozen.design.copy()
        design.loc[2, part] = {"time": np.nextafter(3.0, 4.0), "subject": "2"}[part]
        changed = dataclasses.replace(frozen, design=design)
    elif part == "about":
        changed = dataclasses.replace(frozen, about={**frozen.about, "frozen_at": "2026-01-02T03:04:06+00:00"})
    elif part == "baseline":
        changed = dataclasses.replace(frozen, baselines={"spline": frozen.baselines["mean"]})
    else:
        values = getattr(frozen, part).copy()
        values.flat[-1] = np.nextafter(1.0, 2.0)
        changed = dataclasses.replace(frozen, **{part: values})
    assert changed.sha256 != frozen.sha256


def test_a_changed_file_is_refused(frozen_of, tmp_path) -> None:
    path = tmp_path / "f.nc"
    frozen_of().save(path)
    with h5py.File(path, "r+") as file:
        file["reading"][0, 0] += 1e-12
    with pytest.raises(ProblemError, match="this one was changed or damaged after it was written"):
        Frozen.load(path)


def test_other_predictions_than_the_published_are_refused(frozen_of, tmp_path) -> None:
    path = tmp_path / "f.nc"
    frozen_of().save(path)
    with pytest.raises(ProblemError, match=r"asked for was abc…(.|\n)*frozen at 2026-01-02"):
        Frozen.load(path, "abc")


def test_what_is_no_frozen_file_is_refused(tmp_path) -> None:
    path = tmp_path / "f.nc"
    with pytest.raises(ProblemError, match="there is no such file"):
        Frozen.load(path)
    path.write_text("predictions")
    with pytest.raises(ProblemError, match="it is no netCDF file"):
        Frozen.load(path)


def test_a_file_without_a_part_is_refused(frozen_of, tmp_path) -> None:
    path = tmp_path / "f.nc"
    frozen_of().save(path)
    with h5py.File(path, "r+") as file:
        del file["sigma"]
    with pytest.raises(ProblemError, match="a part of it is missing"):
        Frozen.load(path)
