"""What `assess` refuses before it computes anything."""

from __future__ import annotations

import pytest

from calibration import Problem, assess
from twin.errors import ProblemError
from twin.study import Estimate, Noise


def test_too_few_draws_for_leave_one_out(decay, table_of_rows) -> None:
    rows = [("e", "1", "y", t, v) for t, v in ((0.0, 2.1), (1.0, 1.3), (2.0, 0.7), (4.0, 0.2), (5.0, 0.1))]
    problem = Problem(decay, table_of_rows(rows), [Estimate("k", 0.01, 5.0)], Noise("normal", 0.1))
    with pytest.raises(ProblemError, match=r"2 chains of 10 draws are kept(.|\n)*at least 25 draws together"):
        assess(problem, chains=2, draws=10, quiet=True)
