"""Units of measurement, with those that biologists count in: read, compared, converted, shown.

Units are checked and converted where data and models enter; inside, everything is plain float64. Each thing
that is counted (cells, RNA copies, infectious units, colonies, international units, arbitrary units) is a
dimension of its own: a cell is not a virion, and dividing one by the other leaves ``cell/TCID50``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from jaxtyping import Float

from twin.errors import UnitError, nearest

if TYPE_CHECKING:
    import pint

DIMENSIONLESS = "dimensionless"

# Name, symbol and other spellings. pint's own AU (absorbance) gives way to the arbitrary unit of blots and
# gels.
_COUNTED = (
    "cell = [cell] = cell = cells",
    "copy = [copy] = copy = copies",
    "virion = [virion] = virion = virions",
    "TCID50 = [TCID50] = TCID50 = tcid50 = TCID_50",
    "plaque_forming_unit = [plaque_forming_unit] = PFU = pfu",
    "focus_forming_unit = [focus_forming_unit] = FFU = ffu",
    "colony_forming_unit = [colony_forming_unit] = CFU = cfu",
    "international_unit = [international_unit] = IU",
    "arbitrary_unit = [arbitrary_unit] = AU",
)

# What a misspelt unit is compared with first: pint knows a thousand others that nobody here means.
_COMMON = (
    *("second", "minute", "min", "hour", "h", "day", "d", "week", "month", "year"),
    *("liter", "l", "dl", "ml", "ul", "nl", "pl", "fl", "meter", "cm", "mm", "um"),
    *("gram", "kg", "g", "mg", "ug", "ng", "pg", "mole", "mol", "mmol", "umol", "nmol", "pmol"),
    *("molar", "M", "mM", "uM", "nM", "pM", "kelvin", "molecule", "percent", DIMENSIONLESS),
    *(
        "cell",
        "cells",
        "copy",
        "copies",
        "virion",
        "virions",
        "TCID50",
        "tcid50",
        "PFU",
        "pfu",
        "FFU",
        "CFU",
        "cfu",
    ),
    *("IU", "AU", "arbitrary_unit", "international_unit"),
)
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_EXPONENT = rf"\s*(?:\*\*|\^)\s*(?:\(\s*[+-]?{_NUMBER}(?:\s*/\s*{_NUMBER})?\s*\)|[+-]?{_NUMBER})"
_LARGEST_EXPONENT = 100
_LONGEST = 200
_SUPERSCRIPT = str.maketrans("0123456789-+.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺·")


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry:
    # pint is imported at the first use of a unit: it takes half a second. The registry is our own, so that
    # nothing here changes the application's registry of a user who works with pint too.
    import pint

    registry = pint.UnitRegistry(on_redefinition="ignore")
    for definition in _COUNTED:
        registry.define(definition)
    return registry


def parse(text: str, *, where: str | None = None) -> pint.Unit:
    """Reads a unit such as ``"ml/TCID50/day"``, ``"1/h"``, ``"ng/ml"`` or ``"percent"``.

    ``""`` and ``"1"`` are dimensionless; ``"a.u."`` is the arbitrary unit.

    Raises:
        UnitError: The text is not a unit. The message names the nearest known unit.
    """
    if not isinstance(text, str):
        raise UnitError(f"the unit is a {type(text).__name__}", where=where, expected="text such as 'ml/day'")
    try:
        return _parse(text)
    except UnitError as error:
        raise UnitError(error.found, where=where, expected=error.expected, fix=error.fix) from None


@lru_cache(maxsize=4096)
def _parse(text: str) -> pint.Unit:
    import pint

    _refuse_arithmetic(text)
    if re.search(r"\bpH\b", text):  # pint reads picohenry
        raise UnitError("pH is a logarithm, not a unit", fix="declare it 'dimensionless'")
    spelled = re.sub(r"\ba\.\s?u\.", "arbitrary_unit", text.strip(), flags=re.IGNORECASE)
    try:
        return _registry().parse_units(spelled)
    except pint.UndefinedUnitError as error:
        names = error.unit_names
        unknown = names if isinstance(names, str) else sorted(names)[0]
        close = nearest(unknown, _COMMON) or nearest(unknown, dir(_registry()))
        raise UnitError(
            f"unknown unit {unknown!r}" + (f" in {text!r}" if unknown != text else ""),
            expected="a unit such as 'day', 'ml', 'ug', 'cell', 'TCID50', 'copies/ml', '1/h'",
            fix=f"did you mean {close!r}?" if close else "use 'arbitrary_unit' for a scale of your own",
        ) from None
    except Exception as error:
        # pint lets a dozen kinds of exception out of its tokenizer, from AssertionError to TypeError.
        raise UnitError(
            f"{text[:100]!r} is not a unit ({str(error)[:100] or type(error).__name__})",
            expected="names joined by '*', '/' and '^', without a number in front",
        ) from None


def _refuse_arithmetic(text: str) -> None:
    """Refuses numbers other than exponents and 1: pint would compute ``9**9**9**9``, which has no end."""
    exponents = re.findall(_EXPONENT, text)
    rest = re.sub(_EXPONENT, " ", text)
    numbers = [number for exponent in exponents for number in re.findall(_NUMBER, exponent)]
    if (
        len(text) <= _LONGEST
        and not re.search(rf"(?:{_EXPONENT}){{2}}", text)
        and all(float(number) <= _LARGEST_EXPONENT for number in numbers)
        and all(number == "1" for number in re.findall(r"(?<![A-Za-z0-9_.])[0-9.][0-9.eE]*", rest))
    ):
        return
    raise UnitError(
        f"{text[:100]!r} is not a unit: it has a number in it that is not an exponent",
        expected="names joined by '*', '/' and '^', without a number in front",
        fix="put the factor into the values",
    )


@overload
def convert(value: float, source: str, target: str, where: str | None = None) -> float: ...
@overload
def convert(value: Float[np.ndarray, "..."], source: str, target: str, where: str | None = None) -> np.ndarray: ...
def convert(value: Any, source: str, target: str, where: str | None = None) -> Any:
    """Converts numbers from one unit to another.

    Args:
        value: A number, or an array of any shape [source].
        source: Unit of the numbers.
        target: Unit wanted.
        where: What is converted, for messages.

    Returns:
        A float for a number, a new float64 array for an array [target].

    Raises:
        UnitError: A unit is unknown, or the two do not measure the same thing.

    Example:
        >>> convert(2.0, "day", "hour")
        48.0
    """
    import pint

    old, new = parse(source, where=where), parse(target, where=where)
    array = np.asarray(value, dtype=np.float64)
    if old == new:
        converted = array.copy()
    else:
        try:
            converted = _registry().Quantity(array, old).to(new).magnitude
        except pint.DimensionalityError:
            raise UnitError(
                f"{source!r} cannot be converted to {target!r}: they measure different things",
                where=where,
                expected=f"a unit of the dimension of {target!r}",
            ) from None
    return float(converted) if np.ndim(value) == 0 else converted


def same_dimension(first: str, second: str) -> bool:
    """True if numbers can be converted from one unit to the other.

    Raises:
        UnitError: A unit is unknown.
    """
    return parse(first).dimensionality == parse(second).dimensionality


def pretty(text: str) -> str:
    """A unit for display, in the author's own spelling: ``"ml**2 / day"`` becomes ``"ml²/day"``."""
    shown = re.sub(r"\s+", " ", text.strip())
    if shown in ("", "1", DIMENSIONLESS):
        return ""
    if shown == "percent":
        return "%"
    shown = shown.replace("arbitrary_unit", "a.u.")
    shown = re.sub(
        rf"\s*(?:\*\*|\^)\s*(?:\(([+-]?{_NUMBER})\)|([+-]?{_NUMBER}))",
        lambda match: (match[1] or match[2]).translate(_SUPERSCRIPT),
        shown,
    )
    return re.sub(r"\s*\*\s*", "·", re.sub(r"\s*/\s*", "/", shown))


