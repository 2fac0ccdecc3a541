"""Judges one expression of PEtab's test of maths."""

from __future__ import annotations

import sympy as sp

from calibration.conformance.petab_suite import read_yaml
from calibration.petab.formulas import parse_petab
from twin.conformance.comparison import verdict_on, worst_deviation
from twin.conformance.suite import Case
from twin.conformance.verdict import Verdict

RELATIVE, ABSOLUTE = 1e-12, 1e-15
"""The numbers in the file are doubles."""


def judge_expression(case: Case) -> Verdict:
    """Reads the expression as formulas of PEtab are read, and compares its value.

    Where the expected value is an expression itself, both have to be the same.
    """
    entry = read_yaml(case.path)["cases"][int(case.name.rpartition("-")[2]) - 1]
    text = str(entry["expression"])
    expected = entry["expected"]
    found = parse_petab(text)
    try:
        number = float(expected)
    except ValueError:
        same = sp.simplify(found - parse_petab(str(expected))) == 0
        return Verdict("passed") if same else Verdict("wrong", f"{text}: {found} instead of {expected}")
    if not found.is_number:
        return Verdict("wrong", f"{text}: {found} instead of {expected}")
    return verdict_on(worst_deviation([float(found)], [number], [text], ABSOLUTE, RELATIVE))
