"""The top of the page: the verdict in large letters, the gap, and where it lies between noise and a curve."""

from __future__ import annotations

import math

from calibration.report.formats import DASH, forecaster, number, two_places
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.gap import Gap
from calibration.sim2real.verdict import NAMES
from twin.markup import Markup, join, tag

_SIGNS = {"better": "✓", "no better": "=", "worse": "✕", "undefined": "?"}
_FURTHEST = (-1.0, 3.0)  # a gauge that reached further would squeeze the stretch between 0 and 1 to nothing


def headline(assessment: Assessment) -> Markup:
    """The verdict, the gap and its gauge."""
    gap, verdict = assessment.gap, assessment.verdict
    held = "; ".join(fold.label for fold in assessment.split.folds)
    words = tag(
        "div",
        tag(
            "p",
            tag("span", _SIGNS[verdict.label], class_="sign", aria_hidden="true"),
            "Verdict",
            class_="kicker",
        ),
        tag("h2", in_short(assessment), id="verdict-title"),
        tag("p", verdict.sentence, class_="sentence"),
        tag("p", verdict.remark, class_="remark") if verdict.remark else None,
        tag(
            "p",
            f"Held out: {held}. {gap.readings} readings, none of them seen by the twin that predicted it.",
            class_="small",
        ),
    )
    figures = tag(
        "div",
        tag("p", "The gap to reality", class_="kicker"),
        tag("p", two_places(gap.value), class_="number"),
        tag("p", _interval(gap), class_="small"),
        class_="gap",
    )
    return tag(
        "section",
        tag("div", words, figures, class_="verdict-top"),
        gauge(gap) if gap.defined else None,
        _made_of(gap),
        class_=f"verdict {verdict.label.replace(' ', '-')}",
        id="verdict",
        aria_labelledby="verdict-title",
    )


def in_short(assessment: Assessment) -> str:
    """The verdict in a few words, as large for failure as for success."""
    baseline = NAMES.get(assessment.gap.baseline_name, f"the {assessment.gap.baseline_name} baseline")
    return {
        "better": "Better than any curve through the points",
        "no better": f"No better than {baseline}",
        "worse": f"Worse than {baseline}",
        "undefined": "No gap can be stated",
    }[assessment.verdict.label]


def gauge(gap: Gap) -> Markup:
    """The gap and its interval on an axis where 0 is measurement noise and 1 the best curve.

    Drawn in percent of the width, so that letters keep their size on a telephone.
    """
    low = max(_FURTHEST[0], min(-0.35, gap.low - 0.1, gap.value - 0.1))
    high = min(_FURTHEST[1], max(1.55, gap.high + 0.1, gap.value + 0.1))

    def at(value: float) -> str:
        return f"{100.0 * min(max((value - low) / (high - low), 0.0), 1.0):.2f}%"

    def share(start: float, end: float) -> str:
        return f"{100.0 * (min(end, high) - max(start, low)) / (high - low):.2f}%"

    one, top = at(1.0), 46
    parts = [
        tag("rect", x="0", y=top, width=share(low, 1.0), height="26", class_="zone-twin"),
        tag("rect", x=one, y=top, width=share(1.0, high), height="26", class_="zone-curve"),
    ]
    for value, lines in ((0.0, ("measurement", "noise")), (1.0, ("best curve", "through the points"))):
        x = at(value)
        parts.append(tag("line", x1=x, x2=x, y1=top - 6, y2=top + 34, class_="tick"))
        parts.append(tag("text", f"{value:.0f}", x=x, y=top + 49, class_="tick-number"))
        parts += [tag("text", line, x=x, y=top + 65 + 15 * i, class_="tick-word") for i, line in enumerate(lines)]
    parts.append(tag("line", x1=at(gap.low), x2=at(gap.high), y1=top + 13, y2=top + 13, class_="interval"))
    for end, edge, path in ((gap.low, low, "M-1 0 l10 -8 v16 z"), (gap.high, high, "M1 0 l-10 -8 v16 z")):
        beyond = end < low if edge == low else end > high
        shape = tag("path", d=path) if beyond else tag("path", d="M-1.5 -7 h3 v14 h-3 z")
        parts.append(tag("svg", shape, x=at(end), y=top + 13, class_="end", overflow="visible"))
    shape = tag("path", d="M0 -11 l9 11 l-9 11 l-9 -11 z")
    where = "96%" if gap.value > high else "4%" if gap.value < low else at(gap.value)
    parts.append(tag("svg", shape, x=where, y=top + 13, class_="diamond", overflow="visible"))
    outside = " →" if gap.value > high else ""
    before = "← " if gap.value < low else ""
    anchor = "end" if outside else "start" if before else "middle"
    parts.append(
        tag("text", f"{before}twin {two_places(gap.value)}{outside}", x=at(gap.value), y=top - 16,
            class_="value", text_anchor=anchor)
    )  # fmt: skip
    said = (
        f"Gauge: the gap is {two_places(gap.value)}, {_interval(gap)}; 0 is measurement noise, 1 the best curve "
        "through the points."
    )
    return tag("svg", *parts, class_="gauge", role="img", width="100%", height=top + 88, aria_label=said)


def _interval(gap: Gap) -> str:
    """The interval of the gap in words."""
    if not gap.defined:
        return "undefined on these readings"
    return f"{100 * gap.level:.0f} % interval {two_places(gap.low)} to {two_places(gap.high)}"


def _made_of(gap: Gap) -> Markup:
    """The three scores behind the gap, and the plain difference."""
    scores = [
        ("Twin", gap.twin),
        (f"Best curve ({forecaster(gap.baseline_name)})", gap.baseline),
        ("Noise floor", gap.floor),
    ]
    items = [tag("div", tag("dt", name), tag("dd", number(score))) for name, score in scores]
    ends = [number(end) if math.isfinite(end) else DASH for end in (gap.difference_low, gap.difference_high)]
    difference = join(number(gap.difference), tag("span", f" ({ends[0]} to {ends[1]})", class_="small"))
    items.append(tag("div", tag("dt", "Twin minus best curve"), tag("dd", difference)))
    how = (
        "Mean CRPS on the held-out readings; lower is better. The gap is (twin − noise floor) / (best curve − "
        "noise floor): 0 is as good as the measurement noise allows, 1 no better than the best curve through the "
        f"same points, above 1 worse. The interval is from {gap.units} {gap.unit}."
    )
    return join(tag("dl", *items, class_="scores"), tag("p", how, class_="small"))
