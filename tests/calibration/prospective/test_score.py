"""Scores of frozen predictions: the numbers, and which reading belongs to which prediction."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from calibration.prospective.score import score
from calibration.sim2real.scores import score_readings
from twin.errors import MeasurementError
from twin.measurements import Measurements

VALUES = [1.3, 0.7, 0.5, 0.2]


def table(times=(1.0, 2.0, 3.0, 4.0), values=VALUES, subject="1") -> pd.DataFrame:
    keys = {"experiment": "e", "subject": subject, "observable": "y", "time": list(times), "value": list(values)}
    return pd.DataFrame(keys).assign(noise=np.nan, censoring="")


def test_numbers_are_those_of_the_frozen_draws(frozen_of) -> None:
    frozen = frozen_of()
    result = score(frozen, table())
    expected = score_readings(table(), frozen.reading)
    np.testing.assert_allclose(result.scores["crps"], expected["crps"], rtol=1e-11)
    density = norm.logpdf(np.array(VALUES), frozen.value, frozen.scale)
    elpd = logsumexp(density, axis=0) - np.log(len(density))
    np.testing.assert_allclose(result.scores["elpd"], elpd, rtol=1e-12)
    np.testing.assert_allclose(result.scores["floor"], 0.1 / np.sqrt(np.pi), rtol=1e-12)  # no detection limit
    assert result.gap.baselines.keys() == {"mean"}
    assert result.gap.left_out["spline"] == "too few"
    assert result.gap.value < 1.0
    assert result.verdict.label == "no better"  # four readings are two blocks of neighbours: too few to say more
    assert result.unread.empty


def test_a_censored_reading_is_a_probability(frozen_of) -> None:
    readings = table().assign(censoring=["", "", "", "left"])
    result = score(frozen_of(), readings)
    frozen = frozen_of()
    below = norm.logcdf(VALUES[3], frozen.value[:, 3], 0.1)
    assert result.scores["elpd"].iloc[3] == pytest.approx(logsumexp(below) - np.log(len(below)), rel=1e-12)


def test_units_are_converted(frozen_of) -> None:
    minutes = table(times=[60.0, 120.0, 180.0, 240.0], values=[1e-3 * value for value in VALUES])
    given = Measurements.from_table(minutes, time_unit="minute", value_units="gram")
    plain, converted = score(frozen_of(), table()), score(frozen_of(), given)
    np.testing.assert_allclose(converted.scores["crps"], plain.scores["crps"], rtol=1e-12)


def test_order_and_gaps_in_the_readings_do_not_matter(frozen_of) -> None:
    whole, part = score(frozen_of(), table()), score(frozen_of(), table((4.0, 2.0), (0.2, 0.7)))
    np.testing.assert_allclose(part.scores["crps"], whole.scores["crps"].iloc[[3, 1]], rtol=1e-11)
    assert list(part.unread["time"]) == [1.0, 3.0]
    assert "2 predicted readings were not made" in str(part)


def test_replicates_take_their_rows_in_turn(frozen_of) -> None:
    design = frozen_of().design.assign(time=[1.0, 1.0, 3.0, 4.0])
    frozen = frozen_of(design=design)
    result = score(frozen, table((1.0, 1.0, 1.0), (1.3, 1.2, 1.1)))
    expected = score_readings(table((1.0, 1.0, 1.0), (1.3, 1.2, 1.1)), frozen.reading[:, [0, 1, 1]])
    np.testing.assert_allclose(result.scores["crps"], expected["crps"], rtol=1e-11)


def test_a_reading_that_was_not_predicted_is_refused(frozen_of) -> None:
    with pytest.raises(
        MeasurementError, match=r"reading 2: experiment 'e', subject '1', y at time 2.5 was not predict"
    ):
        score(frozen_of(), table((2.0, 2.5), (0.7, 0.6)))
    with pytest.raises(MeasurementError, match="subject '7', y at time 1 was not predicted"):
        score(frozen_of(), table(subject="7"))


def test_the_record_says_what_was_opened_when(frozen_of, tmp_path) -> None:
    frozen = frozen_of()
    result = score(frozen, table())
    paths = result.save(tmp_path)
    record = json.loads(paths[1].read_text())
    assert record["predictions_sha256"] == frozen.sha256
    assert record["frozen_at"] == "2026-01-02T03:04:05+00:00" < record["opened_at"]
    assert record["crps"]["twin"] == pytest.approx(result.scores["crps"].mean())
    assert len(pd.read_csv(paths[0])) == 4
