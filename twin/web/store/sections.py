"""Sections of a page of stores: courses, one endpoint, yes or no, arms compared, runs compared, who failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.markup import Markup, join, tag
from twin.web.store import charts
from twin.web.store.charts import Course, Curve, Interval, Style, style_of
from twin.web.store.runs import LEVELS, Run, Runs
from twin.web.store.view import HISTOGRAM, MOST_SHOWN, View
from twin.web.store.words import labelled, number, percent, points, spread, table

if TYPE_CHECKING:
    pass

BINS = 40
NAMED = 12
"""Failed patients of an arm whose numbers are written; all of them are in the download."""
SAME = "The patients are the same in both runs, so differences are taken within them."
OTHERS = "The patients are others: differences of two groups, whose intervals are wider than within patients."
ON_LOG = "Nothing here is positive, so a logarithmic axis has nothing to show."


def styles(runs: Runs, view: View) -> dict[tuple[int, str], Style]:
    """Styles by arm. Where all arms could be shown, each keeps its style whatever else is shown."""
    every = runs.series if len(runs.series) <= MOST_SHOWN else view.series
    return {series: style_of(place) for place, series in enumerate(every)}


def legend(runs: Runs, view: View) -> Markup:
    """Which line is which arm."""
    looks = styles(runs, view)
    items = (tag("li", charts.swatch(looks[series]), " ", runs.title(*series)) for series in view.series)
    return tag("ul", *items, class_="legend")


def figure(picture: Markup | None, caption: str, otherwise: str) -> Markup:
    """A picture under its title, or why there is none."""
    if picture is None:
        return tag("p", otherwise, class_="small")
    # Where the window is narrow, a picture is scrolled sideways; its letters would be too small to read.
    return tag(
        "figure",
        tag("figcaption", caption),
        tag("div", picture, class_="scroll", tabindex=0, role="group", aria_label=caption),
    )


def courses(runs: Runs, view: View) -> Markup:
    """Quantile bands over time."""
    if not view.output:
        fix = "put a line such as 'bands: {levels: [0.05, 0.5, 0.95]}' into its file and run it into another folder"
        return tag("p", f"The runs kept no courses. To have some, {fix}.")
    looks, shown, without = styles(runs, view), [], []
    unit = next(run.unit(view.output) for run in runs if view.output in run.outputs)
    for place, arm in view.series:
        run = runs[place]
        if view.output not in run.outputs:
            without.append(f"{run.label} kept no courses of {view.output}.")
            continue
        if run.unit(view.output) != unit:
            without.append(f"{run.label} has {view.output} in another unit ({run.unit(view.output) or 'none'}).")
            continue
        band = run.band(view.output, arm)
        shown.append(Course(runs.title(place, arm), looks[place, arm], run.times, band, run.levels))
    notes = [tag("p", text, class_="small") for text in _once(without)]
    if not shown:
        return join(*notes)
    time = labelled("time", next(run.time_unit for run in runs if view.output in run.outputs))
    picture = charts.courses_chart(shown, time, labelled(view.output, unit), log=view.log)
    words = tag("p", f"{_bands(shown[0])}{_of_failed(runs)}", class_="small")
    return join(figure(picture, labelled(view.output, unit), ON_LOG), words, *notes)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _bands(course: Course) -> str:
    levels = [f"{100 * course.levels[k]:g}" for k in range(len(course.levels))]
    said = [f"{levels[low]} to {levels[high]} %" for low, high in course.pairs]
    middle = "" if course.middle is None else f"; line: {levels[course.middle]} %"
    return f"Shaded: {', '.join(said)} of the patients at every time{middle.replace('50 %', 'median')}."


def _of_failed(runs: Runs) -> str:
    return " Patients that failed are in none of it." if any(run.failures() for run in runs) else ""


def endpoint(runs: Runs, view: View) -> Markup:
    """The distribution of one endpoint, arm by arm, and its numbers."""
    name, looks = view.endpoint, styles(runs, view)
    unit = _unit(runs, name)
    having = [(p, arm) for p, arm in view.series if name in runs[p].endpoints and runs[p].unit(name) == unit]
    notes = _not_alike(runs, view, name)
    if not having:
        return join(tag("p", f"No arm that is shown has the endpoint {name}."), *notes)
    label = labelled(name, unit)
    if view.shape == HISTOGRAM:
        curves = _histograms(runs, having, looks, name, log=view.log_endpoint)
        picture = charts.histogram_chart(curves, label, log=view.log_endpoint) if curves else None
        caption = f"{label}: share of the patients in each bin"
    else:
        curves = [_cumulative(runs, series, looks[series], name) for series in having]
        picture = charts.cumulative_chart(curves, label, log=view.log_endpoint)
        caption = f"{label}: share of the patients at or below each value"
    rows = []
    for place, arm in having:
        row = _row(runs, view, place, name, arm)
        counts = [f"{int(row['patients']):,}", f"{int(row['failed']):,}", f"{int(row['undefined']):,}"]
        half = f"{number(row['q25'], 3)} to {number(row['q75'], 3)}"
        named = join(charts.swatch(looks[place, arm]), " ", runs.title(place, arm))
        rows.append([named, spread(row["q50"], row["q05"], row["q95"]), half, number(row["mean"]), *counts])
    head = ["Arm", "Median (5 to 95 %)", "Middle half", "Mean", "Patients", "Failed", "Undefined"]
    numbers = table(head, rows, f"{label} over the patients of each arm")
    otherwise = ON_LOG if view.log_endpoint else "No patient has a finite value."
    return join(figure(picture, caption, otherwise), numbers, *notes)


def _unit(runs: Runs, name: str) -> str:
    return next(run.unit(name) for run in runs if name in run.endpoints)


def _not_alike(runs: Runs, view: View, name: str) -> list[Markup]:
    """What keeps an endpoint of several runs from being the same thing."""
    found, unit = [], _unit(runs, name)
    formulas = {run.definition(name) for run in runs if name in run.endpoints}
    for place in _once(str(place) for place, _ in view.series):
        run = runs[int(place)]
        if name not in run.endpoints:
            found.append(f"{run.label} has no endpoint {name}.")
        elif run.unit(name) != unit:
            found.append(f"{run.label} has {name} in another unit ({run.unit(name) or 'none'}); it is left out.")
    if len(formulas) > 1:
        found.append(f"The runs define {name} differently: {'; '.join(sorted(formulas))}.")
    return [tag("p", text, class_="fault") for text in found]


def _cumulative(runs: Runs, series: tuple[int, str], style: Style, name: str) -> Curve:
    found = runs[series[0]].distribution(name, series[1])
    finite = np.isfinite(found.quantiles)
    return Curve(runs.title(*series), style, found.quantiles[finite], LEVELS[finite])


def _histograms(
    runs: Runs, having: Sequence[tuple[int, str]], looks: dict[tuple[int, str], Style], name: str, *, log: bool
) -> list[Curve]:
    """Histograms over one set of bins."""
    finite = np.concatenate([runs[place].distribution(name, arm).finite for place, arm in having])
    finite = finite[finite > 0] if log else finite
    if not len(finite):
        return []
    low, high = float(finite.min()), float(finite.max())
    high = high if high > low else low + (abs(low) or 1.0)
    edges = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    # Rounding of the ends would leave the least or the largest value out.
    edges[0], edges[-1] = low, high
    bins = tuple(map(float, edges))
    return [Curve(runs.title(p, arm), looks[p, arm], edges, runs[p].histogram(name, arm, bins)) for p, arm in having]


def _row(runs: Runs, view: View, place: int, name: str, arm: str) -> dict[str, Any]:
    """Numbers of an endpoint or a criterion in an arm; those of all arms that are shown are read together."""
    return runs[place].compared(view.references[place], name, view.arms[place])[arm]


def shares(runs: Runs, view: View) -> Markup:
    """Endpoints that are yes or no: shares with their intervals."""
    looks, parts = styles(runs, view), []
    for name in _once(name for run in runs for name in run.criteria):
        rows, intervals = [], []
        for place, arm in view.series:
            if name not in runs[place].criteria:
                continue
            row = _row(runs, view, place, name, arm)
            ends = (row["low"], row["high"])
            intervals.append(Interval(runs.title(place, arm), looks[place, arm], row["share"], None, ends))
            counts = [f"{int(row['patients']):,}", f"{int(row['unknown']):,}"]
            change = points(row["difference"], row["lower"], row["upper"]) if _known(row) else "–"
            moved = f"{int(row['gained']):,} / {int(row['lost']):,}" if _known(row) else "–"
            rows.append([runs.title(place, arm), percent(row["share"], *ends), *counts, change, moved])
        if not rows:
            continue
        formulas = _once(run.definition(name) for run in runs if name in run.criteria)
        picture = charts.interval_chart(intervals, "share of the patients", zero=False, percent=True)
        head = [
            "Arm",
            "Share (95 % interval)",
            "Patients",
            "Unknown",
            "Difference [points]",
            "Gained / lost",
        ]
        caption = f"{name}: share of the patients with an answer; differences to the reference within the same patients"
        title = f"{name}: {' or '.join(formulas)}"
        parts.append(join(figure(picture, title, "No patient has an answer."), table(head, rows, caption)))
    return join(*parts) if parts else tag("p", "The runs have no criteria of response.")


def _known(row: dict[str, Any]) -> bool:
    return row.get("difference", np.nan) == row.get("difference", np.nan)


def differences(runs: Runs, view: View) -> Markup:
    """Arms of a run against its reference, within the same patients."""
    looks, parts, name = styles(runs, view), [], view.endpoint
    for place, run in enumerate(runs):
        reference = view.references[place]
        others = [arm for arm in view.arms[place] if arm != reference]
        if name not in run.endpoints or not others:
            continue
        found = [(runs.title(place, arm), looks[place, arm], _row(runs, view, place, name, arm)) for arm in others]
        against = runs.title(place, reference)
        caption = f"{labelled(name, run.unit(name))}: difference to {against}, patient by patient"
        parts.append(_paired(found, caption, run.unit(name)))
    return join(*parts) if parts else tag("p", f"To compare, show an arm besides the reference that has {name}.")


def _paired(found: Sequence[tuple[str, Style, dict[str, Any]]], caption: str, unit: str) -> Markup:
    """The patients' own differences: 90 % and half of them, and their mean with its interval."""
    intervals, rows = [], []
    for title, look, row in found:
        low, first, middle, third, high = (
            float(row[f"difference_q{level}"]) for level in ("05", "25", "50", "75", "95")
        )
        intervals.append(Interval(title, look, middle, (first, third), (low, high)))
        mean = spread(row["difference"], row["lower"], row["upper"])
        rows.append([title, spread(middle, low, high), mean, f"{int(row['pairs']):,}"])
    head = ["Arm", "Median difference (5 to 95 % of the patients)", "Mean difference (95 % interval)", "Pairs"]
    picture = charts.interval_chart(intervals, labelled("difference", unit), zero=True)
    said = "Circle: median; thick: the middle half of the patients; thin: 5 to 95 %."
    return join(
        figure(picture, caption, "No difference is known."), tag("p", said, class_="small"), table(head, rows, caption)
    )


