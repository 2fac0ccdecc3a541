"""The equations of a model as MathML, which browsers typeset without a script."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.printing.mathml import MathMLPresentationPrinter

from twin.model.notation import arrange, derivative
from twin.model.typeset import GREEK

if TYPE_CHECKING:
    from twin.model.model import Model

_OPEN, _CLOSE = '<mo stretchy="false">(</mo>', '<mo stretchy="false">)</mo>'
_GREEK_LETTERS = {name: html.unescape(f"&{name};") for name in GREEK}


def equations(model: Model) -> list[tuple[str, str]]:
    """Titled blocks of equations, each a fragment of HTML; every name in it is escaped."""
    states = [
        _line(f"<mfrac><mrow><mi>d</mi>{name_mathml(name)}</mrow><mrow><mi>d</mi><mi>t</mi></mrow></mfrac>",
              formula_mathml(model, derivative(model, name)))
        for name in model.state_names if name not in model.constraints
    ]  # fmt: skip
    states += [_line("<mn>0</mn>", formula_mathml(model, f)) for f in model.constraint_formulas.values()]
    formulas = {name: model.definitions[name] for name in model.assignment_names}
    formulas.update(model.observable_formulas)
    defined = [_line(name_mathml(name), formula_mathml(model, formula)) for name, formula in formulas.items()]
    initial = [
        _line(f"<mrow>{name_mathml(part.name)}{_OPEN}<mn>0</mn>{_CLOSE}</mrow>", _initial(model, part.initial))
        for part in model.states
    ]
    blocks = (("Equations", states), ("Assignments and observables", defined), ("Initial values", initial))
    return [(title, "".join(lines)) for title, lines in blocks if lines]


def formula_mathml(model: Model, formula: Any) -> str:
    """A formula as presentation MathML."""
    declared = [*model.parameter_names, *model.assignment_names, *model.input_names, *model.state_names]
    return _Printer(declared).doprint(arrange(model, formula))


def name_mathml(name: str) -> str:
    """A name as in print: ``beta`` is a Greek letter, ``delta_E`` has an index, ``V0`` too."""
    pieces = [piece for piece in name.split("_") if piece] or [name]
    match = re.fullmatch(r"([A-Za-z]+)(\d+)", pieces[0])
    if match is not None:
        pieces[0:1] = [match[1], match[2]]
    shown = [f"<mi>{html.escape(_GREEK_LETTERS.get(piece, piece))}</mi>" for piece in pieces]
    return shown[0] if len(shown) == 1 else f"<msub>{shown[0]}<mrow>{'<mo>,</mo>'.join(shown[1:])}</mrow></msub>"


def _line(left: str, right: str) -> str:
    return f'<div class="equation"><math display="block"><mrow>{left}<mo>=</mo>{right}</mrow></math></div>'


def _initial(model: Model, initial: float | str) -> str:
    return formula_mathml(model, sp.Float(initial) if isinstance(initial, float) else model.formula(initial))


class _Printer(MathMLPresentationPrinter):
    def __init__(self, declared: Sequence[str]) -> None:
        super().__init__({"order": "none", "mul_symbol": "dot"})
        self._rank = {name: index for index, name in enumerate(declared)}

    def doprint(self, expr: Any) -> str:
        # Names go in as placeholders of letters and digits, because the printer builds nodes of a document; the markup
        # of each name then replaces its node. The printer sorts by name, so placeholders are numbered as declared.
        rank = self._rank
        symbols = sorted(sp.sympify(expr).free_symbols, key=lambda s: (rank.get(str(s), len(rank)), str(s)))
        holders = {symbol: sp.Symbol(f"zz{index:05d}zz", real=True) for index, symbol in enumerate(symbols)}
        text = super().doprint(sp.sympify(expr).xreplace(holders) if not _held(expr) else _replaced(expr, holders))
        for symbol, holder in holders.items():
            text = text.replace(f"<mi>{holder}</mi>", name_mathml("t" if str(symbol) == "time" else str(symbol)))
        return text.replace("<mo>-</mo>", "<mo>−</mo>")

    def _print_Float(self, expr: sp.Float) -> Any:
        number = self.dom.createElement("mn")
        mantissa, _, exponent = f"{float(expr):.6g}".partition("e")
        if not exponent:
            number.appendChild(self.dom.createTextNode(mantissa))
            return number
        row, power, ten, up = (self.dom.createElement(tag) for tag in ("mrow", "msup", "mn", "mn"))
        number.appendChild(self.dom.createTextNode(mantissa))
        dot = self.dom.createElement("mo")
        dot.appendChild(self.dom.createTextNode("·"))
        ten.appendChild(self.dom.createTextNode("10"))
        up.appendChild(self.dom.createTextNode(str(int(exponent))))
        power.appendChild(ten)
        power.appendChild(up)
        for child in (number, dot, power):
            row.appendChild(child)
        return row

    def _print_Piecewise(self, expr: Any) -> Any:
        table = self.dom.createElement("mtable")
        for value, condition in expr.args:
            row = self.dom.createElement("mtr")
            words = self.dom.createElement("mtext")
            words.appendChild(self.dom.createTextNode("otherwise" if condition == True else "if"))  # noqa: E712
            cells = [self._print(value), words] + ([] if condition == True else [self._print(condition)])  # noqa: E712
            for content in cells:
                cell = self.dom.createElement("mtd")
                cell.appendChild(content)
                row.appendChild(cell)
            table.appendChild(row)
        brace, whole = self.dom.createElement("mo"), self.dom.createElement("mrow")
        brace.appendChild(self.dom.createTextNode("{"))
        whole.appendChild(brace)
        whole.appendChild(table)
        return whole


def _held(expr: Any) -> bool:
    return bool(getattr(expr, "args", ()))


def _replaced(expr: Any, holders: dict[Any, Any]) -> Any:
    """The expression with other symbols, in the order in which it stands: `xreplace` would put it in sympy's own."""
    if expr in holders:
        return holders[expr]
    if not getattr(expr, "args", ()):
        return expr
    arguments = [_replaced(argument, holders) for argument in expr.args]
    if isinstance(expr, (sp.Add, sp.Mul, sp.Pow)):
        return expr.func(*arguments, evaluate=False)
    return expr.func(*arguments)
