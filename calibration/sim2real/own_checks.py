"""Checks that other packages add to the layers, found through the entry-point group ``twin.checks``."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from calibration.problem import Problem
from calibration.sim2real.check_row import Check
from calibration.sim2real.fold import FoldResult
from twin.errors import LibraryError

GROUP = "twin.checks"


@dataclass(frozen=True)
class Evidence:
    """What a check may look at.

    Args:
        problem: The problem with all rows.
        results: Results of the folds: draws, predictions of all rows, training and held-out rows.
        scores: Held-out rows with scores of the twin and of the baselines.
        parameters: Parameters beside published values.
    """

    problem: Problem
    results: list[FoldResult]
    scores: pd.DataFrame
    parameters: pd.DataFrame


@dataclass(frozen=True)
class LayerCheck:
    """A check of one's own.

    Args:
        layer: Name of the layer, such as "L1 statistical".
        run: From the evidence to rows; their keys begin with the name of the entry point and a dot.
    """

    layer: str
    run: Callable[[Evidence], list[Check]]


def own_checks() -> dict[str, LayerCheck]:
    """Checks of all installed packages by the name of their entry point.

    Raises:
        LibraryError: An entry point cannot be loaded or is no `LayerCheck`.
    """
    found = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        where = f"entry point {entry.name!r} = {entry.value!r} of group {GROUP!r}"
        try:
            check = entry.load()
        except (ImportError, AttributeError) as error:
            raise LibraryError(
                f"it cannot be loaded ({error})", where=where, fix="reinstall or remove that package"
            ) from error
        if not isinstance(check, LayerCheck):
            raise LibraryError(
                f"it is a {type(check).__name__}", where=where, expected="a calibration.sim2real.own_checks.LayerCheck"
            )
        found[entry.name] = check
    return found


def run_own_checks(evidence: Evidence, layer: str, checks: dict[str, LayerCheck]) -> list[Check]:
    """Rows that checks of other packages add to a layer.

    Raises:
        LibraryError: A key does not begin with the name of its entry point.
    """
    rows = []
    for name, check in checks.items():
        if check.layer != layer:
            continue
        for row in check.run(evidence):
            if not row.key.startswith(f"{name}."):
                raise LibraryError(
                    f"it gives a check the key {row.key!r}",
                    where=f"entry point {name!r} of group {GROUP!r}",
                    expected=f"a key that begins with {name + '.'!r}, so that keys never meet",
                )
            rows.append(row)
    return rows
