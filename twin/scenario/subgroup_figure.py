"""A picture of subgroups: rules with their shares of responders left, a map of the patients right."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from twin.scenario.subgroups import Subgroups

YES, NO = "#1f5f8b", "#d9a441"
MOST_QUESTIONS, MOST_RULES, MOST_DOTS = 8, 8, 1500
_WIDE = 8
"""Ratio of the largest to the least value from which on an axis is logarithmic."""


def subgroup_figure(found: Subgroups) -> Figure:
    """The picture of `find_subgroups`, of the questions whose trees tell most."""
    questions = found.questions[found.questions["found"] == "rules"]
    shown = questions.loc[
        questions["auc"].sort_values(ascending=False, kind="stable").index[:MOST_QUESTIONS].sort_values()
    ]
    tables = [_rules_of(found.rules, row) for row in shown.to_dict("records")]
    heights = [0.95 + 0.34 * max(len(table), 3) for table in tables]
    figure = blank_figure(11.0, 0.5 + sum(heights))
    panels = figure.subplots(len(shown), 2, squeeze=False, height_ratios=heights, width_ratios=[1.25, 1.0])
    for (left, right), table, row in zip(panels, tables, shown.to_dict("records"), strict=True):
        asks = "responds" if row["question"] == "responds" else f"responds, not in {found.reference}"
        _rules(left, table, row)
        left.set_title(f"{row['criterion']} ({row['formula']}), {row['arm']}: who {asks}", loc="left", fontsize=8.5,
                       color=INK)  # fmt: skip
        _map(right, found, row)
    left.set_xlabel(
        "% who do: of the rule's patients (dot, 95 % interval), of all (dotted line)", fontsize=8, color=INK
    )
    more = f"; {len(questions) - len(shown)} more in the tables" if len(questions) > len(shown) else ""
    said = "rules from one half of the patients, counted in the other (in brackets: how many)"
    figure.suptitle(f"{found.name}: {said}{more}", fontsize=9, color=INK)
    return figure


def _rules_of(rules: pd.DataFrame, row: dict) -> pd.DataFrame:
    same = np.logical_and.reduce([rules[name] == row[name] for name in ("criterion", "arm", "question")])
    table = rules[same].sort_values("share", ascending=False)
    return table if len(table) <= MOST_RULES else table.iloc[[*range(MOST_RULES - 2), -2, -1]]


def _rules(panel: Axes, table: pd.DataFrame, row: dict) -> None:
    places = np.arange(len(table))
    panel.axvline(100 * row["share"], color=INK, linewidth=0.9, linestyle=":")
    panel.hlines(places, 100 * table["low"], 100 * table["high"], color=YES, linewidth=2.5)
    panel.scatter(100 * table["share"], places, s=24, color="white", edgecolor=INK, zorder=3)
    labels = [
        "\n".join(textwrap.wrap(f"{rule} ({count:,})", 50))
        for rule, count in zip(table["rule"], table["patients"], strict=True)
    ]
    panel.set_yticks(places, labels)
    panel.set_ylim(len(table) - 0.4, -0.6)
    panel.set_xlim(-3, 103)
    dress(panel)
    panel.tick_params(axis="y", labelsize=7.5)


def _map(panel: Axes, found: Subgroups, row: dict) -> None:
    """Patients by the two parameters that tell most."""
    key = (row["criterion"], row["arm"], row["question"])
    columns, answers = found.map_of[key]
    weights = found.importance
    same = np.logical_and.reduce([weights[name] == value for name, value in zip(weights.columns, key, strict=False)])
    names = list(weights[same]["parameter"][:2])
    few = slice(0, MOST_DOTS)
    x, y = columns[names[0]][few], columns[names[1]][few] if len(names) > 1 else np.zeros(len(answers[few]))
    for side, colour, label in ((False, NO, "no"), (True, YES, "yes")):
        some = answers[few] == side
        panel.scatter(x[some], y[some], s=4, color=colour, alpha=0.55, linewidth=0, label=label)
    for axis, values, name in (("x", x, names[0]), ("y", y, names[1] if len(names) > 1 else "")):
        if values.min() > 0 and values.max() > _WIDE * values.min():
            getattr(panel, f"set_{axis}scale")("log")
        getattr(panel, f"set_{axis}label")(name, fontsize=8, color=INK, labelpad=1)
    panel.legend(
        fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, markerscale=3, handletextpad=0.1
    )
    panel.set_title(f"AUC {row['auc']:.2f} ({row['auc_low']:.2f} to {row['auc_high']:.2f})", loc="left", fontsize=8.5,
                    color=INK)  # fmt: skip
    dress(panel, ticks="both")
