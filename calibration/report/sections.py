"""The sections of the page: each says what it asks and how to read it, then shows the figure and the table."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from calibration.report import figures
from calibration.report.formats import humanise, is_missing, natural, number, percent, show
from calibration.report.markup import Markup, join, tag
from calibration.report.panels import choose_panels, draw_panels
from calibration.report.tables import Column, entries, folded, inside, mark, numeric, table, truth
from calibration.sim2real.assessment import Assessment

LAYERS: Mapping[str, tuple[str, str]] = {
    "L0": ("Verification", "Does the machinery compute what it claims?"),
    "L1": ("Statistical", "Do data replicated by the twin look like the data?"),
    "L2": ("Biological", "Is what the twin does possible biology?"),
    "L3": ("Uncertainty", "Are its intervals right on held-out data?"),
    "L4": ("Extrapolation", "How does it do where it was not calibrated?"),
    "L5": ("Utility", "Do its synthetic data help a learner on real data?"),
    "L6": ("Discrepancy", "How much would have to be added to the mechanism?"),
}
_SMALL = 10  # tables up to this long stand open on the page


def data_section(assessment: Assessment) -> Markup:
    """The data with the predictive bands."""
    panels, total = choose_panels(assessment)
    pictures = draw_panels(panels, assessment)
    several = len(assessment.split.folds) > 1
    made = [
        tag(
            "figure",
            tag(
                "figcaption",
                panel.title,
                tag("span", _caption(panel.fold, panel.remark, several), class_="small"),
            ),
            picture,
        )
        for panel, picture in zip(panels, pictures, strict=True)
    ]
    remarks = [f"{note[:1].upper()}{note[1:]}." for note in assessment.split.notes]
    if total > len(panels):
        remarks.append(
            f"{len(panels)} of {total} series are drawn, in the order of their names and each observable in turn; "
            f"{total - len(panels)} more are in the scores below."
        )
    if several:
        remarks.append("Each series is shown as predicted by the twin that never saw it.")
    return _section(
        "data",
        "The data, and what the twin said about them",
        "Could you have told, from the readings on white ground, what would be measured on the shaded ground? "
        "The twin was calibrated on the filled marks only. A good twin has about half of the hollow marks in the "
        "dark band and nine out of ten in the light one, with bands no wider than they need be.",
        _legend(assessment),
        tag("div", *made, class_="panels one" if len(made) == 1 else "panels"),
        *(tag("p", remark, class_="small") for remark in remarks),
    )


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
        Column("asks", "What it asks"),
        Column("passed", "Passed", lambda n: _count(n, "pass", "✓"), numeric=True),
        Column("failed", "Failed", lambda n: _count(n, "fail", "✕"), numeric=True),
        Column("open", "Not judged", lambda n: _count(n, "open", "–"), numeric=True),
    ]
    return _section(
        "layers",
        "Layer by layer",
        "A twin can predict well for the wrong reason, or be right and useless. Each layer asks its own question, and "
        "they are never averaged into one number.",
        table(overview, columns, "How many checks of each layer passed") if summary else _nothing("layers"),
        *parts,
    )


def baselines_section(assessment: Assessment) -> Markup:
    """The twin among the forecasters that know no biology."""
    gap = assessment.gap
    columns = [
        Column("forecaster", "Forecaster"),
        numeric("crps", "CRPS ↓"),
        numeric("interval_score", "Interval score ↓"),
        numeric("elpd", "ELPD ↑"),
        numeric("coverage_50", "In 50 %", percent),
        numeric("coverage_90", "In 90 %", percent),
        Column("note", "Note"),
    ]
    left_out = [f"{name}: {why}" for name, why in gap.left_out.items()]
    return _section(
        "baselines",
        "Against curves through the points",
        "Does knowing the mechanism help? The baselines saw the same training readings as the twin but know no biology. "
        "CRPS is the distance between a forecast and what was measured, on the scale of scoring: lower is better, and the "
        "noise floor is what measurement noise alone would cost even a perfect twin. Lines start at the floor; the "
        "twin's line divided by that of the best baseline is the gap.",
        tag(
            "div",
            tag("figure", tag("figcaption", "Held-out score of each forecaster"), figures.draw_scores(gap)),
            tag(
                "div",
                table(
                    assessment.by_forecaster,
                    columns,
                    "Held-out scores (↓ lower is better, ↑ higher is better; 50 and 90 % are the promise)",
                    strong=lambda row: str(row["forecaster"]).lower() == "twin",
                ),
                tag("p", "Not in the comparison: " + "; ".join(left_out) + ".", class_="small") if left_out else None,
                tag("p", _scales(assessment), class_="small"),
            ),
            class_="beside",
        ),
        _by_series(assessment),
    )


def intervals_section(assessment: Assessment) -> Markup:
    """Whether the intervals hold what they promise."""
    scores = assessment.scores
    pictures = []
    if "pit" in scores and scores["pit"].notna().any():
        pictures.append(tag("figure", tag("figcaption", "PIT of held-out readings"), figures.draw_pit(scores["pit"])))
    if {"coverage_50", "coverage_90"} <= set(scores) and scores["coverage_90"].notna().any():
        pictures.append(tag("figure", tag("figcaption", "Promised and actual coverage"), figures.draw_coverage(scores)))
    return _section(
        "intervals",
        "Are the intervals right?",
        "Does a 90 % interval hold 90 % of what is measured? The PIT is the place of each reading in its own forecast, from "
        "0 (lowest) to 1. Level bars are right; a heap in the middle means intervals too wide, heaps at both ends too "
        "narrow, a slope a bias. Shaded: where 9 of 10 bars of a right twin lie.",
        tag("p", assessment.verdict.remark) if assessment.verdict.remark else None,
        tag("div", *pictures, class_="beside pair") if pictures else _nothing("held-out forecasts"),
        tag(
            "p",
            "Readings of one series share the error of their trajectory, so these ranges are narrower than they "
            "ought to be when there are few series.",
            class_="small",
        ),
    )


def tests_section(assessment: Assessment) -> Markup:
    """Posterior predictive tests."""
    tests = assessment.predictive_tests
    if tests.empty or "p_value" not in tests:
        return _section("tests", "Could the twin have made these data?", _ASK_TESTS, _nothing("predictive tests"))
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
    return _section(
        "tests",
        "Could the twin have made these data?",
        _ASK_TESTS,
        tag(
            "div",
            tag("figure", tag("figcaption", "Predictive p-values"), figures.draw_tests(tests)),
            tag(
                "div",
                tag(
                    "p",
                    f"{low} of {int(p_values.notna().sum())} tests have p < 0.05; chance alone gives at most one in 20.",
                ),
                _open_if_short(tests.sort_values("p_value"), columns, "Predictive tests, smallest p first"),
            ),
            class_="beside",
        ),
    )


_ASK_TESTS = (
    "Many data sets are drawn from the calibrated twin and summarised as the real one is. p is how often the draws are as "
    "extreme as the data: a small p means that the twin hardly ever makes such data; a large one says little."
)


def parameters_section(assessment: Assessment) -> Markup:
    """Posterior parameters beside what others have published."""
    parameters = assessment.parameters
    drawn = figures.comparable(parameters)
    shown = parameters.assign(
        interval=[_range(row["q05"], row["q95"]) for _, row in parameters.iterrows()],
        literature=[_published(row) for _, row in parameters.iterrows()],
    )
    columns = [
        Column("name", "Parameter"),
        Column("unit", "Unit"),
        numeric("median", "Median"),
        numeric("interval", "90 % interval", show),
        numeric("literature", "Published", show),
        Column("inside", "Published value is", inside),
        numeric("prior_to_posterior", "sd, posterior / prior", lambda x: number(x, 2)),
        Column("note", "Note"),
        Column("source", "Source"),
    ]
    judged = [truth(value) for value in parameters["inside"]]
    known = judged.count(True) + judged.count(False)
    picture = None
    if len(drawn):
        picture = tag(
            "figure",
            tag("figcaption", "Estimates as multiples of the published value"),
            figures.draw_parameters(drawn),
        )
    said = [
        f"The 90 % interval holds the published value of {judged.count(True)} of {known} parameters that have one."
        if known
        else "No parameter has a published value to compare with.",
    ]
    missing = known - sum(
        name in set(drawn["name"]) for name, j in zip(parameters["name"], judged, strict=True) if j is not None
    )
    if missing > 0:
        said.append(f"{missing} of them cannot be drawn as a ratio or found no room in the figure.")
    learned = (
        "A posterior as wide as its prior (ratio near 1) means that the data say nothing about that parameter: "
        "its interval shows what was assumed."
    )
    return _section(
        "parameters",
        "Parameters against published values",
        "Do the numbers agree with what others have measured? Each mark is the median, its line the 90 % interval, as a "
        "multiple of the published value (dashed, at 1) or of the middle of a published range (grey). A hollow diamond "
        "lies outside. To lie outside is no proof of error: a difference in strain, assay or model may explain it.",
        tag(
            "div",
            picture,
            tag("div", tag("p", " ".join(said)), tag("p", learned, class_="small")),
            class_="beside",
        )
        if picture
        else tag("p", " ".join([*said, learned])),
        table(shown, columns, "Estimated parameters"),
    )


def diagnostics_section(assessment: Assessment) -> Markup:
    """Whether the computation itself can be trusted."""
    columns = [
        Column("name", "Parameter"),
        numeric("r_hat", "R-hat", lambda x: number(x, 4)),
        numeric("ess_bulk", "Bulk ESS", lambda x: number(x, 4)),
    ]
    return _section(
        "diagnostics",
        "Did the computation work?",
        "The sampler's chains must agree (R-hat below 1.01) and hold enough independent draws (bulk ESS above 400), and few "
        "of their steps may diverge. Simulations that failed are counted here and never dropped in silence.",
        tag(
            "div",
            entries(assessment.diagnostics, "Diagnostics") if assessment.diagnostics else _nothing("diagnostics"),
            _open_if_short(assessment.parameters, columns, "Convergence by parameter"),
            class_="beside",
        ),
    )


def provenance_section(assessment: Assessment) -> Markup:
    """What is needed to make this page again."""
    return _section(
        "provenance",
        "Where these numbers come from",
        "Versions, seeds, settings and the hash of the data: what one needs to make this page again.",
        folded("Versions, seeds, settings, data", entries(assessment.provenance, "Provenance"))
        if assessment.provenance
        else _nothing("provenance"),
    )


def layer_words(key: str) -> tuple[str, str, str]:
    """Code, name and question of a layer: the key may be "L0", "L0 verification" or anything else."""
    found = re.match(r"(L\d)\b[\s:.,–-]*(.*)", key, flags=re.DOTALL)
    if found is None:
        return key, "", ""
    name, question = LAYERS.get(found[1], ("", ""))
    return found[1], humanise(found[2]) if found[2] else name, question


def _section(identifier: str, title: str, asks: str, *content: object) -> Markup:
    """A section with its heading and the sentence that says how to read it."""
    heading = tag("h2", title, id=f"{identifier}-title")
    return tag("section", heading, tag("p", asks), *content, id=identifier, aria_labelledby=f"{identifier}-title")


def _nothing(what: str) -> Markup:
    return tag("p", f"This assessment has no {what}.", class_="small")


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
        Column("note", "Note"),
    ]
    return table(checks, columns, caption)


def _count(value: object, kind: str, sign: str) -> Markup | str:
    """A number of checks with its sign; zero is quiet."""
    if not value:
        return "0"
    return tag("span", tag("span", sign, aria_hidden="true"), f" {value}", class_=f"mark {kind}")


def _caption(fold: str, remark: str, several: bool) -> str:
    """The second line over a panel."""
    if not remark:
        return "nothing held out here"
    return f"{remark} (fold: {fold})" if several else remark


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
    rows = scores.groupby(keys, sort=False)[means].mean()
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
        numeric(best, f"CRPS {assessment.gap.baseline_name}"),
        numeric("floor", "Noise floor"),
        numeric("coverage_90", "In 90 %", percent),
        Column("wins", "Twin is", lambda v: mark(v, ("ahead", "behind", "not judged"))),
    ]
    ahead = int(sum(value is True for value in rows["wins"]))
    summary = f"Series by series: the twin is ahead of the best baseline in {ahead} of {len(rows)}"
    return folded(summary, table(rows, columns, "Mean held-out scores of each series"))


def _open_if_short(rows: pd.DataFrame, columns: list[Column], caption: str) -> Markup:
    """A table that stands open if it is short and is folded if not."""
    made = table(rows, columns, caption)
    return made if len(rows) <= _SMALL else folded(f"{caption} ({len(rows)} rows)", made)


def _range(low: object, high: object) -> str | None:
    """ "a to b", or None where neither is known."""
    return None if is_missing(low) and is_missing(high) else f"{number(low)} to {number(high)}"


def _published(row: pd.Series) -> str | None:
    """The published value, its range, or both."""
    span = _range(row["published_low"], row["published_high"])
    if row["published_low"] == row["published_high"]:
        span = None
    if is_missing(row["published"]):
        return span or (None if is_missing(row["published_low"]) else number(row["published_low"]))
    return f"{number(row['published'])} ({span})" if span else number(row["published"])


def _legend(assessment: Assessment) -> Markup:
    """What the marks mean."""

    def key(drawing: str, words: str) -> Markup:
        picture = Markup(f'<svg width="26" height="18" viewBox="0 0 26 18" aria-hidden="true">{drawing}</svg>')
        return tag("li", picture, words)

    ink = 'stroke="var(--ink)" stroke-width="1.6"'
    items = [
        key(f'<circle cx="13" cy="9" r="4.5" fill="var(--ink)" {ink}/>', "reading used in calibration"),
        key(f'<circle cx="13" cy="9" r="4.5" fill="var(--paper)" {ink}/>', "reading held out"),
    ]
    if (assessment.readings["censoring"] == "left").any():
        words = "below the detection limit (filled: used, hollow: held out)"
        items.append(key(f'<path d="M8 4.5 h10 l-5 9.5 z" fill="var(--ink)" {ink}/>', words))
    if assessment.limits:
        line = '<path d="M1 9 h24" stroke="var(--muted)" stroke-width="1.6" stroke-dasharray="6 4"/>'
        items.append(key(line, "detection limit"))
    items += [
        key('<path d="M1 9 h24" stroke="var(--twin)" stroke-width="2.4"/>', "twin, median"),
        key('<rect y="2" width="26" height="14" fill="var(--band-50)"/>', "50 % band of a new reading"),
        key('<rect y="2" width="26" height="14" fill="var(--band-90)"/>', "90 % band"),
        key('<rect y="2" width="26" height="14" fill="var(--held)" stroke="var(--line)"/>', "held out"),
    ]
    return tag("ul", *items, class_="legend", aria_label="Legend")
