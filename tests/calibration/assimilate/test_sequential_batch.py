"""Twins of real subjects that take in readings one by one, against NUTS given all of them at once."""

from __future__ import annotations

import pytest

from tests.benchmarks.living_twins import compare
from tests.calibration.sampling.small_studies import one_subject

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("assimilate_slow")]


@pytest.mark.parametrize(("study", "subject"), [("influenza_baccam2006", "1"), ("hiv_perelson1996", "A")])
def test_the_same_posterior(study: str, subject: str) -> None:
    *_, found = compare(one_subject(study, subject), runs=6, particles=400, draws=500)
    assert found.worst < found.limit, found.table.to_string()