@dataclass(frozen=True)
class Scale:
    """A unit as a product of powers of registered units, for checking formulas.

    Unlike a pint unit it takes any real exponent, and two scales are the same only if a number means the same
    in both: ``ml`` and ``l`` differ.

    Args:
        powers: Exponent by registered unit name, zeros left out.
    """

    powers: Mapping[str, float] = field(default_factory=dict)

    def __mul__(self, other: Scale) -> Scale:
        powers = dict(self.powers)
        for name, exponent in other.powers.items():
            powers[name] = powers.get(name, 0.0) + exponent
        return Scale({name: exponent for name, exponent in powers.items() if abs(exponent) > _ROUNDING})

    def __pow__(self, exponent: float) -> Scale:
        return Scale({name: power * exponent for name, power in self.powers.items() if exponent})

    def __truediv__(self, other: Scale) -> Scale:
        return self * other**-1.0

    def matches(self, other: Scale) -> bool:
        """True if a number in one unit is the same number in the other."""
        return (self / other).is_one

    @property
    def is_one(self) -> bool:
        """True for the dimensionless unit itself; False for percent, which is a hundredth of it."""
        logarithm, dimensions = self._base
        return abs(logarithm) < _ROUNDING and all(abs(power) < _ROUNDING for power in dimensions.values())

    def factor_to(self, other: Scale) -> float | None:
        """How many `other` one of these is, or None if they measure different things."""
        logarithm, dimensions = (self / other)._base
        if any(abs(power) >= _ROUNDING for power in dimensions.values()):
            return None
        return math.exp(logarithm)

    @property
    def _base(self) -> tuple[float, dict[str, float]]:
        """Logarithm of the factor to base units, and the exponent of each base unit."""
        logarithm, dimensions = 0.0, {}
        for name, exponent in self.powers.items():
            factor, bases = _base_units(name)
            logarithm += exponent * factor
            for base, power in bases.items():
                dimensions[base] = dimensions.get(base, 0.0) + exponent * power
        return logarithm, dimensions

    def __str__(self) -> str:
        above = [_power(name, power) for name, power in self.powers.items() if power > 0]
        below = [_power(name, -power) for name, power in self.powers.items() if power < 0]
        if not above and not below:
            return DIMENSIONLESS
        return "/".join(["*".join(above) or "1", *below])


