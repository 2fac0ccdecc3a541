"""The twin among the forecasters that know no biology."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from calibration.report import canvas
from calibration.report.formats import forecaster, is_missing, natural, number, percent, shorten
from calibration.report.sections.frame import WIDTH, section
from calibration.report.tables import Column, folded, mark, note, numeric, table
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.gap import Gap
from twin.markup import Markup, tag

WHAT: Mapping[str, str] = {
    "mean": "what was measured in calibration, averaged",
    "persistence": "the last known reading of a series goes on",
    "spline": "a smooth curve through the points",
    "gaussian process": "a smooth random curve through the points, with its uncertainty",
}


def baselines_section(assessment: Assessment) -> Markup:
    """The twin among the forecasters that know no biology."""
    gap = assessment.gap
    columns = [
        Column("forecaster", "Forecaster", forecaster),
        numeric("crps", "CRPS ↓"),
        numeric("interval_score", "Interval score ↓"),
        numeric("elpd", "ELPD ↑"),
        numeric("coverage_50", "In 50 %", percent),
        numeric("coverage_90", "In 90 %", percent),
        Column("note", "Note", note),
    ]
    left_out = [f"{forecaster(name)}: {why}" for name, why in gap.left_out.items()]
    return section(
        "baselines",
        "Against curves through the points",
        "Does knowing the mechanism help? The baselines saw the same training readings as the twin but know no "
        "biology. CRPS is the distance between a forecast and what was measured: lower is better. The noise floor "
        "is what measurement noise alone would cost even a perfect twin.",
        tag(
            "div",
            tag("figure", tag("figcaption", "Held-out score of each forecaster"), draw_scores(gap)),
            tag(
                "div",
                tag(
                    "p",
                    "Every line starts at the noise floor. The twin's line divided by the best baseline's is the gap.",
                ),
                _who(gap),
                tag("p", "Not in the comparison: " + "; ".join(left_out) + ".", class_="small") if left_out else None,
                tag("p", _scales(assessment), class_="small"),
            ),
            class_="beside",
        ),
        table(
            assessment.by_forecaster,
            columns,
            "Held-out scores. ↓ lower is better, ↑ higher is better; a right forecast has 50 and 90 % in its intervals",
            strong=lambda row: str(row["forecaster"]).lower() == "twin",
        ),
        _by_series(assessment),
    )


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
        axes.set_yticks(range(len(rows)), [shorten(forecaster(name), 24) for name, _ in rows])
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


def _who(gap: Gap) -> Markup | None:
    """What the baselines do, in one line each."""
    known = [(name, WHAT[name]) for name in gap.baselines if name in WHAT]
    items = [
        tag("div", tag("dt", forecaster(name)[:1].upper() + forecaster(name)[1:]), tag("dd", what))
        for name, what in known
    ]
    return tag("dl", *items, class_="who") if items else None


def _scales(assessment: Assessment) -> str:
    """On which scale each observable is scored."""
    listed = [
        f"{name} ({'log10' if scale == 'log10' else 'as measured'})" for name, scale in assessment.score_scale.items()
    ]
    return "Scale of scoring: " + ", ".join(listed) + "." if listed else "Scored as measured."


def _by_series(assessment: Assessment) -> Markup | None:
    """Where the twin wins and where it loses."""
    scores, best = assessment.scores, f"crps {assessment.gap.baseline_name}"
    if scores.empty or best not in scores:
        return None
    keys = ["experiment", "subject", "observable"]
    means = [name for name in ("crps", best, "floor", "coverage_90") if name in scores]
    rows = pd.DataFrame(scores.groupby(keys, sort=False)[means].mean())
    rows.insert(0, "readings", scores.groupby(keys, sort=False).size())
    rows = rows.reset_index().sort_values(keys, key=lambda column: column.map(natural), kind="stable")
    rows["wins"] = [
        bool(t < b) if not (is_missing(t) or is_missing(b)) else None
        for t, b in zip(rows["crps"], rows[best], strict=True)
    ]
    columns = [
        Column("experiment", "Experiment"),
        Column("subject", "Subject"),
        Column("observable", "Observable"),
        numeric("readings", "Held out"),
        numeric("crps", "CRPS twin"),
        numeric(best, f"CRPS {forecaster(assessment.gap.baseline_name)}"),
        numeric("floor", "Noise floor"),
        numeric("coverage_90", "In 90 %", percent),
        Column("wins", "Twin is", lambda v: mark(v, ("ahead", "behind", "not judged"))),
    ]
    ahead = int(sum(value is True for value in rows["wins"]))
    summary = f"Series by series: the twin is ahead of the best baseline in {ahead} of {len(rows)}"
    return folded(summary, table(rows, columns, "Mean held-out scores of each series"))
