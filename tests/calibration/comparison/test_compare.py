"""Comparisons against closed forms; refusals; interrupted comparisons go on."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from linear_models import TIMES, VALUES, conjugate, least_nllh, left_out, log_evidence, polynomial, table

from calibration import Problem
from calibration.comparison import Comparison, compare
from calibration.comparison import kept as kept_module
from calibration.comparison.held_out import paired_error
from calibration.comparison.information_criteria import aic, aicc, bic, weights
from twin.errors import ProblemError

NAMES = ("constant", "line", "parabola")
SAMPLING = {"chains": 4, "warmup": 200, "draws": 500}


@pytest.fixture(scope="session")
def polynomials() -> dict[str, Problem]:
    """Of degree 0, 1, 2; the second with its readings in reverse order."""
    back = table().iloc[::-1].reset_index(drop=True)
    return {"constant": polynomial(0), "line": polynomial(1, back), "parabola": polynomial(2)}


@pytest.fixture(scope="session")
def by_fits(polynomials: dict[str, Problem], tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    """Information criteria, and the folder in which they were kept."""
    folder = tmp_path_factory.mktemp("kept")
    return compare(polynomials, starts=4, quiet=True, folder=folder), folder


@pytest.fixture(scope="session")
def by_draws() -> Comparison:
    """Lines and constants whose posteriors are normal."""
    problems = {"constant": conjugate(0), "line": conjugate(1)}
    return compare(problems, ("loo", "evidence"), starts=2, sampling=SAMPLING, quiet=True)


def test_hand_computed_criteria() -> None:
    """k = 3, n = 10, log L = -12: AIC 30, AICc 30 + 24 / 6, BIC 24 + 3 ln 10; exp(-1) of the weight for 2 more."""
    assert aic(12.0, 3) == 30.0
    assert aicc(12.0, 3, 10) == 34.0
    assert bic(12.0, 3, 10) == pytest.approx(24.0 + 3.0 * 2.302585092994046, rel=1e-15)
    assert math.isnan(aicc(12.0, 9, 10))
    np.testing.assert_allclose(weights([30.0, 32.0, math.nan]), np.array([1.0, math.exp(-1), 0.0]) / (1 + math.exp(-1)))


def test_criteria_of_least_squares(by_fits: tuple[Comparison, Path]) -> None:
    """Against least squares; the tolerance of a fit is 1e-4 in the log-likelihood."""
    found = by_fits[0].table
    for degree, name in enumerate(NAMES):
        nllh, size, count = least_nllh(degree), degree + 2, len(VALUES)
        row = found.loc[name]
        assert (row["parameters"], row["readings"]) == (size, count)
        assert row["nllh"] == pytest.approx(nllh, abs=1e-4)
        assert row["AIC"] == pytest.approx(2 * nllh + 2 * size, abs=2e-4)
        assert row["AICc"] == pytest.approx(2 * nllh + 2 * size * count / (count - size - 1), abs=2e-4)
        assert row["BIC"] == pytest.approx(2 * nllh + size * math.log(count), abs=2e-4)
    assert by_fits[0].best() == "parabola"
    assert by_fits[0].certainty("AIC")["constant"] == "clear"


def test_readings_in_another_order_are_matched(by_fits: tuple[Comparison, Path]) -> None:
    """The log-likelihood of each reading at the least-squares line, in the first model's order."""
    line = np.polynomial.Polynomial.fit(TIMES, VALUES, 1)
    residual = VALUES - line(TIMES)
    scale = math.sqrt(np.mean(residual**2))
    expected = -0.5 * math.log(2 * math.pi * scale**2) - 0.5 * (residual / scale) ** 2
    # The fit stops where the sum is within 1e-4 of its optimum, so an entry may be off by the root of that.
    np.testing.assert_allclose(by_fits[0].pointwise[("log_likelihood", "line")], expected, atol=1e-2)


@pytest.mark.slow
def test_loo_against_exact_refits(by_draws: Comparison) -> None:
    """Importance sampling errs by about 1 / sqrt(draws) per reading for weights of moderate spread: 4 of it allowed."""
    each = 4.0 / math.sqrt(SAMPLING["chains"] * SAMPLING["draws"])
    for degree, name in enumerate(("constant", "line")):
        exact = left_out(degree)
        drawn = by_draws.pointwise[("elpd_loo", name)].to_numpy()
        np.testing.assert_allclose(drawn, exact, atol=each)
        assert by_draws.table.loc[name, "elpd_loo"] == pytest.approx(exact.sum(), abs=each * math.sqrt(len(exact)))
    assert by_draws.best("loo") == "line"
    assert by_draws.certainty("loo") == {"constant": "clear"}
    assert by_draws.table.loc["line", "stacking_weight"] > 0.99