def between(runs: Runs, view: View) -> Markup:
    """Arms of further runs against those of the first."""
    looks, parts = styles(runs, view), []
    for place in range(1, len(runs)):
        pairs = [(arm, view.against or arm) for arm in view.arms[place] if (view.against or arm) in runs[0].arms]
        title = f"{runs[place].label} against {runs[0].label}"
        parts.append(tag("h3", title))
        if not pairs:
            parts.append(tag("p", "No arm that is shown has its name in both; choose one under “Runs against”."))
            continue
        paired = runs.paired(place)
        parts.append(tag("p", SAME if paired else OTHERS))
        name = view.endpoint
        found = [(arm, base, runs.between(place, arm, base, name)[0]) for arm, base in pairs]
        caption = f"{labelled(name, _unit(runs, name))}: {title}"
        known = [
            (_pair(arm, base), looks[place, arm], frame.iloc[0].to_dict()) for arm, base, frame in found if len(frame)
        ]
        if not known:
            parts.append(tag("p", f"The endpoint {name} is not in both, or in different units."))
        else:
            parts.append((_paired if paired else _independent)(known, caption, _unit(runs, name)))
        parts.append(_shares_between(runs, place, pairs))
    return join(*parts)


def _pair(arm: str, base: str) -> str:
    """An arm and that of the first run which it is compared with."""
    return arm if arm == base else f"{arm} − {base}"


