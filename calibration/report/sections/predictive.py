"""Posterior predictive tests: could the twin have made these data?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration.report import canvas
from calibration.report.formats import number, shorten
from calibration.report.sections.frame import MOST_ROWS, WIDTH, nothing, open_if_short, section
from calibration.report.tables import Column, numbers, numeric
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, tag

_ASK_TESTS = (
    "Many data sets are drawn from the calibrated twin and summarised as the real one is. p is how often the "
    "draws are as extreme as the data: a small p means that the twin hardly ever makes such data; a large one "
    "says little."
)


def tests_section(assessment: Assessment) -> Markup:
    """Posterior predictive tests."""
    tests = assessment.predictive_tests
    p_values = numbers(tests, "p_value")
    if not p_values.size:
        return section("tests", "Could the twin have made these data?", _ASK_TESTS, nothing("predictive tests"))
    if "series" not in tests:
        known = [name for name in ("experiment", "subject", "observable") if name in tests]
        tests = tests.assign(series=tests[known].astype(str).agg(" · ".join, axis=1) if known else "all")
    low = int(np.sum(p_values < 0.05))
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
                    _which_fold(assessment),
                    f"{low} of {len(p_values)} tests have p < 0.05; chance alone gives at most one in 20.",
                ),
            ),
            class_="beside",
        ),
        open_if_short(tests.sort_values("p_value"), columns, "Predictive tests, smallest p first"),
    )


def _which_fold(assessment: Assessment) -> str:
    """Says whose data are tested where there are several folds."""
    folds = assessment.split.folds
    return f"Training data of the first of {len(folds)} folds ({folds[0].label} held out). " if len(folds) > 1 else ""


def draw_tests(tests: pd.DataFrame) -> Markup:
    """p-values of the predictive tests, one row per statistic."""
    statistics = tests["statistic"].astype(str)
    names = list(dict.fromkeys(statistics))[::-1][-MOST_ROWS:]
    with canvas.drawing(WIDTH, 62 + 26 * len(names)) as (figure, axes):
        axes.axvspan(0.0, 0.05, facecolor=canvas.HELD, edgecolor="none")
        axes.axvline(0.05, color=canvas.MUTED, linestyle=":", linewidth=1.0)
        for y, name in enumerate(names):
            values = numbers(tests.loc[statistics == name], "p_value")
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
            f"{len(numbers(tests, 'p_value'))} predictive p-values of {len(names)} statistics; "
            f"{int(np.sum(numbers(tests, 'p_value') < 0.05))} below 0.05."
        )
        return canvas.to_svg(figure, "tests", text)
