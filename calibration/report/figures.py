"""The other figures: scores against baselines, PIT, coverage, predictive tests, parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.stats import binom, binomtest

from calibration.report import canvas
from calibration.report.formats import number, percent, shorten
from calibration.report.markup import Markup
from calibration.sim2real.gap import Gap

WIDTH = 440
MOST_ROWS = 40


def draw_scores(gap: Gap) -> Markup:
    """Mean CRPS of twin and baselines as lines that start at the noise floor: their ratio is the gap."""
    rows = sorted([("twin", gap.twin), *gap.baselines.items()], key=lambda row: row[1], reverse=True)
    with canvas.drawing(WIDTH, 66 + 30 * len(rows)) as (figure, axes):
        axes.axvline(gap.floor, color=canvas.INK, linestyle=(0, (5, 3)), linewidth=1.2)
        for y, (name, score) in enumerate(rows):
            twin = name == "twin"
            colour = canvas.TWIN if twin else canvas.CURVE
            axes.hlines(y, min(gap.floor, score), max(gap.floor, score), color=colour, linewidth=4 if twin else 2.5)
            axes.plot(score, y, marker="D" if twin else "o", markersize=9 if twin else 7.5, color=colour)
            axes.annotate(
                number(score), (score, y), xytext=(10, 0), textcoords="offset points", va="center",
                weight="bold" if twin else "normal",
            )  # fmt: skip
        axes.annotate(
            f"noise floor {number(gap.floor)}", (gap.floor, len(rows) - 0.4), xytext=(5, 0),
            textcoords="offset points", va="center", color=canvas.MUTED, size=10,
        )  # fmt: skip
        axes.set_yticks(range(len(rows)), [shorten(name, 24) for name, _ in rows])
        for label, (name, _) in zip(axes.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if name == "twin" else "normal")
        axes.set_ylim(-0.6, len(rows) - 0.1)
        axes.set_xlim(0.0, 1.16 * max(gap.floor, *(score for _, score in rows)) or 1.0)
        axes.set_xlabel("mean CRPS on held-out readings (lower is better)")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        listed = ", ".join(f"{name} {number(score)}" for name, score in reversed(rows))
        text = f"Mean CRPS, lower is better: {listed}; noise floor {number(gap.floor)}."
        return canvas.to_svg(figure, "scores", text)


def draw_pit(pit: pd.Series) -> Markup:
    """Histogram of PIT values with the range that chance alone would give each bar."""
    values = pit.astype(float).dropna().to_numpy()
    bins = int(np.clip(len(values) // 5, 4, 10))
    counts, edges = np.histogram(values, bins=bins, range=(0.0, 1.0))
    low, high = binom.ppf([0.05, 0.95], len(values), 1.0 / bins)
    with canvas.drawing(330, 225) as (figure, axes):
        axes.axhspan(low, high, facecolor=canvas.HELD, edgecolor="none")
        axes.axhline(len(values) / bins, color=canvas.MUTED, linestyle=(0, (5, 3)), linewidth=1.1)
        axes.bar(edges[:-1], counts, width=1.0 / bins, align="edge", color=canvas.BAND_50, edgecolor=canvas.TWIN)
        axes.axhspan(low, high, facecolor="none", edgecolor=canvas.MUTED, linewidth=0.8, linestyle=":")
        axes.set_xlim(0.0, 1.0)
        axes.set_ylim(0.0, 1.15 * max(float(counts.max(initial=1)), high))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        axes.set_xlabel("PIT: where the reading fell in its forecast")
        axes.set_ylabel("readings")
        text = (
            f"Histogram of {len(values)} PIT values in {bins} bins: {', '.join(map(str, counts))}; "
            f"{number(len(values) / bins)} expected in each, {low:.0f} to {high:.0f} by chance."
        )
        return canvas.to_svg(figure, "pit", text)


def draw_coverage(scores: pd.DataFrame) -> Markup:
    """Share of held-out readings inside the 50 and 90 % intervals, with a Wilson interval."""
    said = []
    with canvas.drawing(330, 225) as (figure, axes):
        for y, nominal in enumerate((0.9, 0.5)):
            covered = scores[f"coverage_{round(100 * nominal)}"].astype(float).dropna()
            axes.plot([nominal] * 2, [y - 0.3, y + 0.3], color=canvas.INK, linewidth=2.2)
            axes.annotate(
                f"promised {percent(nominal)}", (nominal, y + 0.34), ha="center", va="bottom", size=10,
                color=canvas.MUTED,
            )  # fmt: skip
            if covered.empty:
                continue
            share = float(covered.mean())
            interval = binomtest(round(float(covered.sum())), len(covered)).proportion_ci(0.95, method="wilson")
            axes.hlines(y, interval.low, interval.high, color=canvas.TWIN, linewidth=3)
            axes.plot(share, y, marker="D", markersize=9, color=canvas.TWIN)
            axes.annotate(
                percent(share), (share, y - 0.16), ha="center", va="top", weight="bold", annotation_clip=False
            )
            said.append(
                f"{percent(share)} inside the {percent(nominal)} interval "
                f"(95 % interval {percent(interval.low)} to {percent(interval.high)})"
            )
        axes.set_yticks([0, 1], ["90 %", "50 %"])
        axes.set_ylim(-0.6, 1.7)
        axes.set_xlim(0.0, 1.03)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set_xlabel("held-out readings inside the interval")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        return canvas.to_svg(figure, "coverage", "Coverage on held-out readings: " + "; ".join(said) + ".")


def draw_tests(tests: pd.DataFrame) -> Markup:
    """p-values of the predictive tests, one row per statistic."""
    p_values = tests["p_value"].astype(float)
    names = list(dict.fromkeys(tests["statistic"].astype(str)))[::-1][-MOST_ROWS:]
    with canvas.drawing(WIDTH, 62 + 26 * len(names)) as (figure, axes):
        axes.axvspan(0.0, 0.05, facecolor=canvas.HELD, edgecolor="none")
        axes.axvline(0.05, color=canvas.MUTED, linestyle=":", linewidth=1.0)
        for y, name in enumerate(names):
            values = p_values[tests["statistic"].astype(str) == name].dropna().to_numpy()
            # Dots of near-equal p would hide each other; a fixed fan keeps the picture reproducible.
            shift = 0.22 * (np.arange(len(values)) % 3 - 1)
            for low, marker, colour in ((True, "D", canvas.BAD), (False, "o", canvas.TWIN)):
                chosen = (values < 0.05) == low
                axes.plot(
                    values[chosen], y + shift[chosen], marker, markersize=6, color=colour, alpha=0.85,
                    markeredgewidth=0, clip_on=False,
                )  # fmt: skip
        axes.set_yticks(range(len(names)), [shorten(name, 24) for name in names])
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlim(0.0, 1.0)
        axes.set_xlabel("p-value of each series (shaded: below 0.05)")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y")
        text = (
            f"{p_values.notna().sum()} predictive p-values of {len(names)} statistics; "
            f"{int((p_values < 0.05).sum())} below 0.05."
        )
        return canvas.to_svg(figure, "tests", text)


def comparable(parameters: pd.DataFrame) -> pd.DataFrame:
    """Parameters that can be drawn as a ratio to what is published: all numbers positive.

    Adds ``reference``: the published value, else the geometric middle of the published range.
    """
    table = parameters.copy()
    numeric = ["median", "q05", "q95", "published", "published_low", "published_high"]
    table[numeric] = table[numeric].apply(pd.to_numeric, errors="coerce")
    middle = np.sqrt(table["published_low"].clip(lower=0.0) * table["published_high"].clip(lower=0.0))
    table["reference"] = table["published"].fillna(middle)
    positive = (table[["median", "q05", "q95", "reference"]] > 0.0).all(axis=1)
    finite = np.isfinite(table[["median", "q05", "q95", "reference"]]).all(axis=1)
    return table.loc[positive & finite].head(MOST_ROWS)


def draw_parameters(table: pd.DataFrame) -> Markup:
    """Posterior medians and 90 % intervals as multiples of the published values.

    Args:
        table: Result of `comparable`, not empty.
    """
    said = []
    with canvas.drawing(WIDTH, 66 + 26 * len(table)) as (figure, axes):
        canvas.log_axis(axes, "x")
        axes.axvline(1.0, color=canvas.INK, linestyle=(0, (5, 3)), linewidth=1.2, zorder=1)
        for y, (_, row) in enumerate(table.iloc[::-1].iterrows()):
            low, high = row["published_low"] / row["reference"], row["published_high"] / row["reference"]
            if 0.0 < low < high < np.inf:
                axes.fill_between([low, high], y - 0.34, y + 0.34, color=canvas.LINE, linewidth=0, zorder=0.5)
            outside = row["inside"] is False or row["inside"] is np.False_ or row["inside"] == 0
            colour = canvas.BAD if outside else canvas.TWIN
            q05, median, q95 = (float(row[name] / row["reference"]) for name in ("q05", "median", "q95"))
            axes.hlines(y, q05, q95, color=colour, linewidth=2.4, zorder=2)
            axes.plot(
                median, y, marker="D" if outside else "o", markersize=7.5, color=colour, zorder=3,
                markerfacecolor=canvas.PAPER if outside else colour, markeredgewidth=1.8,
            )  # fmt: skip
            said.append(f"{row['name']} {number(median)} ({number(q05)} to {number(q95)})")
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, 0.4), max(high, 2.5))
        axes.set_yticks(range(len(table)), [shorten(name, 22) for name in table["name"].iloc[::-1]])
        axes.set_ylim(-0.6, len(table) - 0.4)
        axes.set_xlabel("estimate / published value")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        return canvas.to_svg(figure, "forest", "Estimates over published values: " + "; ".join(said) + ".")
