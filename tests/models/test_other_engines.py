"""Models written as SBML run in other engines: libroadrunner (CVODES) and COPASI (LSODA) give our trajectories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import models
import twin
from twin import library

TIMES = np.linspace(0.0, 5.0, 26)
# Their tolerance is 1e-10 per step and ours 1e-9; what adds up over a course stays a thousand times below this.
AGREE = 1e-6

# The SWIG wrappers of libroadrunner, libsbml and COPASI.
SWIG = pytest.mark.filterwarnings("ignore:builtin type .*[sS]wig.* has no __module__ attribute:DeprecationWarning")
pytestmark = [pytest.mark.slow, SWIG, pytest.mark.filterwarnings("ignore::DeprecationWarning:basico")]


def _roadrunner(path: Path, names: tuple[str, ...]) -> np.ndarray:
    roadrunner = pytest.importorskip("roadrunner", reason="libroadrunner is not installed")
    engine = roadrunner.RoadRunner(str(path))
    engine.integrator.setValue("relative_tolerance", 1e-10)
    engine.integrator.setValue("absolute_tolerance", 1e-14)
    engine.integrator.setValue("maximum_num_steps", 100_000)
    return np.asarray(engine.simulate(times=TIMES.tolist(), selections=["time", *names]))[:, 1:].T


def _copasi(path: Path, names: tuple[str, ...]) -> np.ndarray:
    basico = pytest.importorskip("basico", reason="COPASI (copasi-basico) is not installed")
    loaded = basico.load_model_from_string(path.read_text(encoding="utf-8"))
    try:
        course = basico.run_time_course(
            values=TIMES.tolist(), use_sbml_id=True, r_tol=1e-10, a_tol=1e-14, method="deterministic", model=loaded
        )
        return np.array([course[name].to_numpy() for name in names])
    finally:
        basico.remove_datamodel(loaded)


ENGINES = {"libroadrunner": _roadrunner, "copasi": _copasi}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", library.list_models())
def test_a_written_model_runs_elsewhere(name: str, engine: str, tmp_path: Path) -> None:
    model = models.load(name)
    path = tmp_path / f"{name}.xml"
    twin.write_sbml(model, path)
    courses = ENGINES[engine](path, model.state_names)
    ours = twin.simulate(model, TIMES, variables=model.state_names, rtol=1e-9)
    for state, course in zip(model.state_names, courses, strict=True):
        scale = max(float(np.abs(course).max()), 1e-300)
        np.testing.assert_allclose(ours[state] / scale, course / scale, rtol=0, atol=AGREE, err_msg=state)
