"""Whether the intervals hold what they promise: PIT and coverage."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.stats import binom, binomtest

from calibration.report import canvas
from calibration.report.formats import number, percent
from calibration.report.sections.frame import nothing, section
from calibration.report.tables import numbers
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, tag


def intervals_section(assessment: Assessment) -> Markup:
    """Whether the intervals hold what they promise."""
    scores = assessment.scores
    pictures = []
    if (pit := numbers(scores, "pit")).size:
        pictures.append(tag("figure", tag("figcaption", "PIT of held-out readings"), draw_pit(pit)))
    if numbers(scores, "coverage_90").size:
        pictures.append(tag("figure", tag("figcaption", "Promised and actual coverage"), draw_coverage(scores)))
    return section(
        "intervals",
        "Are the intervals right?",
        "Does a 90 % interval hold 90 % of what is measured? The PIT is the place of each reading in its own "
        "forecast, from 0 (lowest) to 1. Level bars are right; a heap in the middle means intervals too wide, "
        "heaps at both ends too narrow, a slope a bias. Shaded: where 9 of 10 bars of a right twin lie.",
        tag("p", assessment.verdict.remark) if assessment.verdict.remark else None,
        tag("div", *pictures, class_="beside pair") if pictures else nothing("held-out forecasts"),
        tag(
            "p",
            "Readings of one series share the error of their trajectory, so these ranges are narrower than they "
            "ought to be when there are few series.",
            class_="small",
        ),
    )


def draw_pit(values: Float[np.ndarray, " reading"]) -> Markup:
    """Histogram of PIT values with the range that chance alone would give each bar."""
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
            covered = numbers(scores, f"coverage_{round(100 * nominal)}")
            axes.plot([nominal] * 2, [y - 0.12, y + 0.3], color=canvas.INK, linewidth=2.2)
            axes.annotate(
                f"promised {percent(nominal)}", (nominal, y + 0.34), ha="center", va="bottom", size=10,
                color=canvas.MUTED,
            )  # fmt: skip
            if not covered.size:
                continue
            share = float(covered.mean())
            interval = binomtest(round(float(covered.sum())), len(covered)).proportion_ci(0.95, method="wilson")
            axes.hlines(y, interval.low, interval.high, color=canvas.TWIN, linewidth=3)
            axes.plot(share, y, marker="D", markersize=9, color=canvas.TWIN)
            axes.annotate(
                percent(share), (share, y - 0.16), ha="center", va="top", weight="bold", annotation_clip=False
            )
            said.append(
                f"{percent(share)} inside the {percent(nominal)} interval (95 % interval {percent(interval.low)} "
                f"to {percent(interval.high)})"
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
