"""The data with the predictive bands."""

from __future__ import annotations

from calibration.report.panel_figure import draw_panels
from calibration.report.panels import choose_panels
from calibration.report.sections.frame import section
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, tag


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
    return section(
        "data",
        "The data, and what the twin said about them",
        "Could you have told, from the readings on white ground, what would be measured on the shaded ground? The "
        "twin was calibrated on the filled marks only. A good twin has about half of the hollow marks in the dark "
        "band and nine out of ten in the light one, with bands no wider than they need be.",
        _legend(assessment),
        tag("div", *made, class_="panels one" if len(made) == 1 else "panels"),
        *(tag("p", remark, class_="small") for remark in remarks),
    )


def _caption(fold: str, remark: str, several: bool) -> str:
    """The second line over a panel."""
    if not remark:
        return "nothing held out here"
    return f"{remark} (fold: {fold})" if several else remark


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
    if (assessment.readings["censoring"] == "left").to_numpy().any():
        words = "below the detection limit (filled: used, hollow: held out)"
        triangles = (
            f'<path d="M2 4.5 h9 l-4.5 9 z" fill="var(--ink)" {ink}/>'
            f'<path d="M15 4.5 h9 l-4.5 9 z" fill="var(--paper)" {ink}/>'
        )
        items.append(key(triangles, words))
    if (assessment.readings["censoring"] == "right").to_numpy().any():
        triangle = f'<path d="M8.5 13.5 h9 l-4.5 -9 z" fill="var(--ink)" {ink}/>'
        items.append(key(triangle, "above the upper limit (filled: used, hollow: held out)"))
    if (assessment.readings["censoring"] == "interval").to_numpy().any():
        items.append(
            key(f'<path d="M13 1 v16" {ink}/>', "known to lie in this interval (solid: used, dashed: held out)")
        )
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
