"""Rows of the layers: names that machines rely on, numbers that thresholds are put on."""

from __future__ import annotations

import numpy as np

from calibration.sim2real.check_row import Check, check_table


def test_a_number_is_its_own_value_and_text_has_one_only_if_given() -> None:
    table = check_table(
        [
            Check("r_hat", "R-hat", np.float64(1.01), True, ""),
            Check("gap", "gap", "0.5 (0.4 to 0.6)", None, "", 0.5),
            Check("words", "words", "no power", None, ""),
        ]
    ).set_index("key")
    assert list(table.columns) == ["check", "result", "value", "passed", "powerless", "note"]
    assert table["value"].dtype == float
    assert table.loc["r_hat", "value"] == 1.01 and table.loc["gap", "value"] == 0.5
    assert np.isnan(table.loc["words", "value"])
    assert table.loc["r_hat", "passed"] is True and table.loc["gap", "passed"] is None
