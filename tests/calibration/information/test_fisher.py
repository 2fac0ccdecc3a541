"""Fisher information against closed forms, against scores of drawn readings, and what it says is not determined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from calibration import FisherInformation, Problem, fisher_information
from calibration.information.spectrum import spectrum
from calibration.information.wording import in_words, logarithmic_rates
from calibration.noise import NOISE_MODELS
from calibration.optimise.objective import Objective
from twin.errors import ProblemError, SimulationError
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.precision import float64
from twin.study import Estimate, Noise, Prior

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0])
SD = 0.2
K, A0 = Estimate("k", 0.01, 5.0, scale="log"), Estimate("A0", 0.01, 100.0, scale="log10")

type Tables = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def line() -> Model:
    """dx/dt = b, x(0) = a: linear in both."""
    parameters = [Parameter("a", 1.0), Parameter("b", 0.5)]
    return Model("line", [State("x", "a")], parameters, odes={"x": "b"}, observables=[Observable("y", "x")])


@pytest.fixture(scope="module")
def product() -> Model:
    """Only the product of k1 and k2 acts, and nothing that is read depends on d."""
    parameters = [Parameter("k1", 0.5), Parameter("k2", 2.0), Parameter("A0", 3.0), Parameter("d", 1.0)]
    return Model(
        "product",
        [State("A", "A0"), State("waste", 0.0)],
        parameters,
        odes={"A": "-k1 * k2 * A", "waste": "d * A - waste"},
        observables=[Observable("y", "A")],
    )


def rows(values: np.ndarray, experiment: str = "e", subject: str = "1") -> list[tuple]:
    return [(experiment, subject, "y", float(t), float(v)) for t, v in zip(TIMES, values, strict=True)]


@pytest.fixture(scope="module")
def straight(line: Model, table_of_rows: Tables) -> FisherInformation:
    estimates = [Estimate("a", -5.0, 5.0, "lin", Prior("normal", 0.0, 2.0)), Estimate("b", -5.0, 5.0, "lin")]
    problem = Problem(line, table_of_rows(rows(1 + TIMES)), estimates, Noise("normal", SD))
    return fisher_information(problem, [1.3, 0.4])


@pytest.fixture(scope="module")
def product_problem(product: Model, table_of_rows: Tables) -> Problem:
    estimates = [Estimate(name, 0.01, 100.0) for name in ("k1", "k2", "A0", "d")]
    readings = [*rows(1 + TIMES), *rows(2 + TIMES, subject="2"), *rows(3 + TIMES, "f")]
    return Problem(product, table_of_rows(readings), estimates, Noise("normal", SD))


@pytest.fixture(scope="module")
def singular(product_problem: Problem) -> FisherInformation:
    return fisher_information(product_problem)


def test_a_linear_model_has_the_information_of_its_design(straight: FisherInformation) -> None:
    design = np.stack([np.ones(len(TIMES)), TIMES], axis=1)
    expected = design.T @ design / SD**2
    np.testing.assert_allclose(straight.matrix, expected, rtol=1e-10)
    np.testing.assert_allclose(straight.covariance, np.linalg.inv(expected), rtol=1e-9)
    np.testing.assert_allclose(straight.standard_errors, np.sqrt(np.diag(np.linalg.inv(expected))), rtol=1e-9)
    values = np.linalg.eigvalsh(expected)
    np.testing.assert_allclose(straight.eigenvalues, values[::-1], rtol=1e-9)
    assert straight.condition_number == pytest.approx(values[1] / values[0], rel=1e-9)
    assert (straight.rank, straight.combinations) == (2, ())
    alone = straight.table()["if_others_known"]
    np.testing.assert_allclose(alone, np.diag(expected) ** -0.5, rtol=1e-9)


@pytest.mark.parametrize("family", sorted(NOISE_MODELS))
def test_it_is_the_mean_outer_product_of_the_scores_of_drawn_readings(
    decay: Model, table_of_rows: Tables, family: str
) -> None:
    """Independent of the formulas: readings are drawn, and their log density is differentiated."""
    noise = Noise(family, "sd + 0.05 * y", df=5.0)  # type: ignore[arg-type]  # of the registry
    estimates = [K, A0, Estimate("sd", 0.01, 1.0, "lin", nominal=0.3)]
    problem = Problem(decay, table_of_rows(rows(2 * np.exp(-0.5 * TIMES))), estimates, noise)
    found = fisher_information(problem)
    draws = 40_000
    with float64():
        prediction, d_value, d_scale = problem.predictor.linearise(jnp.asarray(problem.nominal)[None])
        wide = jax.tree.map(lambda x: jnp.repeat(x, draws, axis=0), prediction)
        readings = problem.draw_readings(jax.random.key(5), wide)
        density = NOISE_MODELS[family](df=5.0).log_density
        total = lambda f, s: jnp.sum(density(readings, f, s))  # noqa: E731
        by_value, by_scale = jax.grad(total, (0, 1))(wide.value, wide.scale)
        scores = np.asarray(by_value @ d_value[0] + by_scale @ d_scale[0])
    products = np.einsum("np,nq->npq", scores, scores)
    error = products.std(axis=0) / np.sqrt(draws)
    # Six numbers of each of five families: beyond 4.5 errors once in 5000 correct runs.
    assert (np.abs(products.mean(axis=0) - found.matrix) < 4.5 * error).all()
    assert (error < 0.05 * np.sqrt(np.outer(np.diag(found.matrix), np.diag(found.matrix)))).all()


def test_it_is_the_curvature_that_fits_step_with(decay: Model, table_of_rows: Tables) -> None:
    estimates = [replace(K, prior=Prior("normal", 0.0, 0.5)), A0]
    censored = table_of_rows(rows(2 * np.exp(-0.5 * TIMES)), below=0.5)
    assert (censored["censoring"] == "left").sum() == 1
    problem = Problem(decay, censored, estimates, Noise("log_normal", SD))
    with float64():
        curvature = Objective(problem)(problem.nominal[None]).curvature[0]
    with_prior = fisher_information(problem, with_prior=True)
    np.testing.assert_allclose(with_prior.matrix, curvature, rtol=1e-12)
    np.testing.assert_allclose(with_prior.matrix - fisher_information(problem).matrix, np.diag([4.0, 0.0]), atol=1e-9)
    assert list(with_prior.contributions()["group"].values) == ["e", "prior"]


def test_a_product_and_an_idle_parameter_are_named(singular: FisherInformation) -> None:
    assert singular.rank == 2
    assert singular.combinations == ("d", "k1^+0.71 · k2^-0.71")
    assert singular.condition_number == np.inf
    assert dict(singular.table()["note"]) == dict.fromkeys(("k1", "k2", "d"), "not determined") | {"A0": ""}
    np.testing.assert_array_equal(np.isinf(singular.standard_errors), [True, True, False, True])
    # What is determined has the error that it has when one of the two is known.
    known = singular.matrix[np.ix_([0, 2], [0, 2])]
    assert singular.standard_errors[2] == pytest.approx(np.sqrt(np.linalg.inv(known)[1, 1]), rel=1e-6)
    assert np.isnan(singular.correlation[0, 2])
    assert "not determined: k1^+0.71 · k2^-0.71" in str(singular)
    assert "rank 2 of 4" in repr(singular)
    assert list(singular.sloppy_directions()["standard_error"]) == [np.inf, np.inf]


def test_a_product_alone_lacks_one_direction(product: Model, table_of_rows: Tables) -> None:
    estimates = [Estimate(name, 0.01, 100.0) for name in ("k1", "k2", "A0")]
    problem = Problem(product, table_of_rows(rows(1 + TIMES)), estimates, Noise("normal", SD))
    found = fisher_information(problem)
    assert (found.rank, found.combinations) == (2, ("k1^+0.71 · k2^-0.71",))
    known = [replace(estimates[0], prior=Prior("normal", 0.0, 0.1)), *estimates[1:]]
    with_prior = fisher_information(
        Problem(product, table_of_rows(rows(1 + TIMES)), known, Noise("normal", SD)), with_prior=True
    )
    assert (with_prior.rank, with_prior.combinations) == (3, ())
    assert with_prior.standard_errors[0] == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("experiment", ["e", "f"]),
        ("subject", ["1", "2"]),
        ("series", ["e, 1", "e, 2", "f, 1"]),
        ("observable", ["y"]),
        ("reading", None),
    ],
)
def test_contributions_add_up(singular: FisherInformation, by: str, groups: list[str] | None) -> None:
    parts = singular.contributions(by)  # type: ignore[arg-type]  # of the list
    np.testing.assert_allclose(parts.sum("group"), singular.matrix, rtol=1e-12, atol=1e-9)
    if groups is None:
        assert parts.sizes["group"] == 15
        assert parts["group"].values[1] == "e, 1, y at 0.5"
    else:
        assert list(parts["group"].values) == groups


def test_dataset_table_and_picture(singular: FisherInformation, tmp_path) -> None:
    ds = singular.to_dataset()
    np.testing.assert_allclose(ds["information"], singular.matrix)
    vectors, values = ds["eigenvector"].to_numpy(), ds["eigenvalue"].to_numpy()
    np.testing.assert_allclose(vectors.T * values @ vectors, singular.matrix, rtol=1e-9, atol=1e-6)
    assert ds.attrs["rank"] == 2
    ds.to_netcdf(tmp_path / "information.nc", engine="h5netcdf")
    singular.plot().savefig(tmp_path / "information.png")
    assert (tmp_path / "information.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"theta": [0.0, 1.0]}, r"theta has shape \(2,\)"),
        ({"theta": [0.0, 0.0, np.nan, 0.0]}, "'A0' is not finite"),
        ({"theta": "best"}, "expected: one vector of numbers"),
        ({"rank_tolerance": 0.0}, "rank_tolerance is 0.0"),
    ],
)
def test_bad_input_is_refused(product_problem: Problem, arguments: dict, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        fisher_information(product_problem, **arguments)


def test_other_things_are_refused(singular: FisherInformation, product: Model) -> None:
    with pytest.raises(ProblemError, match="the problem is a Model"):
        fisher_information(product)  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match="by is 'day'"):
        singular.contributions("day")  # type: ignore[arg-type]


def test_a_failed_integration_says_where(explosion: Model, table_of_rows: Tables) -> None:
    table = table_of_rows([("e", "1", "y", 1.0, 1.2), ("e", "1", "y", 2.0, 1.5)])
    problem = Problem(explosion, table, [Estimate("k", 0.01, 10.0, "lin")], Noise("normal", 0.1))
    with pytest.raises(SimulationError, match="2 of 2 readings have no prediction at this vector, .* experiment 'e'"):
        fisher_information(problem, [5.0])


def test_two_products_are_named_apart() -> None:
    base = np.random.default_rng(0).normal(size=(30, 3))
    found = spectrum(base[:, [0, 0, 1, 1, 2]] * [1.0, 1.0, 1e-3, 1e-3, 1e4], np.ones(5), 1e-8)
    words = [in_words(vector, "abcde", np.ones(5)) for vector in found.null]
    assert sorted(words) == ["a^+0.71 · b^-0.71", "c^+0.71 · d^-0.71"]
    assert found.rank == 3
    np.testing.assert_array_equal(found.undetermined, [True, True, True, True, False])


def test_fewer_readings_than_parameters() -> None:
    found = spectrum(np.array([[1.0, 2.0, 0.0]]), np.ones(3), 1e-8)
    assert (found.rank, found.eigenvalues.shape) == (1, (3,))
    np.testing.assert_allclose(found.null @ [1.0, 2.0, 0.0], 0.0, atol=1e-12)
    nothing = spectrum(np.zeros((4, 2)), np.ones(2), 1e-8)
    assert (nothing.rank, nothing.undetermined.all()) == (0, True)


@pytest.mark.parametrize(
    ("scales", "lower", "words"),
    [
        (["log10", "log10"], -2.0, "k1^+0.80 · k2^-0.60"),
        (["lin", "lin"], -2.0, "+0.80 k1 -0.60 k2"),
        # On log10 a step of 0.8 multiplies by 10^0.8: 1.84 in natural logarithms.
        (["log10", "lin"], -2.0, "+0.95 ln(k1) -0.31 k2"),
        (["log10", "log"], -2.0, "k1^+0.95 · k2^-0.31"),
        # Positive by their bounds: steps of 0.8 from 2 and of 0.6 from 1 are 0.4 and 0.6 in natural logarithms.
        (["lin", "lin"], 0.0, "k2^+0.83 · k1^-0.55"),
    ],
)
def test_words(scales: list[str], lower: float, words: str) -> None:
    rates = logarithmic_rates(np.array([2.0, 1.0]), np.full(2, lower), scales)
    assert in_words(np.array([0.8, -0.6]), ["k1", "k2"], rates) == words
    assert in_words(np.array([1.0, 0.01]), ["k1", "k2"], rates) == "k1"