@pytest.mark.slow
def test_difference_of_loo_and_its_error(by_draws: Comparison) -> None:
    """One series only, so readings are the units of the error."""
    gap = left_out(1) - left_out(0)
    row = by_draws.table.loc["constant"]
    assert row["elpd_loo_difference"] == pytest.approx(gap.sum(), abs=1.0)
    assert row["elpd_loo_difference_se"] == pytest.approx(math.sqrt(len(gap)) * gap.std(ddof=1), rel=0.05)
    assert by_draws.independent["loo"] == ("readings", len(gap))


@pytest.mark.slow
def test_evidence_against_the_closed_form(by_draws: Comparison) -> None:
    """Within four of the standard errors that the sampler states."""
    for degree, name in enumerate(("constant", "line")):
        row = by_draws.table.loc[name]
        assert abs(row["log_evidence"] - log_evidence(degree)) < 4.0 * row["log_evidence_se"]
        assert row["log_evidence_se"] < 0.5
    assert by_draws.table.loc["line", "probability"] > 0.999


@pytest.mark.slow
def test_held_out_scores_of_a_line(polynomials: dict[str, Problem]) -> None:
    """Late readings of a parabola: a constant is far off, and its CRPS is about its distance from them."""
    both = {name: polynomials[name] for name in ("constant", "parabola")}
    found = compare(both, "held-out", starts=4, sampling={"chains": 2, "warmup": 150, "draws": 300}, quiet=True)
    late = TIMES > 3.2
    early = VALUES[~late]
    assert found.table.loc["constant", "held_out_readings"] == late.sum()
    # CRPS of a forecast far from the reading: distance less about half the spread of the forecast, here a t law's.
    far = np.mean(VALUES[late] - early.mean())
    assert far - 2.0 * early.std(ddof=1) < found.table.loc["constant", "crps"] < far
    assert found.best("held-out") == "parabola"
    assert "time > 3.18" in str(found.split)


def test_errors_over_series() -> None:
    """Six series of two readings with differences ±1: the sums are what varies."""
    series = np.repeat(np.arange(6), 2)
    sums = np.array([2.0, -2.0, 2.0, -2.0, 2.0, -2.0])
    error, units = paired_error(np.repeat(sums / 2.0, 2), series)
    assert units == ("series", 6)
    assert error == pytest.approx(math.sqrt(6) * math.sqrt(6 * 4 / 5))
    assert units.width == pytest.approx(2.5706, abs=1e-4)  # Student's t with 5 degrees of freedom, from tables


def test_other_readings_are_refused(polynomials: dict[str, Problem]) -> None:
    changed = VALUES.copy()
    changed[3] += 0.5
    with pytest.raises(ProblemError, match="1 readings of the first are not among the other's.*time"):
        compare({"one": polynomials["constant"], "two": polynomial(1, table(changed))}, quiet=True)
    fewer = table().iloc[:-1]
    with pytest.raises(ProblemError, match="other data"):
        compare({"one": polynomials["constant"], "two": polynomial(1, fewer)}, quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "WAIC"}, "there is no criterion 'WAIC'"),
        ({"by": ()}, "no criterion is asked for"),
        ({"by": "held-out", "split": "week"}, "there is no split 'week'"),
        ({"sampling": {"seed": 3}}, "sampling has 'seed'"),
    ],
)
def test_wrong_arguments(polynomials: dict[str, Problem], arguments: dict, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        compare(polynomials, quiet=True, **arguments)
    with pytest.raises(ProblemError, match="1 models are given"):
        compare({"one": polynomials["line"]}, quiet=True)


def test_a_second_run_reads_what_is_there(
    polynomials: dict[str, Problem], by_fits: tuple[Comparison, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fit is made again, and the table is the same."""
    first, folder = by_fits

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a fit was made again")

    monkeypatch.setattr(kept_module, "fit", refuse)
    again = compare(polynomials, starts=4, quiet=True, folder=folder)
    pd.testing.assert_frame_equal(again.table, first.table)
    with pytest.raises(ProblemError, match="seed differs"):
        compare(polynomials, starts=4, seed=1, quiet=True, folder=folder)


def test_a_damaged_file_is_named(polynomials: dict[str, Problem], by_fits: tuple[Comparison, Path]) -> None:
    note = next(by_fits[1].glob("constant-*.fit.json"))
    text = note.read_text()
    note.write_text(text[:40])
    try:
        with pytest.raises(ProblemError, match="cannot be read"):
            compare(polynomials, starts=4, quiet=True, folder=by_fits[1])
    finally:
        note.write_text(text)
    assert json.loads(text)["found"]["nllh"] == pytest.approx(least_nllh(0), abs=1e-4)


def test_words_and_picture(by_fits: tuple[Comparison, Path], tmp_path: Path) -> None:
    found = by_fits[0]
    text = str(found)
    assert "3 models of 12 readings" in text
    assert "AIC: parabola is best" in text
    figure = found.to_png(tmp_path / "comparison.png")
    assert (tmp_path / "comparison.png").stat().st_size > 1000
    assert [panel.get_xlabel() for panel in figure.axes] == [
        f"{name} above the best" for name in ("AIC", "AICc", "BIC")
    ]
