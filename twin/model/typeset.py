"""A model for notebooks: LaTeX equations, HTML tables of states and parameters.

Everything an author wrote in words (names, descriptions, units, sources) is escaped before it enters the
page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from twin.model.notation import arrange, derivative, unit
from twin.model.symbols import TIME
from twin.units import pretty

if TYPE_CHECKING:
    from twin.model.model import Model

GREEK = (
    *(
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
    ),
    *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
    *("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega"),
)
# Keeps MathJax from reading a "$" in somebody's description as the start of a formula, or of a command.
_PLAIN = 'class="tex2jax_ignore mathjax_ignore"'
_LATEX_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def as_latex(model: Model) -> str:
    r"""Reactions, equations, assignments and observables as one display: ``$$\begin{aligned}...$$``."""
    return f"$${_aligned([*_reactions(model), *_equations(model), *_definitions(model)])}$$"


def as_html(model: Model) -> str:
    """A heading, the equations, and tables of states and parameters, as a fragment of HTML."""
    parts = [f"<h3 {_PLAIN}>{escape(model.name)}</h3>"]
    if model.description:
        parts.append(f"<p {_PLAIN}>{escape(model.description)}</p>")
    for title, lines in (
        ("Reactions", _reactions(model)),
        ("Equations", _equations(model)),
        ("Assignments and observables", _definitions(model)),
    ):
        if lines:
            parts.append(f"<h4>{title}</h4><div>$${escape(_aligned(lines))}$$</div>")
    states = [(part.name, _value(part.initial), unit(model, part.name), part.description) for part in model.states]
    parts.append(_html_table("States", ("state", "initial", "unit", "what it is"), states))
    if model.inputs:
        rows = [
            (
                part.name,
                f"{len(part.times)} points, {part.interpolation}",
                pretty(part.unit),
                part.description,
            )
            for part in model.inputs
        ]
        parts.append(_html_table("Inputs", ("input", "points", "unit", "what it is"), rows))
    parameters = [
        (part.name, f"{part.value:g}", pretty(part.unit), part.description, part.source) for part in model.parameters
    ]
    if parameters:
        head = ("parameter", "value", "unit", "what it is", "source")
        parts.append(_html_table("Parameters", head, parameters))
    if model.references:
        items = "".join(f"<li>{escape(str(reference))}</li>" for reference in model.references)
        parts.append(f"<h4>References</h4><ul {_PLAIN}>{items}</ul>")
    return "\n".join(parts)


def symbol_latex(name: str) -> str:
    r"""A name as in print: ``beta`` is ``\beta``, ``delta_E`` is ``\delta_{E}``, ``V0`` is ``V_{0}``."""
    pieces = [piece for piece in name.split("_") if piece]
    if not pieces:
        return escape_latex(name)
    # A number at the end of the first word is an index, as in V0 or IL13.
    match = re.fullmatch(r"([A-Za-z]+)(\d+)", pieces[0])
    if match is not None:
        pieces[0:1] = [match[1], match[2]]
    shown = [_word(piece) for piece in pieces]
    return shown[0] if len(shown) == 1 else f"{shown[0]}_{{{','.join(shown[1:])}}}"


def escape_latex(text: str) -> str:
    """Text with the characters that LaTeX reads as commands made harmless."""
    return "".join(_LATEX_SPECIAL.get(char, f"\\{char}" if char in "#$%&_{}" else char) for char in text)


def formula_latex(model: Model, formula: sp.Expr) -> str:
    """A formula of the model in LaTeX."""
    arranged = arrange(model, formula)
    names = {item: symbol_latex(str(item)) for item in arranged.free_symbols}
    if "t" not in model.parts:
        names[TIME] = "t"
    settings = {"order": "none", "symbol_names": names, "ln_notation": True, "mul_symbol": r" \, "}
    return _Printer(settings).doprint(arranged)


class _Printer(LatexPrinter):
    def _print_Float(self, expr: sp.Float) -> str:
        mantissa, _, exponent = f"{float(expr):.6g}".partition("e")
        return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponent else mantissa

    def _print_log(self, expr: sp.log, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"\ln{power}\left({self._print(expr.args[0])}\right)"

    def _print_Mul(self, expr: sp.Expr) -> str:
        # log(x)/log(10) is how log10(x) is kept.
        for base in (10, 2):
            inverse = 1 / sp.log(base)
            logarithm = next((factor for factor in expr.args if isinstance(factor, sp.log)), None)
            if inverse in expr.args and logarithm is not None:
                rest: list[Any] = [factor for factor in expr.args if factor not in (inverse, logarithm)]
                shown = rf"\log_{{{base}}}\left({self._print(logarithm.args[0])}\right)"
                if not rest:
                    return shown
                return rf"{self._print(sp.Mul(*rest, evaluate=False))}\,{shown}"
        return super()._print_Mul(expr)


def _word(piece: str) -> str:
    if piece in GREEK:
        return f"\\{piece}"
    return piece if len(piece) == 1 or piece.isdigit() else rf"\mathrm{{{piece}}}"


def _value(initial: float | str) -> str:
    return initial if isinstance(initial, str) else f"{initial:g}"


def _side(model: Model, side: Sequence[tuple[str, float | str]]) -> str:
    return " + ".join(_term(model, *term) for term in side) or r"\emptyset"


def _term(model: Model, name: str, coefficient: float | str) -> str:
    if isinstance(coefficient, str):
        return rf"\left({formula_latex(model, model.formula(coefficient))}\right)\,{symbol_latex(name)}"
    return symbol_latex(name) if coefficient == 1 else rf"{coefficient:g}\,{symbol_latex(name)}"


def _reactions(model: Model) -> list[str]:
    return [
        rf"{_side(model, equation.consumed)} &\xrightarrow{{{formula_latex(model, model.definitions[part.name])}}} "
        rf"{_side(model, equation.produced)}"
        for part, equation in zip(model.reactions, model.equations, strict=True)
    ]


def _equations(model: Model) -> list[str]:
    return [
        rf"\frac{{d{symbol_latex(name)}}}{{dt}} &= {formula_latex(model, derivative(model, name))}"
        for name in model.state_names
        if name not in model.constraints
    ] + [f"0 &= {formula_latex(model, formula)}" for formula in model.constraint_formulas.values()]


def _definitions(model: Model) -> list[str]:
    formulas = {name: model.definitions[name] for name in model.assignment_names}
    formulas.update(model.observable_formulas)
    return [f"{symbol_latex(name)} &= {formula_latex(model, formula)}" for name, formula in formulas.items()]


def _aligned(lines: Iterable[str]) -> str:
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<h4>{title}</h4><table {_PLAIN}><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"
