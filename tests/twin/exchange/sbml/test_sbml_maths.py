"""MathML: what each construct becomes, function definitions, names, and what is refused."""

import math

import pytest
from sbml_text import document, maths, parameter, with_formula

from twin.errors import FormulaError, UnknownSymbolError, UnsupportedModelError
from twin.exchange.sbml import read_sbml
from twin.model.symbols import symbol

A, B = "<ci>a</ci>", "<ci>b</ci>"


def value(text: str) -> float:
    """The assignment ``y`` at a = 2, b = 3, time = 0.5."""
    model = read_sbml(text)
    expression = model.expand(model.formula("y"))
    return float(expression.subs({symbol("a"): 2, symbol("b"): 3, symbol("time"): 0.5}))


def apply(operator: str, *arguments: str) -> str:
    return f"<apply><{operator}/>{''.join(arguments)}</apply>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (apply("plus"), 0),
        (apply("times"), 1),
        (apply("plus", A, B, A), 7),
        (apply("minus", A), -2),
        (apply("minus", apply("minus", A, B), apply("minus", B, A)), -2),
        (apply("divide", A, apply("divide", B, A)), 4 / 3),
        (apply("power", apply("minus", A), "<cn>2</cn>"), 4),
        (apply("power", A, apply("power", B, A)), 512),
        (apply("root", B), math.sqrt(3)),
        (apply("root", "<degree><cn>3</cn></degree>", apply("minus", "<cn>8</cn>")), -2),
        (apply("log", "<logbase><cn>2</cn></logbase>", B), math.log2(3)),
        (apply("log", B), math.log10(3)),
        (apply("quotient", apply("minus", "<cn>7</cn>"), A), -3),
        (apply("rem", apply("minus", "<cn>7</cn>"), A), -1),
        (apply("factorial", B), 6),
        (apply("max", A, B, "<cn>1</cn>"), 3),
        (apply("min", A), 2),
        (apply("implies", "<true/>", "<false/>"), 0),
        (apply("xor", "<true/>", apply("lt", A, B), apply("gt", B, A)), 1),
        (apply("and"), 1),
        (apply("or"), 0),
        (apply("lt", A, B, "<cn>2.5</cn>"), 0),
        (apply("plus", "<true/>", A), 3),
        (f"<piecewise><piece>{A}{apply('gt', A, B)}</piece><otherwise>{B}</otherwise></piecewise>", 3),
        (f"<piecewise><piece><false/>{apply('lt', A, B)}</piece><otherwise><true/></otherwise></piecewise>", 0),
        (apply("arccot", A), math.atan(0.5)),
        (apply("sech", A), 1 / math.cosh(2)),
        ("<pi/>", math.pi),
        ("<exponentiale/>", math.e),
        ('<cn type="e-notation">2<sep/>-3</cn>', 2e-3),
        ('<cn type="rational">1<sep/>3</cn>', 1 / 3),
        ('<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">t</csymbol>', 0.5),
        (
            '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/avogadro">N</csymbol>',
            6.02214179e23,
        ),
    ],
)
def test_maths_means_what_mathml_says(content, expected):
    assert value(with_formula(content)) == pytest.approx(expected, rel=1e-14)


def lambda_(name: str, arguments: str, body: str) -> str:
    variables = "".join(f"<bvar><ci>{argument}</ci></bvar>" for argument in arguments.split())
    return f'<functionDefinition id="{name}">{maths(f"<lambda>{variables}{body}</lambda>")}</functionDefinition>'


def test_functions_are_put_in_with_their_own_arguments():
    # The arguments are called like a parameter and like each other's values: nothing may be captured.
    functions = lambda_("minus_", "a b", "<apply><minus/><ci>a</ci><ci>b</ci></apply>")
    functions += lambda_("swapped", "a b", "<apply><ci>minus_</ci><ci>b</ci><ci>a</ci></apply>")
    assert value(with_formula(f"<apply><ci>swapped</ci>{B}{A}</apply>", functions)) == -1


def test_a_function_that_doubles_itself_is_refused_at_once():
    functions = lambda_("f0", "x", "<apply><plus/><ci>x</ci><ci>x</ci></apply>")
    for level in range(1, 60):
        inner = f"<apply><ci>f{level - 1}</ci><ci>x</ci></apply>"
        functions += lambda_(f"f{level}", "x", f"<apply><plus/>{inner}{inner}</apply>")
    with pytest.raises(FormulaError, match="more than 20,000 parts"):
        read_sbml(with_formula(f"<apply><ci>f59</ci>{A}</apply>", functions))


def test_a_function_that_calls_itself_is_refused():
    functions = lambda_("f", "x", "<apply><ci>f</ci><ci>x</ci></apply>")
    with pytest.raises(UnknownSymbolError, match="do not call themselves"):
        read_sbml(with_formula(f"<apply><ci>f</ci>{A}</apply>", functions))


def test_a_huge_formula_is_refused():
    with pytest.raises(FormulaError, match="more than 20,000 parts"):
        read_sbml(with_formula(apply("plus", A * 100_000)))


def test_deep_nesting_is_refused():
    with pytest.raises(FormulaError, match="levels|deep"):
        read_sbml(with_formula("<apply><sin/>" * 200 + A + "</apply>" * 200))
    with pytest.raises(FormulaError, match="nests too deeply"):
        read_sbml(with_formula("<apply><sin/>" * 100 + A + "</apply>" * 100))


def test_long_sums_that_hang_to_one_side_do_not_count_as_nesting():
    content = A
    for _ in range(100):
        content = apply("plus", content, B)
    assert value(with_formula(content)) == 302


def test_an_unknown_name_is_named():
    with pytest.raises(UnknownSymbolError, match=r"line \d+, assignment rule 'y': unknown name 'nothere'"):
        read_sbml(with_formula("<ci>nothere</ci>"))


def test_infinity_is_refused():
    with pytest.raises(FormulaError, match="infinite"):
        read_sbml(with_formula("<infinity/>"))


def test_an_unknown_function_of_maths_is_refused():
    with pytest.raises((UnsupportedModelError, FormulaError), match="assignment rule 'y'"):
        read_sbml(with_formula("<piecewise><piece><cn>1</cn><true/></piece></piecewise>"))


def test_reserved_ids_get_an_underscore():
    model = read_sbml(document(f"Parameters:{parameter('time', 1)}{parameter('min', 2)}{parameter('min_', 3)}"))
    assert model.parameter_names == ("time_", "min__", "min_")
