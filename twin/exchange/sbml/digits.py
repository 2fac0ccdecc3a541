"""Numbers with all their digits: libsbml writes 15, a double needs up to 17.

Where 15 are too few a number that nothing else uses stands in its place until the text is there. A trajectory can
magnify the sixteenth digit a million times: the pathogen of Crauste et al. (2017) when it is about to be cleared.
"""

from __future__ import annotations

import re
import sys
from decimal import Decimal

from twin.errors import ModelError

_PLACES = 10_000_000
"""Most numbers of one document."""


class Digits:
    """Stand-ins for numbers of one document.

    Args:
        start: What stand-ins begin with, eight digits.
    """

    def __init__(self, start: int = 81_234_567) -> None:
        self._start = start
        self._texts: list[str] = []

    def attribute(self, value: float) -> float:
        """A value for one of libsbml's attributes."""
        value = _normal(float(value))
        return value if float(f"{value:.15g}") == value else self._stand_in(repr(value))

    def element(self, value: float) -> str:
        """A real number as MathML.

        As a decimal, not with an exponent: libsbml multiplies mantissa and power when it reads, which rounds.
        """
        if _normal(value) and not 1e-40 < abs(value) < 1e40:
            mantissa, _, exponent = repr(value).partition("e")
            inside = f"{self._stand_in(mantissa):.0f}<sep/>{int(exponent or 0)}"
            return f'<cn type="e-notation">{inside}</cn>'
        text = format(Decimal(repr(value)), "f")
        if "e" in repr(value) or float(f"{value:.15g}") != value:
            text = f"{self._stand_in(text):.0f}"
        return f"<cn>{text}</cn>"

    def _stand_in(self, text: str) -> float:
        self._texts.append(text)
        return float(self._start * _PLACES + len(self._texts) - 1)

    def restored(self, text: str) -> str | None:
        """The document with all digits; None if a stand-in is also something else there."""
        pattern = re.compile(rf"(?<![\w.+-]){self._start}(\d{{7}})(?![\w.])")
        found = sorted(int(match) for match in pattern.findall(text))
        if found != list(range(len(self._texts))):
            return None
        return pattern.sub(lambda match: self._texts[int(match[1])], text)


def _normal(value: float) -> float:
    if value and abs(value) < sys.float_info.min:
        raise ModelError(
            f"the number {value} cannot be written to SBML",
            where="write_sbml",
            expected=f"0, or at least {sys.float_info.min}: libsbml reads nothing smaller",
        )
    return value
