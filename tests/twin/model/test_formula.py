"""Formulas: reading, refusing, printing, and agreement with PEtab's own parser."""

import math

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.errors import FormulaError
from twin.model.formula import MAX_LENGTH, parse
from twin.model.functions import FUNCTIONS, OF_TRAJECTORIES
from twin.model.grammar import MAX_DEPTH
from twin.model.printing import to_text
from twin.model.symbols import symbol

X, Y, Z = (symbol(name) for name in "xyz")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + y*z", X + Y * Z),
        ("-x^2", -(X**2)),
        ("x^-2", X**-2),
        ("x**2", X**2),
        ("2^3^2", sp.Integer(512)),
        ("2*-x", -2 * X),
        ("x - -y", X + Y),
        ("x/y/z", X / (Y * Z)),
        ("1/3*x", X / 3),
        ("x^0.5", sp.sqrt(X)),
        (".5", sp.Rational(1, 2)),
        ("1e3", sp.Integer(1000)),
        ("  x\n+ 1", X + 1),
        ("pow(x, y)", X**Y),
        ("log(x)", sp.log(X)),
        ("log(x, 2)", sp.log(X) / sp.log(2)),
        ("log10(x)", sp.log(X) / sp.log(10)),
        ("min(x, y, z)", sp.Min(X, Y, Z)),
        ("floor(x) + ceil(y)", sp.floor(X) + sp.ceiling(Y)),
        ("true + false", sp.Integer(1)),
        ("piecewise(1, x > 2, 0)", sp.Piecewise((1, X > 2), (0, True))),
        ("piecewise(1, x, 0)", sp.Piecewise((1, sp.Ne(X, 0)), (0, True))),
        ("(x > 2)*3", 3 * sp.Piecewise((1, X > 2), (0, True))),
        (
            "piecewise(x, x > 1 && y < 2 && z == 3, y)",
            sp.Piecewise((X, sp.And(X > 1, Y < 2, sp.Eq(Z, 3))), (Y, True)),
        ),
        ("piecewise(x, !(x > 1) || y != 2, y)", sp.Piecewise((X, sp.Or(X <= 1, sp.Ne(Y, 2))), (Y, True))),
    ],
)
def test_meaning(text: str, expected: sp.Expr) -> None:
    assert sp.nsimplify(parse(text), rational=True) == sp.nsimplify(expected, rational=True)


def test_symbols_are_real_and_may_be_named_like_sympy_constants() -> None:
    expression = parse("I * E * S * N * pi * lambda * beta * gamma")
    assert {str(item) for item in expression.free_symbols} == {
        "I",
        "E",
        "S",
        "N",
        "pi",
        "lambda",
        "beta",
        "gamma",
    }
    assert all(item.is_real for item in expression.free_symbols)


def test_numbers_pass() -> None:
    assert parse(3) == 3
    assert parse(0.1) == sp.Float(0.1)
    assert parse(X + 1) == X + 1
    assert isinstance(parse(2.0), sp.Integer)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "the formula ends at position 1(.|\n)*expected: a number, a name"),
        ("x +", r"the formula ends at position 4 of 'x \+'"),
        ("x y", r"unexpected 'y' at position 3(.|\n)*expected: an operator"),
        ("2x", "unexpected 'x' at position 2"),
        ("x = 3", "unexpected '=' at position 3(.|\n)*write =="),
        ("x & y", "write &&"),
        ("x and y", "write &&"),
        ("(x + 1", r"the formula ends at position 7(.|\n)*close the '\(' at position 1"),
        ("x)", r"unexpected '\)' at position 2"),
        ("sin(x, y)", "'sin' with 2 at position 1(.|\n)*expected: 1 argument"),
        ("log(x, y, z)", "expected: 1 or 2 arguments"),
        ("min(x)", "expected: at least 2 arguments"),
        ("exp()", r"unexpected '\)' at position 5"),
        ("exp", r"a function without arguments(.|\n)*'\(' after the function 'exp'"),
        ("x + Exp(y)", "unknown function 'Exp' at position 5(.|\n)*did you mean 'exp'"),
        ("k(x + 1)", r"unknown function 'k'(.|\n)*a product needs '\*'"),
        ("piecewise(1, x > 2)", "piecewise with 2 arguments"),
        ("1 < x < 3", "a second comparison '<' at position 7(.|\n)*a < b && b < c"),
        ("x || y && z", r"&& and \|\| side by side at position 8"),
        ("α + x", "unexpected 'α' at position 1"),
        ("x; y", "unexpected ';' at position 2"),
        ("x.real", "unexpected '.' at position 2"),
        ("__import__('os').system('ls')", "unknown function '__import__'"),
        ("inf", "unexpected 'inf'(.|\n)*finite"),
        ("NaN*x", "unexpected 'NaN'"),
        ("1e400", "a number too large at position 1"),
        ("1/0", "a division by zero at position 2"),
        ("x/(2 - 2)", "a division by zero at position 2"),
        ("sqrt(-1)", "'sqrt' has no value for -1"),
        ("(-8)^(1/3)", r"'\^' has no value for -8, 0.333333"),
        ("log(0)", "'log' has no value for 0"),
        ("log(x, 1)", "is not finite"),
        ("sqrt(-x^2)", "is not real"),
        ("min(x, sqrt(-x^2))", "is not real|has no real value"),
        ("sqrt(-x^2) < 1", "is not real|has no real value"),
        ("exp(1e9)", r"'exp' has no value for 1e\+09"),
        ("10^10^10^10", r"'\^' has no value for 10, 1e\+10 at position 6"),
        ("(((2*x)^1000)^1000)^1000", r"'\^' has no value"),
        ("(2*x)^1000000", "is not finite"),
    ],
)
def test_refused(text: str, match: str) -> None:
    with pytest.raises(FormulaError, match=match):
        parse(text)


