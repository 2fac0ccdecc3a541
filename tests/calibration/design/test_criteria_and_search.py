"""Criteria against inverses, continuous designs against the textbook, exact ones against all subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from calibration.experimental_design.criteria import LETTERS, Information, covariance_of, value_of
from calibration.experimental_design.exchange import Search, round_down
from calibration.experimental_design.relaxation import GAP, POWERS, relax
from twin.progress import Progress

SILENT = Progress("", 1, quiet=True)


def regression(x: np.ndarray, degree: int) -> np.ndarray:
    """Rows of polynomial regression with unit noise [1 draw, item, 1 row, parameter]."""
    return np.stack([x**power for power in range(degree + 1)], axis=-1)[None, :, None, :]


def whole(size: int) -> np.ndarray:
    return np.eye(size)[None]


def random_task(letter, draws: int = 3, items: int = 10, rows: int = 2, size: int = 4, interest: int = 2):
    rng = np.random.default_rng(3)
    known = np.stack([np.diag(rng.uniform(0.5, 2.0, size)) for _ in range(draws)])
    each = rng.normal(size=(draws, items, rows, size))
    rates = rng.normal(size=(draws, interest, size))
    return Information(known, each, rates, letter, 2), known, each, rates


@pytest.mark.parametrize("letter", LETTERS)
def test_updates_of_low_rank_are_inverses(letter) -> None:
    information, known, rows, rates = random_task(letter)
    counts = np.array([1.0, 0, 2, 0, 0, 1, 0, 0, 0, 0])

    def direct(counts: np.ndarray) -> float:
        total = known + sum(n * np.swapaxes(r, 1, 2) @ r for n, r in zip(counts, np.moveaxis(rows, 1, 0), strict=True))
        return float(value_of(covariance_of(total, rates), letter))

    assert information.value(counts) == pytest.approx(direct(counts), abs=1e-10)
    found = information.values_with(counts, np.arange(10))
    assert found == pytest.approx([direct(counts + one) for one in np.eye(10)], abs=1e-10)


@pytest.mark.parametrize("power", [0.0, 1.0, 40.0])
def test_slopes_are_derivatives(power: float) -> None:
    information, *_ = random_task("D")
    counts, step = np.linspace(0.2, 1.1, 10), 1e-5
    _, slopes = information.smooth(counts, power)
    moved = [
        (information.smooth(counts + step * one, power)[0] - information.smooth(counts - step * one, power)[0])
        for one in np.eye(10)
    ]
    # Central differences are exact to step^2 and to rounding over step.
    assert slopes == pytest.approx(np.array(moved) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("letter", "expected"),
    # Quadratic regression on [-1, 1]: Pukelsheim (2006), sections 9.5 (D), 9.16 (A) and 9.12 (E).
    [("D", (1 / 3, 1 / 3, 1 / 3)), ("A", (1 / 4, 1 / 2, 1 / 4)), ("E", (1 / 5, 3 / 5, 1 / 5))],
)
def test_quadratic_regression_has_the_weights_of_the_textbook(letter, expected) -> None:
    x = np.linspace(-1, 1, 21)
    information = Information(np.zeros((1, 3, 3)), regression(x, 2), whole(3), letter, 1000)
    found = relax(information, np.ones(21), 30.0)
    weights = found.weights / 30
    near = [weights[np.abs(x - at) < 0.15].sum() for at in (-1, 0, 1)]
    # The criterion is flat at the optimum: a gap g in the logarithm leaves about sqrt(g) in the weights. E is smoothed.
    assert near == pytest.approx(expected, abs=np.sqrt(GAP) if letter != "E" else 0.06)
    # The criterion of the textbook's design itself.
    rows = np.stack([np.ones(3), np.array([-1.0, 0, 1]), np.array([1.0, 0, 1])], axis=1)
    matrix = 30 * (rows.T * np.array(expected)) @ rows
    optimum = float(value_of(covariance_of(matrix[None], whole(3)), letter))
    assert -1e-9 <= found.bound - optimum < GAP + np.log(3) / POWERS["E"] * (letter == "E")


def test_extrapolation_of_a_line_has_elfvings_weights() -> None:
    """c-optimal design of the value at x = 2 from readings in [-1, 1]: three quarters at 1, one quarter at -1."""
    x = np.linspace(-1, 1, 21)
    information = Information(np.zeros((1, 2, 2)), regression(x, 1), np.array([[[1.0, 2.0]]]), "A", 1000)
    found = relax(information, np.ones(21), 8.0)
    # Elfving (1952): the variance per reading is (|x| at the edge of the set)^-2 = 2^2.
    assert found.bound == pytest.approx(-np.log(4 / 8), abs=GAP)
    counts, value = Search(information, np.ones(21), 8.0).best(
        [round_down(found.weights, np.ones(21), 8.0)], np.random.default_rng(0), 2, SILENT
    )
    assert value == pytest.approx(-np.log(4 / 8), abs=1e-6)
    assert counts[0] == 2 and counts[-1] == 6


def test_caps_and_costs_of_the_relaxation() -> None:
    """Where each reading can be taken once, the bound is below the one without that limit, and not below a design."""
    x = np.linspace(-1, 1, 21)
    costs = np.where(x > 0, 2.0, 1.0)
    bounds = {}
    for most in (1, 1000):
        information = Information(np.zeros((1, 2, 2)), regression(x, 1), whole(2), "D", most)
        found = relax(information, costs, 10.0)
        assert costs @ found.weights == pytest.approx(10.0)
        assert found.weights.max() <= most
        counts, value = Search(information, costs, 10.0).best([], np.random.default_rng(0), 3, SILENT)
        assert costs @ counts <= 10.0
        assert value <= found.bound + 1e-6
        bounds[most] = found.bound
    assert bounds[1] < bounds[1000] - 0.01


@pytest.mark.parametrize("letter", LETTERS)
def test_exchange_finds_the_best_of_all_subsets(letter) -> None:
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(2, 12, 1, 3))
    known = np.tile(0.01 * np.eye(3), (2, 1, 1))
    information = Information(known, rows, np.tile(np.eye(3), (2, 1, 1)), letter, 1)
    costs = np.ones(12)
    _, value = Search(information, costs, 4.0).best([], np.random.default_rng(0), 4, SILENT)
    every = [np.isin(np.arange(12), chosen).astype(float) for chosen in combinations(range(12), 4)]
    best = max(information.value(counts) for counts in every)
    assert value == pytest.approx(best, abs=1e-9)
    assert best <= relax(information, costs, 4.0).bound


def test_cheap_readings_replace_a_dear_one() -> None:
    """One purchase has as much information as two others together, at three times the cost of both."""
    rows = np.array([[[[np.sqrt(2.0), 0.0]], [[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 1.0]]]])
    information = Information(np.tile(0.1 * np.eye(2), (1, 1, 1)), rows, whole(2), "D", 1)
    costs = np.array([6.0, 1.0, 1.0, 1.0, 1.0])
    counts, _ = Search(information, costs, 6.0).best([], np.random.default_rng(0), 2, SILENT)
    assert list(counts) == [0, 1, 1, 1, 1]
