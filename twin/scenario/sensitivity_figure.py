"""A picture of shares of variance: a row per endpoint, a column per arm, a bar per input."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from twin.scenario.sensitivity import Sensitivity

FIRST, TOTAL, MEMBER = "#1f5f8b", "#9cc3de", "#b8860b"
MOST_ARMS, MOST_ENDPOINTS, MOST_INPUTS = 6, 12, 12
"""What can be read in one picture; the rest is left to the table."""
_LABEL = 26
"""Letters of a label in a line."""


def sensitivity_figure(found: Sensitivity) -> Figure:
    """The picture of `sensitivity_of` and `sensitivity_of_store`."""
    table = found.table
    arms, endpoints, inputs = (list(dict.fromkeys(table[name])) for name in ("arm", "endpoint", "input"))
    shown = found.strongest(MOST_INPUTS)
    more = [
        f"{len(every) - most} more {what}"
        for every, most, what in ((arms, MOST_ARMS, "arms"), (endpoints, MOST_ENDPOINTS, "endpoints"))
        if len(every) > most
    ]
    more += [f"{len(inputs) - len(shown)} inputs of less influence"] if len(inputs) > len(shown) else []
    arms, endpoints = arms[:MOST_ARMS], endpoints[:MOST_ENDPOINTS]
    labels = ["\n".join(textwrap.wrap(name, _LABEL)) for name in shown]
    lines = sum(1 + label.count("\n") for label in labels)
    width = 2.2 + 2.1 * len(arms)
    figure = blank_figure(width, 0.9 + len(endpoints) * (0.42 + 0.17 * lines))
    panels = figure.subplots(len(endpoints), len(arms), squeeze=False, sharex=True, sharey=True)
    for row, endpoint in enumerate(endpoints):
        for column, arm in enumerate(arms):
            some = table[(table["endpoint"] == endpoint) & (table["arm"] == arm)].set_index("input").loc[shown]
            panel = panels[row, column]
            _bars(panel, some)
            panel.set_title(f"{endpoint}, {arm}", loc="left", fontsize=8, color=INK)
            panel.set_yticks(range(len(shown)), labels)
            dress(panel)
            panel.tick_params(labelsize=7)
    for panel in panels[-1]:
        panel.set_xlabel("share of the variance", fontsize=8, color=INK)
    figure.suptitle(_title(found, more, round(13 * width)), fontsize=9, color=INK)
    return figure


def _bars(panel: Axes, table: pd.DataFrame) -> None:
    places = np.arange(len(table))
    given = table["kind"].isin(["member", "given"]).to_numpy()
    first, total = table["first"].to_numpy(dtype=float), table["total"].to_numpy(dtype=float)
    panel.barh(places, np.nan_to_num(total), height=0.72, color=TOTAL)
    panel.barh(places, np.nan_to_num(first), height=0.36, color=np.where(given, MEMBER, FIRST))
    for name, offset in (("total", 0.27), ("first", 0.0)):
        low, high = (table[f"{name}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
        panel.hlines(places + offset, low, high, color=INK, linewidth=0.9)
    panel.set_xlim(0.0, 1.05)
    panel.set_ylim(len(table) - 0.5, -0.5)
    notes = table["note"].astype(str).tolist()
    if all(notes):
        panel.text(0.5, 0.5, _short(notes[0]), transform=panel.transAxes, ha="center", va="center",
                   fontsize=7, color=INK)  # fmt: skip


def _short(note: str) -> str:
    return "\n".join(textwrap.wrap(note, 30))


def _title(found: Sensitivity, more: list[str], letters: int) -> str:
    kinds = set(found.table["kind"])
    said = []
    if kinds & {"independent", "group"}:
        said.append("dark: first-order index, pale: total index")
    if kinds & {"member", "given"}:
        said.append("ochre: first-order index of an input that may depend on others")
    said.append("lines: 95 % intervals")
    of = "" if found.against is None else f", differences to {found.against}"
    text = f"{found.name}{of}: {'; '.join(said)}"
    if more:
        text += f" (in the table: {', '.join(more)})"
    return "\n".join(textwrap.wrap(text, letters))
