"""A model as text: reactions, equations, observables and tables, as a methods section would give them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import sympy as sp

from twin.model.equation import Equation
from twin.model.notation import arrange, derivative, unit
from twin.model.parts import Input
from twin.model.printing import FormulaPrinter
from twin.units import pretty

if TYPE_CHECKING:
    from twin.model.model import Model

_WIDTH = 100
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class _DisplayPrinter(FormulaPrinter):
    def _print_Float(self, expr: sp.Float) -> str:
        return f"{float(expr):.6g}"


def as_text(model: Model) -> str:
    """The model in plain text with aligned columns. Names stand as they are used in formulas."""
    sections = [
        ("", textwrap.wrap(model.description, _WIDTH)),
        (f"Reactions and rates{_per_time(model)}", _reactions(model)),
        ("Equations", _equations(model)),
        ("Constraints", _table([(f"0 = {formula_text(model, f)}",) for f in model.constraint_formulas.values()])),
        ("Assignments", _defined(model, model.assignment_names, model.definitions)),
        ("Events", _events(model)),
        ("Inputs", _table([_input_row(model, part) for part in model.inputs])),
        ("Observables", _defined(model, model.observable_names, model.observable_formulas)),
        (
            "Conserved",
            _table([(part.name, f"= {formula_text(model, part.formula)}") for part in model.conserved]),
        ),
        ("Initial values", _initial(model)),
        ("Parameters", _parameters(model)),
        ("References", list(model.references)),
    ]
    lines = [f"Model {model.name}"]
    for title, rows in sections:
        if rows:
            lines += ["", *([title] if title else []), *(f"  {row}".rstrip() for row in rows)]
    return "\n".join(lines)


def formula_text(model: Model, formula: str | float | sp.Basic) -> str:
    """A formula of the model for display, such as ``beta·T·V`` or ``x²/(K² + x²)``."""
    expression = formula if isinstance(formula, sp.Basic) else model.formula(formula)
    text = _DisplayPrinter({"order": "none"}).doprint(arrange(model, expression))
    text = re.sub(r"\^(?:\((-?\d+)\)|(\d+)(?![\w.]))", lambda m: (m[1] or m[2]).translate(_RAISED), text)
    return text.replace("*", "·")


def side_text(side: Sequence[tuple[str, float | str]]) -> str:
    """One side of a reaction, ``∅`` if nothing is there."""
    return " + ".join(_term(name, coefficient) for name, coefficient in side) or "∅"


def _term(name: str, coefficient: float | str) -> str:
    if isinstance(coefficient, str):
        return f"({coefficient}) {name}"
    return name if coefficient == 1 else f"{coefficient:g} {name}"


def _per_time(model: Model) -> str:
    time = pretty(model.time_unit)
    return f" (per {time})" if time else ""


def _reactions(model: Model) -> list[str]:
    rows = []
    for part, equation in zip(model.reactions, model.equations, strict=True):
        rate = formula_text(model, model.definitions[part.name])
        rows.append((part.name, *_arrow(equation), rate, part.description))
    return _table(rows)


def _arrow(equation: Equation) -> tuple[str, str]:
    return f"{side_text(equation.consumed)} →", side_text(equation.produced)


def _equations(model: Model) -> list[str]:
    return _table(
        [
            (f"d[{name}]/dt", f"= {formula_text(model, derivative(model, name))}")
            for name in model.state_names
            if name not in model.constraints
        ]
    )


def _events(model: Model) -> list[str]:
    rows = []
    for part, formulas in zip(model.events, model.event_formulas, strict=True):
        values = formulas.assignments.items()
        actions = ", ".join(f"{name} := {formula_text(model, value)}" for name, value in values)
        delay = "" if formulas.delay == 0 else f"after {formula_text(model, formulas.delay)}"
        rows.append((part.name, f"when {formula_text(model, formulas.trigger)}", delay, actions, part.description))
    return _table(rows)


def _defined(model: Model, names: Iterable[str], formulas: object) -> list[str]:
    rows = []
    for name in names:
        formula = formulas[name]  # type: ignore[index]
        rows.append((name, f"= {formula_text(model, formula)}", _bracket(unit(model, name)), _words(model, name)))
    return _table(rows)


def _initial(model: Model) -> list[str]:
    rows = []
    for part in model.states:
        value = part.initial if isinstance(part.initial, float) else formula_text(model, part.initial)
        shown = f"{value:g}" if isinstance(value, float) else value
        rows.append((f"{part.name}(0)", f"= {shown}", _bracket(unit(model, part.name)), part.description))
    return _table(rows)


def _parameters(model: Model) -> list[str]:
    return _table(
        [(part.name, f"= {part.value:g}", _bracket(pretty(part.unit)), part.description) for part in model.parameters]
    )


def _input_row(model: Model, part: Input) -> tuple[str, ...]:
    span = f"from {part.times[0]:g} to {part.times[-1]:g}{_time(model)}"
    points = f"{len(part.times)} points {span}, {part.interpolation}"
    return part.name, points, _bracket(pretty(part.unit)), part.description


def _time(model: Model) -> str:
    time = pretty(model.time_unit)
    return f" {time}" if time else ""


def _words(model: Model, name: str) -> str:
    return model.parts[name].description


def _bracket(text: str) -> str:
    return f"[{text}]" if text else ""


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    # A column is as wide as its widest cell, except where one long formula would push the rest off the
    # screen.
    widths = [min(max(len(cell) for cell in column), 60) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
