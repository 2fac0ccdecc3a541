"""PEtab's maths is read by our own parser: its meaning agrees with petab's, except where petab's is a trap."""

from __future__ import annotations

import math

import pytest

from twin.errors import FormulaError
from twin.model.formula import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2^2^3", 256.0),
        ("-2^4", -16.0),
        ("9 * 3 ^ -2", 1.0),
        ("log(100, 10)", 2.0),
        ("piecewise(1, 2 > 1 && 3 != 4, 0)", 1.0),
        ("piecewise(1, !(2 > 1), 5, 1 == 1, 0)", 5.0),
        ("1 / 2 / 4", 0.125),
        ("sign(-3) + abs(-2) + min(1, 2) + max(3, 4)", 6.0),
        ("arcsinh(sinh(0.3)) + sech(0)", 1.3),
    ],
)
def test_values(text: str, value: float) -> None:
    assert math.isclose(float(parse(text)), value, rel_tol=1e-12)


def test_mixed_and_or_is_refused_rather_than_read_from_left_to_right() -> None:
    with pytest.raises(FormulaError, match="side by side"):
        parse("piecewise(0, true || false && false, 1)")
