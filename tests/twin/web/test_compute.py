"""Courses, bands and endpoints against closed forms; posteriors that are read, and those that are refused."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import special

import twin
from tests.twin.web.conftest import HOSTILE, write_posterior
from twin.errors import ExperimentError, TwinError
from twin.study import Estimate, Noise, Prior, Study
from twin.web.compute import POINTS, compute, sample_times
from twin.web.downloads import bands_csv, patients_dataset, patients_netcdf
from twin.web.endpoints import SHARES, bands, endpoints_of, histogram
from twin.web.link import view_of
from twin.web.mathml import equations
from twin.web.palette import ON_TEXT, SCENARIOS, TWIN, contrast
from twin.web.people import DrawnPatients, SpreadPatients
from twin.web.posterior import read_posterior
from twin.web.served import Served, serve_model, serve_posterior
from twin.web.settings import NEW, Settings
from twin.web.tables import comparison, endpoint_table, parameters_table

pytestmark = pytest.mark.xdist_group("web_page")


def bateman(t: np.ndarray, ka: float, ke: float) -> np.ndarray:
    """10 mg into the depot at time 0 (Bateman 1910)."""
    return 10 * ka / (ka - ke) * (np.exp(-ke * t) - np.exp(-ka * t))


def test_the_typical_patient_is_that_of_the_values(served: Served) -> None:
    result = compute(served, served.first_view())
    course = result.courses["amount"]
    np.testing.assert_allclose(course.middle, bateman(result.times, 1.5, 0.2), rtol=2e-5, atol=1e-6)
    assert result.patients == 20 and len(course.endpoints.peak) == 20 and result.remark == ""
    # Peak of the Bateman function at ln(ka / ke) / (ka - ke); the grid is 0.12 h wide.
    typical = endpoints_of(result.times, course.middle[None])
    assert abs(typical.time_of_peak[0] - np.log(1.5 / 0.2) / 1.3) < 24 / (POINTS - 1)
    assert typical.area[0] == pytest.approx(np.trapezoid(bateman(result.times, 1.5, 0.2), result.times), rel=1e-5)


def test_without_spread_all_patients_are_the_typical_one(served: Served) -> None:
    result = compute(served, view_of("spread=0", served))
    assert np.ptp(result.courses["amount"].bands, axis=0).max() == 0.0


def test_every_dose_is_among_the_times(served: Served) -> None:
    view = view_of("dose=gut,1,0.333,0,1.7,3", served)
    times = sample_times(served, view.settings, 24.0)
    assert len(times) == POINTS + 3 and {0.333, 0.333 + 1.7, 0.333 + 3.4} <= set(times)
    late = view_of("dose=gut,1,99,0,1,3", served)
    assert len(sample_times(served, late.settings, 24.0)) == POINTS + 3  # one compiled program for all
    with pytest.raises(ExperimentError, match="the last time is -1"):
        sample_times(served, view.settings, -1.0)


def test_a_twin_shows_its_draws(calibrated: Served) -> None:
    posterior = calibrated.posterior
    assert posterior is not None and posterior.size == 60
    result = compute(calibrated, calibrated.first_view())
    taken = np.linspace(0, 59, 20).round().astype(int)
    courses = np.array([bateman(result.times, posterior.columns["ka"][i], posterior.columns["ke"][i]) for i in taken])
    np.testing.assert_allclose(
        result.courses["amount"].bands, np.quantile(courses, SHARES, axis=0), rtol=1e-4, atol=1e-5
    )
    assert list(calibrated.readings["value"]) == [3.0, 5.0]


def test_a_factor_multiplies_every_draw(calibrated: Served) -> None:
    assert calibrated.drawn is not None
    once, twice = (calibrated.drawn.columns(Settings(factors=f))["ka"] for f in ({}, {"ka": 2.0}))
    np.testing.assert_array_equal(twice, 2 * once)


def test_patients_of_a_twin_differ_as_calibrated(tmp_path: Path, model: twin.Model) -> None:
    path = write_posterior(tmp_path / "posterior.nc", model)
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        group = tree["posterior"].to_dataset().load()
    shape = group["ka"].shape
    group["ka_between"] = (("chain", "draw"), np.full(shape, 0.5))
    group["ka_eta[s1]"] = (("chain", "draw"), np.full(shape, 2.0))
    group = group.drop_vars("ke")
    group["ke[s1]"], group["ke[s2]"] = ((("chain", "draw"), np.full(shape, x)) for x in (0.1, 0.3))
    xr.DataTree.from_dict({"posterior": group}).to_netcdf(tmp_path / "two.nc", engine="h5netcdf")
    between = Prior("half_normal", scale=0.5)
    estimates = (Estimate("ka", 0.1, 10, per="subject", between=between), Estimate("ke", 0.01, 1, per="subject"))
    study = Study("mine", "oral", "none", {}, estimates, {"amount": Noise("normal", 0.1)})
    drawn = DrawnPatients(read_posterior(tmp_path / "two.nc"), model.parameter_names, study, 60)
    assert drawn.people == ("s1", "s2") and drawn.differ == ("ka",)
    one = drawn.columns(Settings(whom="s1"))
    np.testing.assert_allclose(one["ka"], group["ka"].to_numpy().ravel() * 10.0)  # 10 ** (0.5 * 2)
    assert set(one["ke"]) == {0.1} and set(drawn.columns(Settings(whom="s2"))["ke"]) == {0.3}
    new = drawn.columns(Settings(whom=NEW))["ka"]
    spread = np.std(np.log10(new / group["ka"].to_numpy().ravel()))
    assert abs(spread - 0.5) < 4 * 0.5 / np.sqrt(2 * 60)  # four standard errors of a standard deviation


def test_patients_of_a_twin_differ_between_occasions(tmp_path: Path, model: twin.Model) -> None:
    """Drawn with the rest where the subject was there, another occasion elsewhere; a fraction stays one."""
    path = write_posterior(tmp_path / "posterior.nc", model)
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        group = tree["posterior"].to_dataset().load()
    shape = group["ka"].shape
    for name, value in {"ka": 0.8, "ka_eta[s1]": 2.0, "ka_between_occasions": 0.4, "ka_kappa[s1, fed]": -1.0}.items():
        group[name] = (("chain", "draw"), np.full(shape, value))
    xr.DataTree.from_dict({"posterior": group}).to_netcdf(tmp_path / "visits.nc", engine="h5netcdf")
    spread = Prior("half_normal", scale=0.5)
    ka = Estimate("ka", 0.1, 0.9, scale="logit", per="subject", between=0.5, between_occasions=spread)
    study = Study("mine", "oral", "none", {}, (ka,), {"amount": Noise("normal", 0.1)})
    drawn = DrawnPatients(read_posterior(tmp_path / "visits.nc"), model.parameter_names, study, 60)
    logit = lambda settings: special.logit(drawn.columns(settings)["ka"]) - special.logit(0.8)  # noqa: E731
    np.testing.assert_allclose(logit(Settings(whom="s1", experiment="fed")), 0.5 * 2.0 - 0.4)
    elsewhere, new = logit(Settings(whom="s1", experiment="fasted")), logit(Settings(whom=NEW))
    # Four standard errors of a standard deviation and of a mean.
    assert abs(np.std(elsewhere) - 0.4) < 4 * 0.4 / np.sqrt(2 * 60)
    assert abs(np.mean(elsewhere) - 1.0) < 4 * 0.4 / np.sqrt(60)
    assert abs(np.std(new) - np.hypot(0.5, 0.4)) < 4 * np.hypot(0.5, 0.4) / np.sqrt(2 * 60)
    np.testing.assert_allclose(logit(Settings()), 0.0, atol=1e-12)


def test_the_spread_is_a_coefficient_of_variation() -> None:
    drawn = SpreadPatients(["k"], 8000).columns({"k": 2.0, "n": -1.0}, Settings(spread=30.0))
    k = drawn["k"]
    assert k[0] == 2.0 and drawn["n"] == -1.0
    assert np.std(k[1:]) / np.mean(k[1:]) == pytest.approx(0.3, rel=0.05)
    assert np.median(k[1:]) == pytest.approx(2.0, rel=0.02)


def test_bands_are_those_of_numpy() -> None:
    values = np.random.default_rng(3).standard_normal((37, 5))
    np.testing.assert_allclose(bands(values), np.quantile(values, SHARES, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(bands(values[:1]), np.repeat(values[:1], 5, axis=0))


def test_histograms_hold_everybody() -> None:
    shares, edges = histogram(np.array([1.0, 2.0, 2.0, 5.0]))
    assert shares.sum() == pytest.approx(100) and len(edges) == len(shares) + 1 == 4
    shares, edges = histogram(np.zeros(7))
    assert list(shares) == [100.0] and edges[0] < 0 < edges[1]


@pytest.mark.parametrize("content", [b"not netCDF", pickle.dumps({"posterior": 1}), b""])
def test_what_is_no_posterior_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "posterior.nc"
    path.write_bytes(content)
    with pytest.raises(ExperimentError, match="cannot be read"):
        read_posterior(path)


def test_posteriors_of_others_are_refused(tmp_path: Path, model: twin.Model) -> None:
    with pytest.raises(ExperimentError, match="no such file"):
        read_posterior(tmp_path / "nothing.nc")
    xr.Dataset({"a": 1.0}).to_netcdf(tmp_path / "plain.nc", engine="h5netcdf")
    with pytest.raises(ExperimentError, match="it has the groups none"):
        read_posterior(tmp_path / "plain.nc")
    other = write_posterior(tmp_path / "other.nc", model, {"model": "nobody's"})
    with pytest.raises(ExperimentError, match="the library does not have"):
        serve_posterior(other, None, until=None, patients=10)
    changed = write_posterior(tmp_path / "changed.nc", model, {"model_fingerprint": "0" * 64})
    with pytest.raises(ExperimentError, match="changed since"):
        serve_posterior(changed, model, until=None, patients=10)


def test_nobody_guesses_how_long(model: twin.Model) -> None:
    with pytest.raises(TwinError, match="nobody said how long"):
        serve_model(model, until=None, patients=10)


def test_downloads_are_what_is_drawn(served: Served) -> None:
    view = view_of("p.ka=3&scenario=name%3Dslow%26p.ka%3D1", served)
    result = compute(served, view)
    table = pd.read_csv(io.BytesIO(bands_csv(served, view)), comment="#")
    assert set(table["scenario"]) == {"now", "slow"}
    now = table[(table["scenario"] == "now") & (table["variable"] == "amount")]
    # The picture is a hundred-thousandth of its height off, the file is not.
    close = {"rtol": 1e-4, "atol": 1e-5 * float(np.max(result.courses["amount"].middle))}
    np.testing.assert_allclose(now["q50"], result.courses["amount"].bands[2], **close)
    ds = patients_dataset(served, view)
    assert ds.sizes == {"patient": 21, "time": len(result.times)} and float(ds["ka"][0]) == 3.0
    np.testing.assert_allclose(ds["amount"][0], result.courses["amount"].middle, **close)
    np.testing.assert_allclose(ds["amount"][0], bateman(result.times, 3.0, 0.2), rtol=1e-6, atol=1e-8)
    assert patients_netcdf(served, view)[1:4] == b"HDF" and "ka = 3" in ds.attrs["settings"]
    shown = endpoint_table(result)
    assert list(shown["endpoint"]) == ["peak", "time_of_peak", "area"]


def test_hostile_words_are_escaped(served: Served) -> None:
    view = served.first_view()
    result = compute(served, view)
    shown = parameters_table(served) + comparison(served, "amount", [(HOSTILE, TWIN, view.settings, result)])
    shown += "".join(block for _, block in equations(served.model))
    assert "<script" not in shown and "&lt;script&gt;" in shown


def test_words_can_be_read() -> None:
    for words, ground in ON_TEXT:
        assert contrast(words, ground) >= 4.5, (words, ground)
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in (*SCENARIOS, TWIN))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
