"""Pictures of simulations: labels, bands, refusals, and no trace in the user's pyplot."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from twin.errors import ExperimentError
from twin.plot import plot_dataset


def dataset(draws: int = 0) -> xr.Dataset:
    """Two variables over time, with or without draws."""
    time = np.linspace(0.0, 4.0, 9)
    rates = np.linspace(0.5, 2.0, draws)[:, None] if draws else 1.0
    values = np.exp(-rates * time)
    dims = ("draw", "time") if draws else ("time",)
    data = {"A": (dims, values, {"units": "milligram/liter"}), "US$": (dims, 1.0 - values)}
    return xr.Dataset(data, {"time": ("time", time, {"units": "hour"})}, {"model": "decay"})


def test_one_panel_per_variable_with_units():
    figure = plot_dataset(dataset())
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["A [milligram/liter]", r"US\$"]
    assert all(axes.get_xlabel() == "time [hour]" for axes in figure.axes)
    assert figure.get_suptitle() == "decay"


def test_draws_become_a_median_and_two_bands():
    ds = dataset(draws=21)
    ds["A"][3] = np.nan
    axes = plot_dataset(ds, ["A"]).axes[0]
    assert len(axes.collections) == 2
    whole = ds["A"].to_numpy()[np.arange(21) != 3]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.median(whole, axis=0))


def test_logarithmic_axes_by_name():
    figure = plot_dataset(dataset(), log=["A"])
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]


def test_without_positive_values_the_axis_stays_linear():
    assert plot_dataset(-dataset(), ["A"], log=True).axes[0].get_yscale() == "linear"


def test_it_can_be_saved(tmp_path):
    plot_dataset(dataset(draws=3)).savefig(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")


def test_bad_variables_are_refused():
    with pytest.raises(ExperimentError, match="no variable 'B'"):
        plot_dataset(dataset(), ["B"])
    with pytest.raises(ExperimentError, match="nothing to draw"):
        plot_dataset(dataset(), [])
