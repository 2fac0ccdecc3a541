"""Plots of results: work against precision, and bars of the ratio to the best peer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from .results import Row
from .tables import ratio_to_best_peer

COLOURS = {
    "cytotwin": "#0072b2",
    "cytotwin tsit5": "#56b4e9",
    "libRoadRunner": "#d55e00",
    "libRoadRunner Adams": "#e69f00",
    "diffrax Kvaerno5": "#009e73",
    "diffrax Tsit5": "#8fd0b8",
    "SciPy LSODA": "#cc79a7",
    "SciPy Radau": "#7f7f7f",
}
"""Told apart by those who do not tell red from green: Okabe and Ito 2008, and shades of theirs."""


def work_precision(rows: Sequence[Row], path: Path) -> None:
    """Seconds per trajectory against the error that was found, a panel per problem."""
    shown = [row for row in rows if row["status"] == "ok" and _positive(row["error"])]
    problems = list(dict.fromkeys(row["problem"] for row in shown))
    if not problems:
        return
    columns = min(3, len(problems))
    lines = -(-len(problems) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.2 * columns, 3.4 * lines), squeeze=False)
    for axis, problem in zip(axes.flat, problems, strict=False):
        for engine in dict.fromkeys(row["engine"] for row in shown if row["problem"] == problem):
            points = [(float(row["error"]), 1e3 * float(row["seconds"])) for row in shown
                      if (row["problem"], row["engine"]) == (problem, engine)]  # fmt: skip
            axis.loglog(*zip(*sorted(points), strict=True), "o-", ms=3.5, lw=1.2, label=engine, color=COLOURS[engine])
        axis.invert_xaxis()
        axis.set(title=problem.split("_")[0], xlabel="error found", ylabel="ms per trajectory")
        axis.grid(alpha=0.3, which="major")
    for axis in axes.flat[len(problems) :]:
        axis.set_axis_off()
    entries = {label: line for axis in axes.flat for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries, loc="lower center", ncols=min(4, len(entries)), frameon=False)
    figure.tight_layout(rect=(0, 0.06 + 0.03 * (len(entries) > 4), 1, 1))
    _save(figure, path)


def ratio_bars(rows: Sequence[Row], path: Path, title: str) -> None:
    """How many times faster than the best peer, a bar per problem, on a logarithmic scale about 1."""
    ratios = {}
    for problem in dict.fromkeys(row["problem"] for row in rows):
        ratio = ratio_to_best_peer({row["engine"]: row for row in rows if row["problem"] == problem})
        if math.isfinite(ratio):
            ratios[problem.split("_")[0]] = ratio
    if not ratios:
        return
    ratios = dict(sorted(ratios.items(), key=lambda item: item[1]))
    figure, axis = plt.subplots(figsize=(6.4, 0.8 + 0.26 * len(ratios)))
    colours = ["#0072b2" if ratio >= 1 else "#d55e00" for ratio in ratios.values()]
    bars = axis.barh(list(ratios), [ratio - 1 for ratio in ratios.values()], left=1.0, color=colours)
    axis.set_xscale("log")
    axis.bar_label(bars, labels=[f" {ratio:.2g} " for ratio in ratios.values()], fontsize=8)
    axis.axvline(1.0, color="black", lw=0.8)
    axis.margins(x=0.12)
    axis.set(title=title, xlabel="time of the best peer / ours")
    figure.tight_layout()
    _save(figure, path)


def _positive(text: str) -> bool:
    return bool(text) and float(text) > 0  # NaN is not


def _save(figure, path: Path) -> None:
    figure.savefig(path, dpi=110)
    plt.close(figure)
