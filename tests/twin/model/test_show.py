"""A model shown as text, LaTeX and HTML."""

import pytest

from twin.model import Assignment, ConservedTotal, Input, Model, Observable, Parameter, Reaction, State
from twin.model.typeset import escape_latex, symbol_latex

ATTACK = "<script>alert(1)</script> & $x$"


def build(**changes: object) -> Model:
    arguments: dict[str, object] = {
        "name": "flu",
        "states": [
            State("T", 4e8, "cell", "target cells"),
            State("I", 0.0, "cell"),
            State("V", "V0", "TCID50/ml"),
        ],
        "parameters": [
            Parameter("beta", 3.2e-5, "ml/TCID50/day", "infection rate", "Baccam 2006"),
            Parameter("delta_E", 4.0, "1/day"),
            Parameter("p", 0.01, "TCID50/ml/day/cell"),
            Parameter("V0", 0.1, "TCID50/ml"),
            Parameter("K", 10.0, "TCID50/ml"),
        ],
        "reactions": [
            Reaction("infection", "T -> I", "beta * T * V", "a cell is infected"),
            Reaction("death", "I ->", "delta_E * I"),
        ],
        "odes": {"V": "p * I - 2.5e-7 * delta_E * V"},
        "assignments": [Assignment("frac", "V^2 / (K^2 + V^2)", "dimensionless")],
        "inputs": [Input("u", [0, 2.5], [0, 1], "cubic", "1/day")],
        "observables": [
            Observable("titre", "log10(V)"),
            Observable("late", "piecewise(1, time*p*T/V < 3, frac)"),
        ],
        "time_unit": "day",
        "description": "Target-cell limited infection.",
        "references": ["Baccam et al. 2006"],
    }
    arguments.update(changes)
    return Model(**arguments)  # type: ignore[arg-type]


def test_text() -> None:
    assert str(build()).splitlines() == [
        "Model flu",
        "",
        "  Target-cell limited infection.",
        "",
        "Reactions and rates (per day)",
        "  infection  T →  I  beta·T·V   a cell is infected",
        "  death      I →  ∅  delta_E·I",
        "",
        "Equations",
        "  d[T]/dt  = -beta·T·V",
        "  d[I]/dt  = beta·T·V - delta_E·I",
        "  d[V]/dt  = p·I - 2.5e-07·delta_E·V",
        "",
        "Assignments",
        "  frac  = V²/(K² + V²)",
        "",
        "Inputs",
        "  u  2 points from 0 to 2.5 day, cubic  [1/day]",
        "",
        "Observables",
        "  titre  = log10(V)",
        "  late   = piecewise(1, p·T·time/V < 3, frac)",
        "",
        "Initial values",
        "  T(0)  = 4e+08  [cell]       target cells",
        "  I(0)  = 0      [cell]",
        "  V(0)  = V0     [TCID50/ml]",
        "",
        "Parameters",
        "  beta     = 3.2e-05  [ml/TCID50/day]       infection rate",
        "  delta_E  = 4        [1/day]",
        "  p        = 0.01     [TCID50/ml/day/cell]",
        "  V0       = 0.1      [TCID50/ml]",
        "  K        = 10       [TCID50/ml]",
        "",
        "References",
        "  Baccam et al. 2006",
    ]


def test_small_model_leaves_sections_out() -> None:
    model = Model("m", [State("A")], conserved=[ConservedTotal("all", "2*A")])
    assert str(model).splitlines() == [
        "Model m",
        *("", "Equations", "  d[A]/dt  = 0"),
        *("", "Conserved", "  all  = 2·A"),
        *("", "Initial values", "  A(0)  = 0"),
    ]


def test_repr_is_one_line() -> None:
    assert repr(build()) == "<Model 'flu': 3 states, 5 parameters, 2 reactions, 2 observables>"


def test_latex() -> None:
    latex = build()._repr_latex_()
    assert latex.startswith("$$\\begin{aligned}")
    assert latex.endswith("\\end{aligned}$$")
    for line in (
        r"T &\xrightarrow{\beta \, T \, V} I",
        r"I &\xrightarrow{\delta_{\mathrm{E}} \, I} \emptyset".replace(r"\mathrm{E}", "E"),
        r"\frac{dV}{dt} &= p \, I - 2.5 \times 10^{-7} \, \delta_{E} \, V",
        r"\mathrm{frac} &= \frac{V^{2}}{K^{2} + V^{2}}",
        r"\mathrm{titre} &= \log_{10}\left(V\right)",
    ):
        assert line in latex
    assert r"\mathrm{time}" not in latex


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("beta", r"\beta"),
        ("delta_E", r"\delta_{E}"),
        ("V0", "V_{0}"),
        ("k_on_max", r"k_{\mathrm{on},\mathrm{max}}"),
        ("IL13", r"\mathrm{IL}_{13}"),
        ("Vmax", r"\mathrm{Vmax}"),
        ("k2b", r"\mathrm{k2b}"),
        ("_x", "x"),
        ("__", r"\_\_"),
        ("Omega_1", r"\Omega_{1}"),
    ],
)
def test_symbols(name: str, latex: str) -> None:
    assert symbol_latex(name) == latex


def test_escape_latex() -> None:
    assert escape_latex(r"50 % of \x_{1}") == r"50 \% of \textbackslash{}x\_\{1\}"


def test_html_has_equations_and_tables() -> None:
    html = build()._repr_html_()
    assert "<td>beta</td><td>3.2e-05</td><td>ml/TCID50/day</td><td>infection rate</td><td>Baccam 2006</td>" in html
    assert r"\frac{dT}{dt} &amp;= - \beta \, T \, V" in html
    assert "&lt; 3" in html


def test_html_escapes_what_authors_write() -> None:
    model = build(
        name=ATTACK,
        description=ATTACK,
        references=[ATTACK],
        states=[State("T", 4e8, "cell", ATTACK), State("I", 0.0, ATTACK), State("V", "V0", "TCID50/ml")],
        check_units=False,
    )
    html = model._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 5
    # MathJax must not read formulas, which can carry links, out of prose.
    for line in html.split("\n"):
        if "alert" in line:
            assert "mathjax_ignore" in line


def test_units_that_cannot_be_worked_out_are_left_out() -> None:
    model = build(assignments=[Assignment("frac", "V + T")], check_units=False)
    assert "frac  = T + V\n" in str(model)
