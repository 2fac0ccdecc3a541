"""Formulas of drawn quantities: what follows from others, and what a subject must fulfil."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Float
from sympy.logic.boolalg import Boolean

from twin.compile.evaluate import compile_expressions
from twin.errors import ExperimentError, UnknownSymbolError, suggestion
from twin.model.formula import as_condition, parse
from twin.model.resolution import order
from twin.precision import float64

type Columns = dict[str, Float[np.ndarray, " subject"]]


class Derived:
    """Quantities computed from drawn ones, in an order in which each comes after those it uses.

    Args:
        formulas: Formula text by name.
        known: All names that formulas may use.
    """

    def __init__(self, formulas: Mapping[str, str], known: Sequence[str]) -> None:
        parsed = {name: read_formula(text, known, f"cohort, {name!r}") for name, text in formulas.items()}
        self.names = order(parsed, where="cohort") if parsed else ()
        self._programs = [compile_expressions([parsed[name]], frozenset()) for name in self.names]

    def add_to(self, columns: Columns) -> None:
        """Put the computed columns beside the drawn ones."""
        for name, program in zip(self.names, self._programs, strict=True):
            columns[name] = _run(program, columns)[0]
            if not np.isfinite(columns[name]).all():
                row = int(np.argmin(np.isfinite(columns[name])))
                raise ExperimentError(
                    f"{name!r} is {columns[name][row]} for a subject",
                    where="cohort",
                    expected="a formula that is finite for all that is drawn",
                    fix="bound the distributions that it uses",
                )


class Constraints:
    """What every subject must fulfil; others are drawn again.

    Args:
        texts: Comparisons of names.
        known: Names they may use.
    """

    def __init__(self, texts: Sequence[str], known: Sequence[str]) -> None:
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            found = f"the constraints are {texts!r:.80}"
            raise ExperimentError(found, where="cohort", expected='a sequence of comparisons such as ["p < 40*c"]')
        self.texts = tuple(texts)
        parsed = [read_formula(text, known, f"constraint {text!r}") for text in self.texts]
        for text, expression in zip(self.texts, parsed, strict=True):
            if not is_condition(expression):
                raise ExperimentError(
                    "it is no comparison", where=f"constraint {text!r}", expected='a condition such as "p < 40*c"'
                )
        self._program = compile_expressions(parsed, frozenset())

    def __bool__(self) -> bool:
        return bool(self.texts)

    def hold(self, columns: Columns) -> np.ndarray:
        """Which constraint (first axis) holds for which subject."""
        return np.stack([value > 0.5 for value in _run(self._program, columns)])


def is_condition(expression: sp.Expr) -> bool:
    """Whether a parsed formula is a comparison, or several joined by && and ||."""
    if expression in (sp.Integer(0), sp.Integer(1)):
        return False
    condition = as_condition(expression)
    return isinstance(condition, Boolean) and condition != sp.Ne(expression, 0)


def read_formula(text: str, known: Collection[str], where: str, expected: str = "names of the cohort") -> sp.Expr:
    """A formula all of whose names are known.

    Args:
        text: The formula.
        known: Names that it may use.
        where: Where it stands, for errors.
        expected: What the names are.

    Raises:
        ExperimentError: It is no text.
        UnknownSymbolError: It uses another name.
    """
    if not isinstance(text, str):
        raise ExperimentError(f"a {type(text).__name__} is given", where=where, expected="a formula as text")
    expression = parse(text, where=where)
    for name in sorted(str(item) for item in expression.free_symbols):
        if name not in known:
            raise UnknownSymbolError(
                f"unknown name {name!r} in {text!r}",
                where=where,
                expected=expected,
                fix=suggestion(name, known),
            )
    return expression


def _run(program, columns: Columns) -> list[np.ndarray]:
    size = len(next(iter(columns.values())))
    with float64():
        env = {sp.Symbol(name, real=True): jnp.asarray(values) for name, values in columns.items()}
        return [np.broadcast_to(np.asarray(value, dtype=float), (size,)) for value in program(env, env)]