def test_errors_say_where() -> None:
    with pytest.raises(FormulaError, match="^rate of r: unexpected '/' at position 5"):
        parse("x **/ y", where="rate of r")
    with pytest.raises(FormulaError, match="^rate of r: a formula is a list"):
        parse([1], where="rate of r")  # type: ignore[arg-type]
    with pytest.raises(FormulaError, match="^a: the value is nan"):
        parse(math.nan, where="a")


def test_long_message_shows_the_place() -> None:
    with pytest.raises(FormulaError, match=r"position 2003 of '\.\.\.x\+") as caught:
        parse("x+" * 1000 + "x x" + "+x" * 1000)
    assert len(str(caught.value)) < 400


def test_long_formulas() -> None:
    terms = "+".join(f"a{index}*x" for index in range(3000))
    assert len(parse(terms).args) == 3000
    with pytest.raises(FormulaError, match="100,001 characters"):
        parse("x" * (MAX_LENGTH + 1))


@pytest.mark.parametrize("opening", ["(", "-(", "!(", "sin(", "1/(1+", "log(1+", "x^(", "min(x,", "abs("])
def test_deep_formulas_are_read_or_refused_at_once(opening: str) -> None:
    levels = MAX_DEPTH // 2 - 2
    parse(opening * levels + "y" + ")" * levels)
    with pytest.raises(FormulaError, match="nests too deeply"):
        parse(opening * 5000 + "y" + ")" * 5000)


def test_parsing_is_cached() -> None:
    assert parse("x*y + sin(z)*17") is parse("x*y + sin(z)*17")


_OF_ONE_NUMBER = [name for name, each in FUNCTIONS.items() if each.fewest == 1 and name not in OF_TRAJECTORIES]


@pytest.mark.parametrize("name", _OF_ONE_NUMBER)
@pytest.mark.parametrize("at", [0.3, 0.8, 1.7, 2.5])
def test_numbers_and_symbols_agree(name: str, at: float) -> None:
    """What is computed for numbers is what the symbolic function gives."""
    symbolic = parse(f"{name}(x)").subs(X, sp.Float(at))
    value = complex(sp.N(symbolic))
    if abs(value.imag) > 1e-12 or not math.isfinite(value.real):
        with pytest.raises(FormulaError, match="has no value"):
            parse(f"{name}({at})")
    else:
        assert float(parse(f"{name}({at})")) == pytest.approx(value.real, rel=1e-12)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    condition = st.builds("{} {} {}".format, inner, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner)
    both = st.builds("({}) {} ({})".format, condition, st.sampled_from(["&&", "||"]), condition)
    return st.one_of(
        st.builds("({}) {} ({})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*"), inner),
        st.builds("({}) / (1 + ({})^2)".format, inner, inner),
        st.builds("({})^{}".format, inner, st.sampled_from(["2", "3", "0.5", "n", "(-1)"])),
        st.builds("-({})".format, inner),
        st.builds("{}({})".format, st.sampled_from(["exp", "sin", "tanh", "abs", "sqrt", "log10", "ln"]), inner),
        st.builds("min({}, {})".format, inner, inner),
        st.builds("piecewise({}, {}, {})".format, inner, st.one_of(condition, both), inner),
    )


LEAVES = st.one_of(
    st.sampled_from(["x", "y", "k_1", "time"]),
    st.sampled_from(["0", "1", "2", "0.25", "1e-3", "12.5"]),
)
FORMULAS = st.recursive(LEAVES, _grow, max_leaves=6)


@settings(max_examples=150, deadline=None)
@given(FORMULAS)
def test_printing_reads_back(text: str) -> None:
    try:
        expression = parse(text)
    except FormulaError:
        return
    again = parse(to_text(expression))
    assert again == expression or _same_value(again, expression)


@settings(max_examples=100, deadline=None)
@given(FORMULAS)
def test_agrees_with_petab(text: str) -> None:
    sympify_petab = pytest.importorskip("petab.v1.math").sympify_petab
    try:
        ours = parse(text)
        theirs = sympify_petab(text)
    except (FormulaError, ValueError, ZeroDivisionError, TypeError):
        return  # refusals are tested above; PEtab refuses other things
    if theirs.has(sp.oo, sp.zoo, sp.nan, sp.I):
        return
    assert _same_value(ours, theirs)


def _same_value(first: sp.Expr, second: sp.Expr) -> bool:
    values = {"x": 0.7, "y": -1.3, "k_1": 2.9, "time": 0.4, "n": 1.5}
    at = {symbol(name): sp.Float(value) for name, value in values.items()}
    try:
        one, two = (complex(sp.N(expression.xreplace(at))) for expression in (first, second))
    except (ValueError, TypeError):
        return True  # not real at this point, so sympy will not compare it
    if not (math.isfinite(abs(one)) and math.isfinite(abs(two))):
        return True
    return one == pytest.approx(two, rel=1e-9, abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="xy12.e+-*/^()<>=!&|, piecewse", max_size=25))
def test_any_text_is_a_formula_or_a_formula_error(text: str) -> None:
    try:
        assert isinstance(parse(text), sp.Expr)
    except FormulaError as error:
        assert str(error)
