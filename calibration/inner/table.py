"""The table that says of every entry whether it is optimised inside, as what, or why it is not."""

from __future__ import annotations

import pandas as pd

from calibration.inner.structure import Structure, find_structure
from calibration.problem import Problem
from twin.errors import ProblemError

SHOWN = 8
_OUTER = "acts on the mechanism or the experiments"


def inner_parameters(problem: Problem) -> pd.DataFrame:
    """Which entries of the vector are optimised inside, and why the others are not.

    Args:
        problem: The problem.

    Returns:
        A row per entry: entry, role ("scaling", "offset", "noise", or "outer"), group (a number; entries of one group
        are solved for together), method ("newton", "breakpoints"), why (for outer entries).
    """
    structure = find_structure(problem)
    inner = {entry.index: entry for entry in structure.entries}
    rows = []
    for index, name in enumerate(problem.names):
        if (entry := inner.get(index)) is not None:
            rows.append((name, entry.role, str(entry.group), structure.groups[entry.group].method, ""))
        else:
            rows.append((name, "outer", "", "", structure.reasons[index]))
    return pd.DataFrame(rows, columns=["entry", "role", "group", "method", "why"])


def refuse_without_inner(problem: Problem, structure: Structure) -> None:
    """Refuses a problem that has nothing to optimise inside, with the reason for every candidate.

    Raises:
        ProblemError: there is no inner entry.
    """
    if structure.entries and len(structure.entries) < len(problem.names):
        return
    if structure.entries:
        raise ProblemError(
            "every entry can be optimised inside, so that nothing is left to optimise outside",
            where=problem.name,
            fix="fit it without inner optimisation",
        )
    others = {i: why for i, why in structure.reasons.items() if why != _OUTER}
    listed = [f"{problem.names[i]}: {why}" for i, why in list(others.items())[:SHOWN]]
    mechanism = len(structure.reasons) - len(others)
    if mechanism:
        listed.append(f"{mechanism} other entries: {_OUTER}" if others else f"all entries: {_OUTER}")
    raise ProblemError(
        f"nothing can be optimised inside ({'; '.join(listed)})",
        where=problem.name,
        expected="scalings, offsets or noise scales that only observables and noise depend on",
        fix="fit it without inner optimisation",
    )
