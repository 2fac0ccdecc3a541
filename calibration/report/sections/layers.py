"""Layer by layer: what was asked and whether it held."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from calibration.report.formats import humanise
from calibration.report.sections.frame import nothing, section
from calibration.report.tables import Column, mark, note, table, truth
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, join, tag

LAYERS: Mapping[str, tuple[str, str]] = {
    "L0": ("Verification", "Does the machinery compute what it claims?"),
    "L1": ("Statistical", "Do data replicated by the twin look like the data?"),
    "L2": ("Biological", "Is what the twin does possible biology?"),
    "L3": ("Uncertainty", "Are its intervals right on held-out data?"),
    "L4": ("Extrapolation", "How does it do where it was not calibrated?"),
    "L5": ("Utility", "Do its synthetic data help a learner on real data?"),
    "L6": ("Discrepancy", "How much would have to be added to the mechanism?"),
}


def layers_section(assessment: Assessment) -> Markup:
    """What each layer asked and found."""
    parts, summary = [], []
    for key, checks in assessment.layers.items():
        code, name, question = layer_words(str(key))
        results = [truth(value) for value in checks["passed"]] if "passed" in checks else []
        summary.append(
            (
                f"{code} {name}".strip(),
                question,
                results.count(True),
                results.count(False),
                results.count(None),
            )
        )
        parts.append(
            join(
                tag("h3", f"{code} {name}".strip()),
                tag("p", question, class_="small") if question else None,
                _layer_table(checks, f"Checks of layer {code} {name}".strip()),
            )
        )
    overview = pd.DataFrame(summary, columns=["layer", "asks", "passed", "failed", "open"])
    columns = [
        Column("layer", "Layer"),
        Column("passed", "Passed", lambda n: _count(n, "pass", "✓"), numeric=True),
        Column("failed", "Failed", lambda n: _count(n, "fail", "✕"), numeric=True),
        Column("open", "Not judged", lambda n: _count(n, "open", "–"), numeric=True),
        Column("asks", "What it asks"),
    ]
    return section(
        "layers",
        "Layer by layer",
        "A twin can predict well for the wrong reason, or be right and useless. Each layer asks its own question, "
        "and they are never averaged into one number.",
        table(overview, columns, "How many checks of each layer passed", kind="overview")
        if summary
        else nothing("layers"),
        *parts,
    )


def layer_words(key: str) -> tuple[str, str, str]:
    """Code, name and question of a layer: the key may be "L0", "L0 verification" or anything else."""
    found = re.match(r"(L\d)\b[\s:.,–-]*(.*)", key, flags=re.DOTALL)
    if found is None:
        return key, "", ""
    name, question = LAYERS.get(found[1], ("", ""))
    return found[1], humanise(found[2]) if found[2] else name, question


def _layer_table(checks: pd.DataFrame, caption: str) -> Markup:
    """The checks of a layer."""
    if checks.empty:
        return tag("p", "Nothing was checked in this layer.", class_="small")
    if "passed" in checks:  # a column of nothing but None would be left out, and "not judged" must be said
        checks = checks.assign(passed=[str(truth(value)) for value in checks["passed"]])
    columns = [
        Column("check", "Check"),
        Column("passed", "Outcome", mark),
        Column("result", "Result"),
        Column("note", "Note", note),
    ]
    return table(checks, columns, caption, kind="checks")


def _count(value: object, kind: str, sign: str) -> Markup | str:
    """A number of checks with its sign; zero is quiet."""
    if not value:
        return "0"
    return tag("span", tag("span", sign, aria_hidden="true"), f" {value}", class_=f"mark {kind}")
