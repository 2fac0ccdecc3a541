"""What the tests of the pages share: a small model that is not in the library, a twin of it, and finished scenarios."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import twin
from tests.twin.web.store_runs import run_all
from twin.web.served import Served, serve_model, serve_posterior

HOSTILE = "<script>alert(1)</script>"


def oral() -> twin.Model:
    return twin.Model(
        "oral",
        states=[twin.State("gut", 0.0, "mg", f"depot {HOSTILE}"), twin.State("body", 0.0, "mg")],
        parameters=[
            twin.Parameter("ka", 1.5, "1/hour", HOSTILE, source=HOSTILE),
            twin.Parameter("ke", 0.2, "1/hour"),
            twin.Parameter("shift", 0.0, "mg"),
        ],
        odes={"gut": "-ka * gut", "body": "ka * gut - ke * body"},
        observables=[twin.Observable("amount", "body + shift", "mg")],
        time_unit="hour",
        description=f"One dose {HOSTILE}",
        references=(HOSTILE,),
    )


@pytest.fixture(scope="session")
def model() -> twin.Model:
    return oral()


@pytest.fixture(scope="session")
def served(model: twin.Model) -> Served:
    given = twin.Experiment(doses=[twin.Bolus("gut", 10.0)])
    return serve_model(model, until=24.0, patients=20, given=given)


def write_posterior(path: Path, model: twin.Model, said: dict[str, str] | None = None) -> Path:
    """A file as `calibration.sample` makes it: 2 chains of 30 draws, with readings."""
    rng = np.random.default_rng(1)
    draws = {name: (("chain", "draw"), value * np.exp(0.1 * rng.standard_normal((2, 30)))) for name, value in
             (("ka", 1.5), ("ke", 0.2), ("sd", 0.3))}  # fmt: skip
    observed = xr.Dataset(
        {"reading": ("row", np.array([3.0, 5.0]))},
        coords={
            "experiment": ("row", np.array(["as given", "other"])), "subject": ("row", np.array(["1", "2"])),
            "observable": ("row", np.array(["amount", "amount"])), "time": ("row", np.array([1.0, 2.0])),
            "censoring": ("row", np.array(["", ""])),
        },
    )  # fmt: skip
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset(draws), "observed_data": observed})
    tree.attrs = {"model": model.name, "model_fingerprint": model.fingerprint, "problem": "mine", **(said or {})}
    tree.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture(scope="session")
def posterior_file(tmp_path_factory: pytest.TempPathFactory, model: twin.Model) -> Path:
    return write_posterior(tmp_path_factory.mktemp("posterior") / "posterior.nc", model)


@pytest.fixture(scope="session")
def calibrated(posterior_file: Path, model: twin.Model) -> Served:
    given = twin.Experiment(doses=[twin.Bolus("gut", 10.0)])
    return serve_posterior(posterior_file, model, until=24.0, patients=20, given=given)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Folders of three finished scenarios; the second has the patients of the first."""
    return run_all(tmp_path_factory.mktemp("stores"))