def _independent(found: Sequence[tuple[str, Style, dict[str, Any]]], caption: str, unit: str) -> Markup:
    intervals = [Interval(t, look, row["difference"], None, (row["lower"], row["upper"])) for t, look, row in found]
    rows = [
        [title, spread(row["difference"], row["lower"], row["upper"]), number(row["difference_of_medians"]),
         f"{int(row['patients']):,} and {int(row['patients_against']):,}"]
        for title, _, row in found
    ]  # fmt: skip
    head = ["Arms", "Difference of means (95 % interval)", "Difference of medians", "Patients"]
    picture = charts.interval_chart(intervals, labelled("difference of means", unit), zero=True)
    return join(figure(picture, caption, "No mean is finite."), table(head, rows, caption))


def _shares_between(runs: Runs, place: int, pairs: Sequence[tuple[str, str]]) -> Markup | None:
    rows = []
    for name in (name for name in runs[0].criteria if name in runs[place].criteria):
        for arm, base in pairs:
            row = runs.between(place, arm, base, name)[1].iloc[0]
            shown = points(row["difference"], row["lower"], row["upper"])
            rows.append([name, _pair(arm, base), shown])
    head = ["Criterion", "Arms", "Difference of shares [points] (95 % interval)"]
    return table(head, rows, "Shares of yes, between the runs") if rows else None


def failed(runs: Runs) -> Markup:
    """Patients whose integration failed: how many, why, and which."""
    rows = []
    for place, run in enumerate(runs):
        for failure in run.failures():
            numbers = ", ".join(map(str, failure.patients[:NAMED]))
            more = len(failure.patients) - NAMED
            which = f"{numbers} and {more:,} more" if more > 0 else numbers
            rows.append([runs.title(place, failure.arm), failure.reason, f"{len(failure.patients):,}", which])
    if not rows:
        return tag("p", f"None: all {_integrations(runs):,} integrations reached their end.")
    note = "They are in no number and no picture above. Patients are counted from 0; all are in the download."
    return join(tag("p", note), table(["Arm", "Why", "Patients", "Which"], rows, "Patients whose integration failed"))


def _integrations(runs: Iterable[Run]) -> int:
    return sum(run.patients * len(run.arms) for run in runs)
