"""``solver="auto"`` takes the faster method, says which, and changes nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import twin
from calibration import Problem
from twin.cohort.journal import Journal
from twin.errors import ExperimentError, UnsupportedModelError
from twin.solve import Method, Tolerance

MILD = twin.Model(
    "lotka_volterra",
    [twin.State("prey", 10.0), twin.State("predator", 5.0)],
    [twin.Parameter("birth", 1.5), twin.Parameter("death", 3.0)],
    odes={"prey": "birth*prey - prey*predator", "predator": "prey*predator - death*predator"},
)
STIFF = twin.Model(
    "van_der_pol",
    [twin.State("x", 2.0), twin.State("v", 0.0)],
    [twin.Parameter("mu", 1000.0)],
    odes={"x": "v", "v": "mu*((1 - x^2)*v) - x"},
    observables=[twin.Observable("seen", "x")],
)
DECAY = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "1 - k*A"})
CONSTRAINED = twin.Model(
    "constrained",
    [twin.State("A", 1.0), twin.State("B", 1.0)],
    [twin.Parameter("k", 1.0)],
    odes={"A": "-k*A"},
    constraints={"B": "A - B"},
)
TS = np.linspace(0.0, 3.0, 4)


@pytest.mark.parametrize(("model", "taken"), [(MILD, "tsit5"), (STIFF, "rodas5p"), (CONSTRAINED, "rodas5p")])
def test_the_faster_method_is_taken(model: twin.Model, taken: str) -> None:
    ds = twin.simulate(model, TS * 100 if model is STIFF else TS, solver="auto")
    assert (ds.attrs["solver"], ds.attrs["solver_chosen"]) == (taken, "auto")


def test_a_run_to_steady_state_is_for_rodas5p() -> None:
    settled = twin.Experiment(equilibrate=twin.Equilibration())
    assert twin.simulate(DECAY, TS, experiment=settled, solver="auto").attrs["solver"] == "rodas5p"


def test_numbers_are_those_of_the_method_named() -> None:
    draws = {"birth": np.linspace(1.0, 2.0, 20)}
    found = [twin.simulate(MILD, TS, draws, solver=name) for name in ("auto", "auto", "tsit5")]
    assert [ds.attrs["solver"] for ds in found] == ["tsit5"] * 3
    assert "solver_chosen" not in found[2].attrs
    for name in ("prey", "predator"):
        np.testing.assert_array_equal(found[0][name], found[1][name])
        np.testing.assert_array_equal(found[0][name], found[2][name])


def test_stiff_draws_among_mild_ones_count() -> None:
    draws = {"mu": np.array([*[1.0] * 15, 1000.0])}
    assert twin.simulate(STIFF, 20 * TS, draws, solver="auto").attrs["solver"] == "rodas5p"
    assert twin.simulate(STIFF, 20 * TS, {"mu": draws["mu"][:15]}, solver="auto").attrs["solver"] == "tsit5"


def test_the_trial_of_the_explicit_method_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    from twin.solve import choice

    limits: list[tuple[str, int]] = []
    integrated = choice._integrated

    def spied(system: object, method: Method, tolerance: Tolerance, schedule: object, most: np.ndarray):
        limits.append((method.name, int(most[0])))
        return integrated(system, method, tolerance, schedule, most)

    monkeypatch.setattr(choice, "_integrated", spied)
    twin.simulate(STIFF, 100 * TS, solver="auto", max_steps=100_000)
    (first, whole), (second, cut) = limits
    assert (first, whole, second) == ("rodas5p", 100_000, "tsit5")
    assert cut < 1000


def test_a_problem_keeps_the_method_of_its_nominal_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"time": [100.0, 200.0], "observable": "seen", "value": [1.9, 1.8]})
    estimates = [twin.Estimate("mu", 1.0, 2000.0, nominal=1000.0)]
    arguments = (STIFF, table, estimates, twin.Noise("normal", 0.1))
    problem = Problem(*arguments, solver="auto")
    assert problem.method.name == "rodas5p"
    assert repr(problem).endswith("rodas5p)")
    # Chosen once: nothing is tried again, though another vector would have another method.
    monkeypatch.setattr("calibration.problem.choose", None)
    variants = [
        problem.with_tolerance(Tolerance(1e-5, 1e-7, 1500)),
        problem.with_nominal({"mu": 1.0}),
        problem.with_rows(np.array([True, False])),
        problem.at(problem.measurements.table),
    ]
    assert {each.method.name for each in variants} == {"rodas5p"}
    monkeypatch.undo()
    mild = Problem(STIFF, table, [twin.Estimate("mu", 1.0, 2000.0, nominal=1.0)], arguments[3], solver="auto")
    named = Problem(STIFF, table, mild.estimates, arguments[3], solver="tsit5")
    assert mild.method is named.method
    assert float(mild.log_likelihood(mild.nominal)) == float(named.log_likelihood(mild.nominal))


def test_a_cohort_goes_on_with_the_method_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = twin.Cohort(40, {"birth": twin.LogNormal(1.5, cv=0.2)})

    def run(**changed):
        call = {"to": tmp_path / "x.nc", "chunk": 20, "progress": False, "solver": "auto"}
        return twin.simulate_cohort(MILD, TS, cohort, **call | changed)

    write, entries = Journal.write, []

    def interrupted(self, entry, state):
        entries.append(write(self, entry, state))
        if entry.done:
            raise KeyboardInterrupt
        return entries[-1]

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert [entry.solver for entry in entries] == ["tsit5", "tsit5"]
    # As if another machine had chosen otherwise: the run that is under way decides.
    journal = tmp_path / "x.nc.running" / "journal.json"
    journal.write_text(json.dumps(json.loads(journal.read_text()) | {"solver": "rodas5p"}))
    with monkeypatch.context() as patch:
        patch.setattr("twin.simulation.choose", None)
        run().close()
        with run() as finished:  # opened, not simulated
            second = finished.prey.to_numpy()[20:]
    expected = run(to=None, solver="rodas5p").prey.to_numpy()[20:]
    np.testing.assert_array_equal(second, expected)
    whole = run(to=None)
    assert (whole.attrs["solver"], whole.attrs["solver_chosen"]) == ("tsit5", "auto")


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(ExperimentError, match="no integration method 'euler'\n.*auto, rodas5p, tsit5"):
        twin.simulate(DECAY, TS, solver="euler")
    with pytest.raises(ExperimentError, match="did you mean 'auto'"):
        twin.simulate(DECAY, TS, solver="Auto")


def test_the_explicit_method_refuses_constraints() -> None:
    bound = twin.Model(
        "bound",
        [twin.State("A", 1.0), twin.State("B", 1.0)],
        [twin.Parameter("k", 1.0)],
        odes={"A": "-k*B"},
        constraints={"B": "A - B"},
    )
    with pytest.raises(UnsupportedModelError, match="model 'bound': the method tsit5 cannot solve constraints"):
        twin.simulate(bound, [0.0, 1.0], solver="tsit5")
