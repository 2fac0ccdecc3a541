"""Posterior predictive tests: could the twin have made these data?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration.report import canvas
from calibration.report.formats import number, shorten
from calibration.report.markup import Markup, tag
from calibration.report.sections.frame import MOST_ROWS, WIDTH, nothing, open_if_short, section
from calibration.report.tables import Column, numeric
from calibration.sim2real.assessment import Assessment

_ASK_TESTS = (
    "Many data sets are drawn from the calibrated twin and summarised as the real one is. p is how often the draws are as "
    "extreme as the data: a small p means that the twin hardly ever makes such data; a large one says little."
)


def tests_section(assessment: Assessment) -> Markup:
    """Posterior predictive tests."""
    tests = assessment.predictive_tests
    if tests.empty or "p_value" not in tests:
        return section("tests", "Could the twin have made these data?", _ASK_TESTS, nothing("predictive tests"))
    if "series" not in tests:
        known = [name for name in ("experiment", "subject", "observable") if name in tests]
        tests = tests.assign(series=tests[known].astype(str).agg(" · ".join, axis=1) if known else "all")
    p_values = tests["p_value"].astype(float)
    low = int((p_values < 0.05).sum())
    columns = [
        Column("series", "Series"),
        Column("statistic", "Statistic"),
        numeric("observed", "Observed"),
        numeric("replicated", "Replicated"),
        numeric("lower_90", "5 %"),
        numeric("upper_90", "95 %"),
        numeric("p_value", "p", lambda p: number(p, 2)),
    ]
    return section(
        "tests",
        "Could the twin have made these data?",
        _ASK_TESTS,
        tag(
            "div",
            tag("figure", tag("figcaption", "Predictive p-values"), draw_tests(tests)),
            tag(
                "div",
                tag(
                    "p",
                    f"{low} of {int(p_values.notna().sum())} tests have p < 0.05; chance alone gives at most one in 20.",
                ),
                open_if_short(tests.sort_values("p_value"), columns, "Predictive tests, smallest p first"),
            ),
            class_="beside",
        ),
    )


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
            shift = 0.15 * (np.arange(len(values)) % 3 - 1)
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
