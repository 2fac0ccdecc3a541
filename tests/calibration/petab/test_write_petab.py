"""Problems written as PEtab: petab's own checks pass, and reading them again gives the same likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.petab import UnsupportedPetabError, read_petab, write_petab
from calibration.problem import Problem
from twin import Bolus, Change, Equilibration, Experiment, Infusion, Model, Parameter, Reaction, Reset, State
from twin.model.parts import Observable
from twin.study import Estimate, Noise, Prior

EXACT = {"rtol": 1e-10, "atol": 1e-13, "max_steps": 20_000}
EXPERIMENTS: dict[str, Experiment] = {
    "plain": Experiment(),
    "doses": Experiment(doses=[Bolus("A", "3*k", every=1.5, count=2), Infusion("A", 2.0, start=0.5, duration=2.0)]),
    "change": Experiment(changes=[Change("k", "k*(1 - effect)", start=1.0, stop=2.0)], parameters={"supply": 0.2}),
    "steady": Experiment(
        equilibrate=Equilibration({"supply": 1.5}), changes=[Change("k", "2*k")], resets=[Reset("B", 0.5, time=1.0)]
    ),
    "late": Experiment(initial={"A": 5.0}, t0=-1.0, doses=[Bolus("A", 1.0, time=-1.0)]),
}


def problem(experiments: Mapping[str, Experiment], noise: Noise, estimates: list[Estimate] | None = None) -> Problem:
    model = Model(
        "written",
        [State("A", "A0"), State("B", 0.0)],
        [Parameter("k", 0.5), Parameter("A0", 2.0), Parameter("supply", 0.1), Parameter("effect", 0.6)],
        [Reaction("inflow", "-> A", "supply"), Reaction("turn", "A -> B", "k*A"), Reaction("loss", "B ->", "B")],
        observables=[Observable("y", "A + 2*B")],
    )
    rows = [
        (experiment, subject, "y", t, 1.0 + 0.1 * t, 0.2 + 0.1 * t, "")
        for experiment in experiments
        for subject in ("1", "2")
        for t in (0.0, 0.5, 1.0, 2.5)
    ]
    columns = ["experiment", "subject", "observable", "time", "value", "noise", "censoring"]
    estimates = estimates or [Estimate("k", 0.01, 10.0), Estimate("effect", 0.0, 1.0, scale="lin"), SD]
    return Problem(model, pd.DataFrame(rows, columns=columns), estimates, noise, experiments=experiments, **EXACT)


SD = Estimate("sd", 0.01, 10.0, prior=Prior("normal", -1.0, 0.5), nominal=0.3)


def lint(path: Path, version: int) -> None:
    import petab.v1
    import petab.v1.lint
    import petab.v2
    import petab.v2.lint

    if version == 1:
        assert not petab.v1.lint.lint_problem(petab.v1.Problem.from_yaml(str(path)))
    else:
        issues = petab.v2.Problem.from_yaml(str(path)).validate()
        assert not issues.has_errors(), str(issues)


@pytest.mark.parametrize(
    "noise", [Noise("normal", "sd*(1 + y)"), Noise("log_laplace", "sd"), Noise("laplace")], ids=str
)
def test_version_2_gives_the_same_likelihood(tmp_path: Path, noise: Noise) -> None:
    given = problem(EXPERIMENTS, noise, None if noise.scale else [Estimate("k", 0.01, 10.0)])
    path = write_petab(given, tmp_path / "folder")
    lint(path, 2)
    again = read_petab(path, **EXACT)
    here, there = (float(p.log_likelihood(p.nominal)) for p in (given, again))
    assert there == pytest.approx(here, rel=1e-8)
    np.testing.assert_allclose(again.simulate(again.nominal), given.simulate(given.nominal), rtol=1e-7)


def test_version_1_gives_the_same_likelihood_and_scales(tmp_path: Path) -> None:
    given = problem({name: EXPERIMENTS[name] for name in ("plain",)}, Noise("normal", "sd*(1 + y)"))
    path = write_petab(given, tmp_path, "1")
    lint(path, 1)
    again = read_petab(path, **EXACT)
    assert float(again.log_likelihood(again.nominal)) == pytest.approx(
        float(given.log_likelihood(given.nominal)), rel=1e-8
    )
    assert again.names == given.names
    np.testing.assert_allclose(again.nominal, given.nominal)
    assert float(again.log_prior(again.nominal)) == pytest.approx(float(given.log_prior(given.nominal)))


def test_parameters_of_subjects_become_conditions(tmp_path: Path) -> None:
    estimates = [
        Estimate("k", 0.01, 10.0, per="subject", between=Prior("half_normal", scale=0.3)),
        Estimate("A0", 0.1, 10.0, per="subject"),
        SD,
    ]
    given = problem({"plain": Experiment()}, Noise("normal", "sd"), estimates)
    given = given.with_nominal({"k_eta[1]": 0.7, "k_eta[2]": -0.4, "A0[2]": 3.0})
    path = write_petab(given, tmp_path, priors="omit")
    lint(path, 2)
    again = read_petab(path, **EXACT)
    assert float(again.log_likelihood(again.nominal)) == pytest.approx(
        float(given.log_likelihood(given.nominal)), rel=1e-8
    )


@pytest.mark.parametrize("spread", [0.2, Prior("half_normal", scale=0.3)])
@pytest.mark.parametrize("scale", ["log10", "lin"])
def test_occasions_of_subjects_become_conditions(tmp_path: Path, spread: float | Prior, scale) -> None:
    k = Estimate("k", 0.01, 10.0, scale=scale, nominal=0.5, per="subject", between=0.1, between_occasions=spread)
    given = problem({"plain": Experiment(), "again": Experiment()}, Noise("normal", 0.3), [k])
    given = given.with_nominal({"k_eta[1]": 0.7, "k_kappa[1, plain]": -0.4, "k_kappa[2, again]": 0.9})
    again = read_petab(write_petab(given, tmp_path, priors="omit"), **EXACT)
    assert float(again.log_likelihood(again.nominal)) == pytest.approx(
        float(given.log_likelihood(given.nominal)), rel=1e-8
    )


@pytest.mark.parametrize(
    ("experiment", "noise", "version", "message"),
    [
        (
            Experiment(doses=[Bolus("A", 1.0, time="k")]),
            Noise("normal", 0.1),
            "2.0.0",
            "the time of a dose is the formula",
        ),
        (Experiment(), Noise("student_t", 0.1), "2.0.0", "the noise of 'y' is student_t"),
        (EXPERIMENTS["doses"], Noise("normal", 0.1), "1", "something happens after the start"),
        (EXPERIMENTS["steady"], Noise("normal", 0.1), "1", "something happens after the start"),
    ],
)
def test_what_petab_does_not_have_is_refused(
    tmp_path: Path, experiment: Experiment, noise: Noise, version, message: str
) -> None:
    given = problem({"e": experiment}, noise, [Estimate("k", 0.01, 10.0)])
    with pytest.raises(UnsupportedPetabError, match=message):
        write_petab(given, tmp_path, version)
