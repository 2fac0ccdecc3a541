"""Units: reading, converting, comparing, showing."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin import units
from twin.errors import UnitError

COUNTED = ["cell", "copy", "virion", "TCID50", "PFU", "FFU", "CFU", "IU", "AU"]
VOLUMES = ["l", "ml", "ul", "dl"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("cells", "cell"),
        ("copies/ml", "copy/milliliter"),
        ("pfu", "PFU"),
        ("cfu/g", "CFU/gram"),
        ("tcid50", "TCID50"),
        ("a.u.", "AU"),
        ("A.U./h", "arbitrary_unit/hour"),
        ("d", "day"),
        ("1", "dimensionless"),
        ("", "dimensionless"),
        ("%", "percent"),
        ("mL", "ml"),
        ("1/day", "day^-1"),
        ("day**-1", "1/d"),
    ],
)
def test_spellings(text: str, same: str) -> None:
    assert units.parse(text) == units.parse(same)


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        (2.0, "day", "hour", 48.0),
        (1.0, "mg/l", "ug/ml", 1.0),
        (3.0, "1/h", "1/day", 72.0),
        (37.0, "degC", "kelvin", 310.15),
        (50.0, "percent", "dimensionless", 0.5),
        (5.0, "copies/ml", "copies/l", 5000.0),
        (1.0, "mol", "molecule", 6.02214076e23),
    ],
)
def test_conversion(value: float, source: str, target: str, expected: float) -> None:
    result = units.convert(value, source, target)
    assert isinstance(result, float)
    assert result == pytest.approx(expected, rel=1e-12)


def test_conversion_of_arrays_leaves_the_original_alone() -> None:
    given_values = np.array([[1.0, 2.0]])
    for target in ("l", "ml"):
        result = units.convert(given_values, "ml", target)
        assert result.shape == (1, 2)
        assert result is not given_values
        result[:] = 0.0
    np.testing.assert_array_equal(given_values, [[1.0, 2.0]])


@given(st.floats(-1e6, 1e6), st.sampled_from(COUNTED), st.sampled_from(VOLUMES), st.sampled_from(VOLUMES))
def test_conversion_there_and_back(value: float, counted: str, first: str, second: str) -> None:
    there = units.convert(value, f"{counted}/{first}", f"{counted}/{second}")
    back = units.convert(there, f"{counted}/{second}", f"{counted}/{first}")
    assert back == pytest.approx(value, rel=1e-12, abs=1e-300)


def test_each_counted_thing_is_a_dimension_of_its_own() -> None:
    for index, first in enumerate(COUNTED):
        for second in COUNTED[index + 1 :]:
            assert not units.same_dimension(first, second)
    assert units.same_dimension("copies/ml", "copy/l")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("dayz", "unknown unit 'dayz'(.|\n)*did you mean 'day'"),
        ("ml/TCD50/day", "unknown unit 'TCD50' in 'ml/TCD50/day'(.|\n)*did you mean 'TCID50'"),
        ("qqqqqqqq", "arbitrary_unit"),
        ("10^6 cells", "a number in it that is not an exponent"),
        ("9**9**9**9", "a number in it that is not an exponent"),
        ("day**9**9**9**9", "a number in it that is not an exponent"),
        ("day^1000000", "a number in it that is not an exponent"),
        ("ml" + "/ml" * 200, "not a unit"),
        ("ml/", "'ml/' is not a unit"),
        ("ml/(day", "is not a unit"),
        ("__import__('os')", "is not a unit"),
        ("pH", "logarithm"),
    ],
)
def test_nonsense_is_refused(text: str, match: str) -> None:
    with pytest.raises(UnitError, match=match):
        units.parse(text)


def test_errors_say_where() -> None:
    with pytest.raises(UnitError, match="^row 3: unknown unit 'dya'"):
        units.parse("dya", where="row 3")
    with pytest.raises(UnitError, match="^dose: 'day' cannot be converted to 'ml'"):
        units.convert(1.0, "day", "ml", where="dose")
    with pytest.raises(UnitError, match="the unit is a float"):
        units.parse(1.0)  # type: ignore[arg-type]
    with pytest.raises(UnitError, match="^state T: 'degC' is not proportional(.|\n)*kelvin"):
        units.scale("degC", where="state T")


@given(st.text(max_size=30))
def test_any_text_is_a_unit_or_a_unit_error(text: str) -> None:
    try:
        units.parse(text)
    except UnitError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dimensionless", ""),
        ("1", ""),
        ("percent", "%"),
        ("ml**2 / day", "ml²/day"),
        ("ml^-1", "ml⁻¹"),
        ("l / (kg * h)", "l/(kg·h)"),
        ("arbitrary_unit/h", "a.u./h"),
        ("day^(1/2)", "day^(1/2)"),
        ("ml/TCID50/day", "ml/TCID50/day"),
    ],
)
def test_pretty(text: str, shown: str) -> None:
    assert units.pretty(text) == shown


def test_scale_arithmetic() -> None:
    ml, litre, day = units.scale("ml"), units.scale("l"), units.scale("day")
    assert not ml.matches(litre)
    assert ml.factor_to(litre) == pytest.approx(1e-3, rel=1e-12)
    assert ml.factor_to(day) is None
    assert (ml / ml).is_one
    assert not units.scale("percent").is_one
    assert (ml**0.3 * ml**0.7).matches(ml)
    assert str(units.scale("ml/TCID50/day")) == "ml/TCID50/d"
    assert str(ml / ml) == "dimensionless"
    assert str((day**2.0) ** -1.0) == "1/d^2"
    assert units.scale("hour * kg").matches(units.scale("kg * hour"))


@given(st.sampled_from(COUNTED + VOLUMES), st.sampled_from(COUNTED + VOLUMES), st.floats(-3, 3))
def test_scale_text_reads_back(first: str, second: str, exponent: float) -> None:
    product = units.scale(first) * units.scale(second)
    assert units.scale(str(product)).matches(product)
    rounded = round(exponent, 2)
    assert (product**rounded / product**rounded).is_one


def test_import_does_not_load_pint() -> None:
    code = "import sys, twin.units; sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_application_registry_is_left_alone() -> None:
    import pint

    units.parse("TCID50")
    with pytest.raises(pint.UndefinedUnitError, match="TCID50"):
        pint.get_application_registry().parse_units("TCID50")
