"""Every study of the library, written and read again, has the same log-likelihood."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import models
import twin
from calibration import Problem, read_petab, write_petab
from calibration.petab.errors import UnsupportedPetabError

RTOL = 1e-8
EXACT = {"rtol": 1e-10, "atol": 1e-12, "max_steps": 20_000}
"""Tight, so that a different order of states, which changes roundings and steps, stays far below `RTOL`."""

STUDIES = sorted(models.studies())
REFUSED = dict.fromkeys(
    ("hiv_actg315", "influenza_baccam2006", "sarscov2_woelfel2020", "warfarin_oreilly1968"), "below a detection limit"
)
"""PEtab has no readings below a limit of detection."""

pytestmark = pytest.mark.slow


def log_likelihood(problem: Problem) -> float:
    return float(problem.log_likelihood(problem.nominal))


@pytest.fixture(scope="module", params=STUDIES)
def study(request: pytest.FixtureRequest) -> tuple[str, Problem, float]:
    problem = Problem.from_study(request.param, **EXACT)
    return request.param, problem, log_likelihood(problem)


def test_through_sbml(study: tuple[str, Problem, float], tmp_path: Path) -> None:
    name, problem, expected = study
    twin.write_sbml(problem.model, tmp_path / "model.xml")
    again = twin.read_sbml(tmp_path / "model.xml")
    copy = Problem(
        again,
        problem.measurements,
        problem.estimates,
        problem.noise,
        experiments=problem.experiments,
        fixed=problem.fixed,
        name=name,
        **EXACT,
    )
    np.testing.assert_allclose(log_likelihood(copy), expected, rtol=RTOL)


def test_through_petab(study: tuple[str, Problem, float], tmp_path: Path) -> None:
    name, problem, expected = study
    with warnings.catch_warnings():
        # Priors that PEtab does not have are left out; the likelihood does not know them.
        warnings.simplefilter("ignore", twin.errors.TwinWarning)
        if name in REFUSED:
            with pytest.raises(UnsupportedPetabError, match=REFUSED[name]):
                write_petab(problem, tmp_path, priors="omit")
            return
        path = write_petab(problem, tmp_path, priors="omit")
    copy = read_petab(path, **EXACT)
    np.testing.assert_allclose(log_likelihood(copy), expected, rtol=RTOL)
