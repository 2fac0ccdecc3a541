"""Numbers, names and tables as a page of stores writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from twin.markup import Markup, tag
from twin.units import pretty


def number(value: float, digits: int = 4) -> str:
    """A number; "∞" where it is infinite, a dash where there is none."""
    if value != value:
        return "–"
    return ("∞" if value > 0 else "−∞") if math.isinf(value) else f"{value:.{digits}g}".replace("-", "−")


def spread(middle: float, low: float, high: float) -> str:
    """A number with the ends of its range or interval; a dash where there is none."""
    if middle != middle:
        return number(middle)
    return f"{number(middle)} ({number(low, 3)} to {number(high, 3)})"


def percent(share: float, low: float, high: float) -> str:
    """A share with its interval."""
    return "–" if share != share else f"{100 * share:.4g} % ({100 * low:.4g} to {100 * high:.4g})"


def points(difference: float, lower: float, upper: float) -> str:
    """A difference of shares with its interval, in percentage points."""
    if difference != difference:
        return "–"
    middle, below, above = (f"{100 * x:+.4g}".replace("-", "−") for x in (difference, lower, upper))
    return f"{middle} ({below} to {above})"


def labelled(name: str, unit: str) -> str:
    """A name with its unit in brackets."""
    return f"{name} [{pretty(unit)}]" if unit and pretty(unit) else name


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> Markup:
    """A table whose first column names its rows; it scrolls sideways where the window is narrow."""
    top = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    lines = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    inner = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", *lines))
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)
