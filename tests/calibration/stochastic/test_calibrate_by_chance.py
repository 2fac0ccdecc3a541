"""`twin calibrate --likelihood`: which sampler is asked for what, what is written and said, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from calibration.predict import draws_to_tree
from calibration.stochastic import (
    langevin_posterior,
    linear_noise_posterior,
    master_equation_posterior,
    pseudo_marginal,
)
from twin.cli import main

PLAIN = [
    "--model",
    "mrna_golding",
    "--data",
    "cells.csv",
    "--estimate",
    "k_on",
    "--estimate",
    "k_tx",
    "--noise",
    "normal:1",
]
SHORT = ["--chains", "2", "--warmup", "30", "--draws", "20", "--seed", "3", "--quiet"]


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")
    monkeypatch.chdir(tmp_path)
    times = np.arange(20.0, 140.0, 20.0)
    counts = [2.0, 5.0, 3.0, 6.0, 7.0, 4.0]
    pd.DataFrame({"time": times, "observable": "mrna", "value": counts}).to_csv("cells.csv", index=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple]:
    """The samplers answer at once with draws around the nominal vector; what they are asked is kept."""
    calls = {}

    def answer(name: str, attrs: dict):
        def sampler(problem, seed=0, **settings):
            calls[name] = (seed, settings)
            theta = problem.nominal + 0.1 * np.random.default_rng(seed).normal(size=(2, 20, 2))
            stats = (
                {"diverging": np.zeros((2, 20), bool)} if name != "particles" else {"accepted": np.ones((2, 20), bool)}
            )
            tree = draws_to_tree(problem, theta, seed=seed, predictive=False, sample_stats=stats)
            tree.attrs |= {"sampling_seconds": 1.0, **attrs}
            return tree

        return sampler

    monkeypatch.setattr(linear_noise_posterior, "sample_linear_noise", answer("linear", {}))
    monkeypatch.setattr(master_equation_posterior, "sample_master_equation", answer("master", {}))
    monkeypatch.setattr(langevin_posterior, "sample_langevin", answer("langevin", {}))
    attrs = {"particles": 37, "log_likelihood_variance": 1.04, "acceptance_rate": 0.25}
    monkeypatch.setattr(pseudo_marginal, "sample_pseudo_marginal", answer("particles", attrs))
    return calls


def test_linear_noise(asked: dict[str, tuple], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", *PLAIN, *SHORT, "--likelihood", "linear-noise", "--out", "results"]) == 0
    assert asked == {"linear": (3, {"chains": 2, "warmup": 30, "draws": 20, "quiet": True})}
    shown = capsys.readouterr()
    assert "0 divergent" in shown.out
    assert "no twin is written" in shown.err
    assert {path.name for path in Path("results").iterdir()} == {"posterior.nc", "summary.csv"}


def test_particle_filter(asked: dict[str, tuple], capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--likelihood", "particle-filter", "--particles", "37"]
    assert main(["calibrate", *PLAIN, *SHORT, *wanted, "--out", "results"]) == 0
    assert asked["particles"] == (3, {"particles": 37, "chains": 2, "warmup": 30, "draws": 20, "quiet": True})
    shown = capsys.readouterr().out
    assert "25% of the steps accepted" in shown
    assert "37 particles: the log-likelihood's estimates have variance 1" in shown
    with xr.open_datatree("results/posterior.nc", engine="h5netcdf") as tree:
        assert tree.attrs["particles"] == 37


def test_master_equation_and_langevin(asked: dict[str, tuple]) -> None:
    lengths = {"chains": 2, "warmup": 30, "draws": 20, "quiet": True}
    wanted = ["--likelihood", "master-equation", "--most", "on=1", "--most", "m=60"]
    assert main(["calibrate", *PLAIN, *SHORT, *wanted, "--out", "results"]) == 0
    assert asked["master"] == (3, {"most": {"on": 1, "m": 60}, **lengths})
    assert main(["calibrate", *PLAIN, *SHORT, "--likelihood", "langevin", "--dt", "0.5", "--out", "results"]) == 0
    assert asked["langevin"] == (3, {"dt": 0.5, **lengths})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--likelihood", "linear-noise", "--no-sample"], "--no-sample is given with --likelihood linear-noise"),
        (["--likelihood", "linear-noise", "--particles", "5"], "--particles is given with --likelihood linear-noise"),
        (["--particles", "5"], "--particles is given with --likelihood course"),
        (["--likelihood", "langevin", "--most", "m=5"], "--most is given with --likelihood langevin"),
        (["--likelihood", "linear-noise", "--dt", "1"], "--dt is given with --likelihood linear-noise"),
        (["--likelihood", "master-equation"], "--most is missing"),
    ],
)
def test_options_that_do_not_fit(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", *PLAIN, *given, "--out", "results"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("results").exists()
