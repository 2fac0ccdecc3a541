"""Values as a reader wants to see them: three digits, true minus signs, a dash for what is not known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from numbers import Integral, Real

import numpy as np

DASH = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_missing(value: object) -> bool:
    """Whether a value is None, NaN, pandas' NA or NaT, or an empty string."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)  # NaN and NaT differ from themselves
    except (TypeError, ValueError):  # pandas' NA refuses a truth value, an array has several
        return not isinstance(value, np.ndarray)


def number(value: object, digits: int = 3, *, padded: bool = True) -> str:
    """A number with so many significant digits; powers of ten where it is very large or small.

    Args:
        value: The number.
        digits: Significant digits.
        padded: Keep zeros at the end, as a column of measured numbers does: 0.420, not 0.42.
    """
    if is_missing(value) or not isinstance(value, Real):
        return DASH if is_missing(value) else str(value)
    if isinstance(value, Integral):
        return f"{int(value):,}".replace("-", "−")
    x = float(value)
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    size = abs(x)
    if x == 0.0:
        text = "0"
    elif size >= 1e5 or size < 1e-3:
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        if not padded and "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        text = f"{mantissa} × {power_of_ten(int(exponent))}"
    elif size >= 10 ** (digits - 1):
        text = f"{x:,.0f}"
    else:
        text = f"{x:#.{digits}g}".rstrip(".") if padded else f"{x:.{digits}g}"
    return text.replace("-", "−")


def power_of_ten(exponent: int) -> str:
    """10 to the exponent, with superscript digits."""
    return "10" + str(exponent).translate(_SUPERSCRIPT)


def percent(value: object) -> str:
    """A share as whole percent."""
    return DASH if is_missing(value) else f"{100.0 * float(value):.0f} %".replace("-", "−")  # type: ignore[arg-type]


def two_places(value: object) -> str:
    """A gap or one of its ends: two decimals, "unbounded" where it has no end."""
    if is_missing(value):
        return DASH
    x = float(value)  # type: ignore[arg-type]
    return "unbounded" if math.isinf(x) else f"{x:.2f}".replace("-", "−")


def show(value: object) -> str:
    """Any value as text: truth values as words, numbers rounded, collections listed."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {show(item)}" for key, item in value.items()) or DASH
    if isinstance(value, np.ndarray):
        return show(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(show(item) for item in value) or DASH
    if is_missing(value):
        return DASH
    if isinstance(value, Real):
        return number(value, 4, padded=False)
    if isinstance(value, datetime | date):
        return value.isoformat(sep=" ", timespec="seconds") if isinstance(value, datetime) else str(value)
    return str(value)


def flatten(values: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """Entries of nested mappings, their keys joined by " / "."""
    for key, value in values.items():
        label = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{label} / ")
        else:
            yield label, value


def humanise(key: str) -> str:
    """A key as a phrase: underscores become spaces, the field's short names get their usual spelling."""
    text = str(key).replace("_", " ").strip()
    for found, usual in (
        ("r hat", "R-hat"),
        ("rhat", "R-hat"),
        ("ess", "ESS"),
        ("crps", "CRPS"),
        ("elpd", "ELPD"),
    ):
        text = re.sub(rf"\b{found}\b", usual, text)
    return text[:1].upper() + text[1:]


def forecaster(name: object) -> str:
    """A forecaster's name as one writes it."""
    return str(name).replace("gaussian", "Gaussian")


def natural(name: object) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts "2" before "10"."""
    parts = re.split(r"([0-9]+)", str(name))
    return tuple((0, int(part), "") if index % 2 else (1, 0, part) for index, part in enumerate(parts))


def shorten(text: object, length: int) -> str:
    """The text cut to a length, the cut marked by an ellipsis."""
    words = " ".join(str(text).split())
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"
