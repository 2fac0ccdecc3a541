"""Readings below, above and between limits: likelihood, gradients, fits, posteriors' parts, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import fit, write_petab
from calibration.noise import NOISE_MODELS
from calibration.noise.censoring import kinds_of, log_density_of, upper_of
from calibration.optimise.objective import Objective
from calibration.petab.errors import UnsupportedPetabError
from calibration.predict import predict_draws
from calibration.problem import Problem
from calibration.varied_readings import VariedReadings
from twin.errors import ProblemError
from twin.measurements import Measurements
from twin.model import Model, Observable
from twin.precision import float64
from twin.study import Estimate, Noise

TIMES = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
SD = 0.3
# By name: SciPy's standard law, and whether it is the logarithm that scatters.
LAWS = {
    "normal": (stats.norm, False),
    "log_normal": (stats.norm, True),
    "laplace": (stats.laplace, False),
    "log_laplace": (stats.laplace, True),
    "student_t": (stats.t(5.0), False),
}
THETA = np.array([np.log10(0.7), np.log10(2.4), 0.35])
TWO = ("laplace", "log_normal")
TEXT = ("experiment", "subject", "observable", "censoring")


def mixed(observables: Sequence[str] = ("y",)) -> pd.DataFrame:
    """Two readings of each kind, the same of every observable."""
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": TIMES})
    table["value"] = [1.9, 1.3, 0.9, 0.6, 0.8, 0.5, 0.2, 0.3]
    table["noise"] = np.nan
    table["censoring"] = ["", "right", "interval", "", "left", "right", "interval", "left"]
    table["upper"] = [np.nan, np.nan, 1.1, np.nan, np.nan, np.nan, 0.9, np.nan]
    table = pd.concat([table.assign(observable=name) for name in observables], ignore_index=True)
    return table.astype(dict.fromkeys(TEXT, "str"))


def by_hand(table: pd.DataFrame, theta: np.ndarray) -> np.ndarray:
    """Log-likelihood of every reading by SciPy; the observable is the name of its law."""
    f, s = 10 ** theta[1] * np.exp(-(10 ** theta[0]) * table["time"].to_numpy()), theta[2]
    found = np.empty(len(table))
    for name, (law, logarithmic) in LAWS.items():
        rows = (table["observable"] == name).to_numpy()
        of, on = table.loc[rows], np.log if logarithmic else lambda x: x
        value = of["value"].to_numpy()
        low, high = ((on(x) - on(f[rows])) / s for x in (value, of["upper"].fillna(9.0).to_numpy()))
        exact = law.logpdf(low) - np.log(s) - (np.log(value) if logarithmic else 0.0)
        between = law.logsf(low) + np.log1p(-np.exp(law.logsf(high) - law.logsf(low)))
        kinds = [(of["censoring"] == kind).to_numpy() for kind in ("left", "right", "interval")]
        found[rows] = np.select(kinds, [law.logcdf(low), law.logsf(low), between], exact)
    return found


@pytest.fixture(scope="module")
def problem(decay: Model) -> Problem:
    """An additive and a multiplicative law, so that little is compiled; the laws themselves are tested without."""
    model = replace(decay, observables=[Observable(name, "A") for name in TWO])
    estimates = [Estimate("k", 0.01, 10.0), Estimate("A0", 0.1, 10.0), Estimate("sd", 0.01, 2.0, "lin", nominal=SD)]
    noise = {name: Noise(name, "sd", df=5.0) for name in TWO}  # type: ignore[arg-type]
    return Problem(model, Measurements(mixed(TWO)), estimates, noise, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(LAWS))
def test_every_law_in_closed_form(name: str) -> None:
    table = mixed((name,))
    f = 10 ** THETA[1] * np.exp(-(10 ** THETA[0]) * table["time"].to_numpy())
    kind = kinds_of(table)
    with float64():
        given = (
            jnp.asarray(x) for x in (table["value"].to_numpy(), upper_of(table), kind, f, np.full(len(f), THETA[2]))
        )
        found = log_density_of(NOISE_MODELS[name](5.0), *given, set(kind))
    np.testing.assert_allclose(found, by_hand(table, THETA), rtol=1e-12)


def test_likelihood_of_draws(problem: Problem) -> None:
    """What leave-one-out and the ELPD are made of."""
    drawn = predict_draws(problem, THETA[None], seed=1)
    np.testing.assert_allclose(drawn.log_likelihood[0], by_hand(problem.measurements.table, THETA), rtol=1e-6)


def test_gradient_and_curvature(problem: Problem) -> None:
    """The gradient of a fit is that of the likelihood, and the curvature is usable."""
    table, steps = problem.measurements.table, 1e-5 * np.eye(3)
    expected = [(by_hand(table, THETA + step) - by_hand(table, THETA - step)).sum() / 2e-5 for step in steps]
    with float64():
        found = Objective(problem, with_prior=False)(THETA[None])
        _, gradient = problem.log_likelihood_and_gradient_many(THETA[None])
    np.testing.assert_allclose(-found.gradient[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.asarray(gradient)[0], expected, rtol=1e-5, atol=1e-5)
    assert np.linalg.eigvalsh(found.curvature[0]).min() > 0


def test_residuals_are_distances_from_the_limits(problem: Problem) -> None:
    table = problem.measurements.table
    logarithmic = table["observable"].map({name: LAWS[name][1] for name in TWO}).to_numpy()
    f = 10 ** THETA[1] * np.exp(-(10 ** THETA[0]) * table["time"].to_numpy())
    ends = (table["value"].to_numpy(), table["upper"].fillna(9.0).to_numpy())
    low, high = (np.where(logarithmic, np.log(f / end), f - end) / THETA[2] for end in ends)
    kinds = [(table["censoring"] == kind).to_numpy() for kind in ("left", "right", "interval")]
    within = np.minimum(low, 0) + np.maximum(high, 0)
    expected = np.select(kinds, [np.maximum(low, 0), np.minimum(low, 0), within], low)
    np.testing.assert_allclose(problem.residuals(THETA), expected, atol=1e-6)


def test_new_readings_are_censored_where_the_old_ones_were(problem: Problem) -> None:
    varied = VariedReadings(problem)
    with float64():
        drawn, _ = varied.draw(jax.random.key(3), np.tile(THETA, (400, 1)))
        value, kind = (np.asarray(part) for part in drawn)
        likelihood = float(varied(THETA, varied.own))
    table = problem.bindings
    probability = by_hand(problem.measurements.table, THETA)
    assert likelihood == pytest.approx(probability.sum(), rel=1e-6)
    hidden = kind > 0
    np.testing.assert_array_equal(value[hidden], np.broadcast_to(table.value, value.shape)[hidden])
    np.testing.assert_array_equal(kind[hidden], np.broadcast_to(table.kind, value.shape)[hidden])
    # The share that is hidden is the probability that the likelihood gives it.
    where = table.kind > 0
    expected = np.exp(probability[where])
    error = np.sqrt(expected * (1 - expected) / len(value))
    assert (np.abs(hidden[:, where].mean(axis=0) - expected) < 4 * error).all()
    assert not hidden[:, ~where].any()


@pytest.mark.slow
def test_far_from_the_limits_everything_is_finite(decay: Model) -> None:
    """Predictions of 1 and limits 40 scales away, each kind in a subject of its own."""
    kinds, scale, z = ["left", "right", "interval"], 0.01, 40.0
    table = mixed().iloc[:3].assign(time=0.0, subject=kinds, censoring=kinds)
    table["value"] = 1 + z * scale * np.array([-1.0, 1.0, 1.0])
    table["upper"] = [np.nan, np.nan, 1 + (z + 0.5) * scale]
    estimates = [Estimate("A0", 0.1, 10.0, "lin", per="subject")]
    problem = Problem(decay, Measurements(table), estimates, Noise("normal", scale))
    with float64():
        found = Objective(problem, with_prior=False)(np.ones((1, 3)))
    tail = stats.norm.logsf(z)
    between = tail + np.log1p(-np.exp(stats.norm.logsf(z + 0.5) - tail))
    assert found.nllh[0] == pytest.approx(-(2 * tail + between), rel=1e-9)
    # The inverse Mills ratio is z (1 + 1/z^2 + ...), and its derivative 1 - 2/z^2 or so.
    np.testing.assert_allclose(found.gradient[0], np.array([1, -1, -1]) * z / scale, rtol=2e-3)
    np.testing.assert_allclose(found.curvature[0], np.eye(3) / scale**2, rtol=3e-3, atol=1.0)


def test_intervals_and_limits_tell_the_parameters(decay: Model) -> None:
    """No reading is a number: an assay with three wide bins, a floor and a ceiling, in 24 subjects fitted alone."""
    count, edges = 24, np.array([0.1, 0.4, 1.0, 1.8])
    subject, times = (part.ravel() for part in np.meshgrid(np.arange(count), np.repeat(TIMES, 6), indexing="ij"))
    read = 2.0 * np.exp(-0.5 * times + SD * np.random.default_rng(1).normal(size=len(times)))
    place = np.searchsorted(edges, read)
    table = pd.DataFrame({"experiment": "e", "subject": subject.astype(str), "observable": "y", "time": times})
    table["value"] = edges[np.maximum(place - 1, 0)]
    table["noise"] = np.nan
    table["censoring"] = np.select([place == 0, place == len(edges)], ["left", "right"], "interval")
    between = table["censoring"] == "interval"
    table["upper"] = np.where(between, edges[np.minimum(place, len(edges) - 1)], np.nan)
    estimates = [Estimate("k", 0.05, 5.0, per="subject"), Estimate("A0", 0.2, 20.0, per="subject")]
    problem = Problem(decay, Measurements(table.astype(dict.fromkeys(TEXT, "str"))), estimates, Noise("log_normal", SD))
    found = fit(problem, starts=1, seed=0, quiet=True).best.reshape(2, count)
    error = found.std(axis=1, ddof=1) / np.sqrt(count)
    assert (np.abs(found.mean(axis=1) - np.log10([0.5, 2.0])) < 4 * error).all()
    assert (error < 0.03).all()


def test_petab_has_no_such_readings(problem: Problem, tmp_path: Path) -> None:
    message = r"'laplace' at time 1 \(subject '1'\): there are readings above a limit: PEtab has no censored readings"
    with pytest.raises(UnsupportedPetabError, match=message):
        write_petab(problem, tmp_path)


def test_intervals_from_zero_are_refused_for_positive_noise(decay: Model) -> None:
    table = mixed().assign(value=lambda t: t["value"].where(t["censoring"] != "interval", 0.0))
    with pytest.raises(ProblemError, match=r"a reading of 'y' is 0 .*\n.*\n.*and intervals from 0"):
        Problem(decay, Measurements(table), [Estimate("k", 0.01, 10.0)], Noise("log_normal", SD))
