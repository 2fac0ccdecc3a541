"""PEtab's maths where it differs from formulas of models: infinite values, and && and || of equal precedence."""

from __future__ import annotations

import sympy as sp

from twin.model.formula import parse
from twin.model.printing import to_text


def parse_petab(text: str, *, where: str | None = None) -> sp.Expr:
    """Reads a formula by the rules of PEtab.

    Args:
        text: The formula.
        where: What it belongs to, for messages.

    Returns:
        The expression; `sympy.oo` and `-sympy.oo` for infinite values.

    Raises:
        FormulaError: The text is not a formula, or has no value.

    References:
        PEtab 2.0, "Math expressions syntax".
    """
    return parse(text, where=where, petab=True)


def model_formula(text: str) -> str:
    """The text as models read it: where && and || meet, the parentheses that PEtab's precedence implies are written.

    Raises:
        FormulaError: As `parse_petab`.
    """
    return to_text(parse_petab(text)) if "&&" in text and "||" in text else text
