"""Rows of the benchmark: errors of the ELPD in closed form, pooling, JSON, and the same digits from the same seed."""

from __future__ import annotations

import json
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest

from calibration.benchmark.pooling import pooled, poolings
from calibration.benchmark.record import COLUMNS, VARYING, elpd_with_error, mean_energy
from calibration.benchmark.tables import json_text
from calibration.benchmark.work import Task, perform, why_no_discrepancy
from calibration.problem import Problem
from calibration.sim2real.splits import make_split
from twin import library
from twin.cli import main
from twin.errors import ProblemError

SETTINGS = {"seed": 3, "discrepancy": True, "starts": 2, "chains": 2, "warmup": 50, "draws": 50}


def scores(subjects: int, each: int, values: np.ndarray) -> pd.DataFrame:
    names = np.repeat([str(i) for i in range(subjects)], each)
    return pd.DataFrame(
        {"fold": "f", "experiment": "e", "subject": names, "observable": "y", "elpd": values, "energy_score": 1.0}
    )


def test_the_error_of_the_elpd_is_that_of_a_sum_over_series() -> None:
    rng = np.random.default_rng(0)
    of_series = rng.standard_normal(5)
    together = scores(5, 4, np.repeat(of_series, 4))  # the readings of a series say one thing four times
    total, error = elpd_with_error(together)
    assert total == pytest.approx(4 * of_series.sum())
    assert error == pytest.approx(4 * np.sqrt(5) * of_series.std(ddof=1))
    values = rng.standard_normal(8)
    total, error = elpd_with_error(scores(2, 4, values))  # two series: from the readings
    assert (total, error) == (pytest.approx(values.sum()), pytest.approx(np.sqrt(8) * values.std(ddof=1)))
    assert np.isnan(elpd_with_error(scores(1, 1, values[:1]))[1])


def test_an_energy_score_counts_once_per_series() -> None:
    table = scores(2, 3, np.zeros(6))
    table["energy_score"] = [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]
    table = table.drop(index=[4, 5])  # series of different length count alike
    assert mean_energy(table) == pytest.approx(2.0)
    assert np.isnan(mean_energy(table.drop(columns="energy_score")))


def test_poolings_of_the_library() -> None:
    assert poolings(library.study("theophylline")) == ("partial", "none", "complete")
    assert poolings(library.study("stat5_boehm2014")) == ("",)
    alone = pooled(library.study("theophylline"), "none")
    assert poolings(alone) == ("none", "complete")
    assert {e.per for e in pooled(alone, "complete").estimates} == {"shared"}
    visits = replace(library.study("theophylline").estimates[0], per="subject", between=0.3, between_occasions=0.2)
    study = replace(library.study("theophylline"), estimates=(visits,))
    for way, per in (("none", "subject"), ("complete", "shared")):
        (estimate,) = pooled(study, way).estimates
        assert (estimate.per, estimate.between, estimate.between_occasions) == (per, None, None)
    with pytest.raises(ProblemError, match="expected: none, complete"):
        pooled(alone, "partial")
    with pytest.raises(ProblemError, match="no parameters per subject"):
        pooled(library.study("stat5_boehm2014"), "complete")


def test_json_has_no_number_that_readers_refuse() -> None:
    row = dict.fromkeys(COLUMNS, 1.0) | {"gap": float("nan"), "gap_low": -np.inf, "gap_high": np.inf}
    told = json.loads(json_text([row], SETTINGS), parse_constant=pytest.fail)["rows"][0]
    assert (told["gap"], told["gap_low"], told["gap_high"], told["crps"]) == (None, "-inf", "inf", 1.0)


@pytest.mark.parametrize(
    ("study", "why"),
    [
        ("jakstat_swameye2003", ""),
        ("influenza_baccam2006", "7 readings are censored"),
        ("cd8_crauste2017", "2 distinct"),
    ],
)
def test_why_there_is_no_discrepancy(study: str, why: str) -> None:
    problem = Problem.from_study(library.study(study))
    found = why_no_discrepancy(problem, make_split(problem.measurements.table, "time", problem.study))
    assert why in found and bool(why) == bool(found)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_row_to_the_digit_whoever_computes_it(tmp_path, monkeypatch) -> None:
    # Two processes need not compile again what one has compiled here.
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", jax.config.jax_compilation_cache_dir or "")
    asked = ["benchmark", "--studies", "influenza_hayden1996", "--no-discrepancy", "--seed", "3", "--starts", "2"]
    asked += ["--chains", "2", "--warmup", "30", "--draws", "30", "--quiet", "--out"]
    tables = []
    for workers in ("1", "2"):
        assert main([*asked, str(tmp_path / workers), "--parallel", workers]) == 0
        told = json.loads((tmp_path / workers / "benchmark.json").read_text(encoding="utf-8"))["rows"]
        tables.append([{name: value for name, value in row.items() if name not in VARYING} for row in told])
    assert tables[0] == tables[1]
    assert [(row["split"], row["discrepancy_note"]) for row in tables[0]] == [
        ("time", "not asked for"), ("experiment", "not asked for")
    ]  # fmt: skip
    for row in tables[0]:
        assert list(row) == [name for name in COLUMNS if name not in VARYING]
        assert np.isfinite([row[name] for name in ("gap", "crps", "elpd", "elpd_se", "energy_score", "pit_p")]).all()
        assert 0 <= row["k_high"] <= 1


@pytest.mark.slow
def test_a_row_with_a_discrepancy(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("calibration.sim2real.assessment.Assessment.to_html", lambda self, path: path.write_text("x"))
    for part in ("rows", "pages"):
        (tmp_path / part).mkdir()
    row, fresh = perform(Task("influenza_hayden1996", "experiment"), SETTINGS, tmp_path, quiet=True)
    assert fresh and "error" not in row
    assert 0 < row["discrepancy_low"] < row["discrepancy"] < row["discrepancy_high"]
    assert row["crps_discrepancy"] > 0 and 0 <= row["coverage_90_discrepancy"] <= 1
    halves = SETTINGS["draws"] // 2  # split R-hat is never below the root of (n - 1) / n, n draws in half a chain
    assert row["r_hat_discrepancy"] >= np.sqrt((halves - 1) / halves) and row["discrepancy_note"] == ""