# Exponents are sums of a few decimal numbers, factors products of a few conversions: both far better than
# this.
_ROUNDING = 1e-9


def _power(name: str, exponent: float) -> str:
    symbol = _registry().get_symbol(name)
    return symbol if math.isclose(exponent, 1.0) else f"{symbol}^{exponent:g}"


@lru_cache(maxsize=4096)
def _base_units(name: str) -> tuple[float, Mapping[str, float]]:
    one = _registry().Quantity(1.0, name).to_base_units()
    return math.log(one.magnitude), MappingProxyType(_exponents(one))


def _exponents(quantity: Any) -> dict[str, float]:
    return {name: float(power) for name, power in quantity.unit_items()}


@lru_cache(maxsize=4096)
def _scale(text: str) -> Scale:
    unit = _parse(text)
    registry = _registry()
    if registry.Quantity(0.0, unit).to_base_units().magnitude != 0:
        raise UnitError(
            f"{text!r} is not proportional to what it measures, so formulas cannot calculate with it",
            fix="use 'kelvin', or the plain ratio instead of decibels",
        )
    return Scale(_exponents(registry.Quantity(1.0, unit)))


def scale(text: str, *, where: str | None = None) -> Scale:
    """Reads a unit for checking formulas.

    Raises:
        UnitError: The text is not a unit, or is one with an offset (``degC``) or a logarithm (``dB``).
    """
    parse(text, where=where)
    try:
        return _scale(text)
    except UnitError as error:
        raise UnitError(error.found, where=where, fix=error.fix) from None
