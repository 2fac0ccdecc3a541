"""Curves of PIT values: uniform ones stay inside, others leave, few say that they have no power."""

from __future__ import annotations

import numpy as np

from calibration.sim2real.pit_ecdf import pit_ecdf_check


def test_uniform_values_stay_inside_and_shifted_ones_leave() -> None:
    rng = np.random.default_rng(1)
    good = pit_ecdf_check("pit_ecdf", "PIT curve", rng.uniform(size=80))
    assert good.passed is True and good.value == 0
    bad = pit_ecdf_check("pit_ecdf", "PIT curve", rng.uniform(size=80) ** 3)
    assert bad.passed is False and bad.value > 0


def test_few_values_have_no_power() -> None:
    rng = np.random.default_rng(1)
    assert pit_ecdf_check("pit_ecdf", "PIT curve", rng.uniform(size=3)).result == "no power"
    five = pit_ecdf_check("pit_ecdf", "PIT curve", np.linspace(0.1, 0.9, 5))
    assert five.passed is None and "no power" in five.result
