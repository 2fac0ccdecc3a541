"""The benchmark's page: every row is there with its verdict, in words, signs and shapes, and nothing is loaded."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from calibration.benchmark.record import COLUMNS
from calibration.report.leaderboard import VERDICTS, leaderboard


def row(dataset: str, verdict: str, gap: tuple[float, float, float], **changes: Any) -> dict[str, Any]:
    """A row of the table, its gap with both ends."""
    text = {"dataset": dataset, "study": dataset, "split": "time", "model": "m", "pooling": "", "baseline": "spline"}
    known = {"verdict": verdict, "gap": gap[0], "gap_low": gap[1], "gap_high": gap[2], "versions": "cytotwin 0"}
    numbers = {"crps": 0.5, "crps_baseline": 1.0, "r_hat": 1.0, "divergences": 0, "k_high": 0.0, "seconds": 3.0}
    rest = {"data_sha256": "ab" * 32, "discrepancy_of": ""}
    return dict.fromkeys(COLUMNS, math.nan) | text | known | numbers | rest | changes


ROWS = [
    row("flu", "better", (0.3, 0.1, 0.6), pooling="partial"),
    row("flu", "no better", (0.9, -math.inf, math.inf), pooling="complete"),
    row("cells", "worse", (7.0, 2.0, 9.0), r_hat=1.2, divergences=4, k_high=0.5),
    row("drug <script>", "undefined", (math.nan, math.nan, math.nan)),
]
LINKS = [f"pages/{i}.html" for i in range(len(ROWS))]


def test_every_row_is_named_judged_and_linked() -> None:
    text = leaderboard(ROWS, LINKS, {"seed": 7})
    HTMLParser().feed(text)
    assert "<script>" not in text
    for link, one in zip(LINKS, ROWS, strict=True):
        assert f'href="{link}"' in text
        assert VERDICTS[one["verdict"]][3] in text
    assert "1 of 4" in text
    assert "unbounded" in text
    assert "R-hat 1.200, 4 divergent, 50 % of k-hats above 0.7" in text
    assert re.search(r">seed<.*?>7<", text, re.IGNORECASE | re.DOTALL)
    label = re.search(r'aria-label="(Gap with interval[^"]*)"', text)
    assert label is not None and "cells time: 7.00 (2.00 to 9.00), worse" in label[1]


def test_nothing_is_loaded_and_colours_are_not_alone() -> None:
    text = leaderboard(ROWS, LINKS, {})
    assert not re.search(r'(src|href)="https?:', text)
    assert "url(http" not in text and "@import" not in text
    assert len({marker for marker, *_ in VERDICTS.values()}) == len({sign for _, _, sign, _ in VERDICTS.values()}) == 4
    assert all(f"--{name}: " in text for name in ("win", "tie", "lose"))
    assert "#010a" not in text  # no placeholder is left
    assert leaderboard(ROWS, LINKS, {}) == text


def test_no_row_is_no_error() -> None:
    assert "No row is finished yet" in leaderboard([], [], {})


@pytest.mark.parametrize("size", [0.4, 1.5])
def test_a_discrepancy_is_shown_once_it_is_measured(size: float) -> None:
    measured = {"discrepancy_of": "titre", "discrepancy": size, "discrepancy_low": 0.1, "discrepancy_high": 2.0}
    assert "titre" not in leaderboard(ROWS, LINKS, {})
    assert f"{size:.2f}"[:3] in leaderboard([ROWS[0] | measured], LINKS[:1], {})
