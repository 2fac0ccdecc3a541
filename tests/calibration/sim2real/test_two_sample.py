"""Two-sample tests: their level under the null, their power under a large shift, and what they say without power."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.sim2real.series_checks import energy_check, series_checks
from calibration.sim2real.two_sample import TESTS


@pytest.mark.parametrize("key", TESTS)
def test_false_alarms_come_at_the_level_and_a_large_shift_is_found(key: str) -> None:
    _, test = TESTS[key]
    rng = np.random.default_rng(3)
    trials = 200 if key != "sliced_wasserstein" else 60
    alarms = sum(
        test(rng.standard_normal((8, 3)), rng.standard_normal((24, 3)), rng).p_value <= 0.1 for _ in range(trials)
    )
    # Three standard errors of a share of 0.1; ties only make a test more cautious.
    assert alarms / trials <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / trials)
    assert alarms > 0
    found = sum(
        test(rng.standard_normal((8, 3)) + 3.0, rng.standard_normal((24, 3)), rng).p_value < 0.05 for _ in range(20)
    )
    assert found >= 19


def test_a_true_twin_passes_a_broken_one_fails_and_few_series_have_no_power(table_of) -> None:
    table = table_of(lambda t: np.sin(t), times=np.linspace(0, 4, 5), sd=0.3, subjects=30)
    truth = np.sin(table["time"].to_numpy())
    draws = truth + 0.3 * np.random.default_rng(9).standard_normal((300, len(table)))
    none = np.full(len(table), -np.inf)
    good = {c.key: c for c in series_checks(table, draws, scale={}, limits=none)}
    bad = {c.key: c for c in series_checks(table, draws + 1.0, scale={}, limits=none)}
    assert list(good) == list(TESTS)
    assert all(c.passed is not False for c in good.values()) and good["mmd"].passed
    assert all(c.passed is False and c.value < 0.05 for c in bad.values())
    for shift, expected in ((0.0, True), (1.0, False)):
        energy = energy_check("energy_score", "energy score", table, draws + shift, scale={}, limits=none)
        assert energy.passed is expected
    few = (table["subject"].astype(int) <= 3).to_numpy()
    for check in series_checks(table[few], draws[:, few], scale={}, limits=none[few]):
        assert check.passed is None and "no power" in check.result
    one = (table["subject"] == "1").to_numpy()
    for check in series_checks(table[one], draws[:, one], scale={}, limits=none[one]):
        assert check.passed is None and check.result == "no power"


def test_series_on_different_times_are_compared_by_summaries(table_of) -> None:
    table = table_of(lambda t: np.sin(t), times=np.linspace(0, 4, 5), sd=0.3, subjects=12)
    keep = np.arange(len(table)) % 7 > 0
    draws = np.sin(table["time"].to_numpy()) + 0.3 * np.random.default_rng(2).standard_normal((200, len(table)))
    checks = series_checks(table[keep], draws[:, keep], scale={}, limits=np.full(int(keep.sum()), -np.inf))
    assert all("summaries" in c.note for c in checks)
