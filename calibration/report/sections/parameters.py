"""Posterior parameters beside what others have published."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration.report import canvas
from calibration.report.formats import is_missing, number, shorten, show
from calibration.report.sections.frame import MOST_ROWS, WIDTH, section
from calibration.report.tables import Column, as_is, folded, inside, note, numeric, table, truth
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, join, tag

MOST_OPEN = 16  # a longer table would bury what follows it


def parameters_section(assessment: Assessment) -> Markup:
    """Posterior parameters beside what others have published."""
    parameters = assessment.parameters
    drawn = comparable(parameters)
    shown = parameters.assign(
        interval=[_range(row["q05"], row["q95"]) for _, row in parameters.iterrows()],
        literature=[
            _published(row["published"], row["published_low"], row["published_high"])
            for _, row in parameters.iterrows()
        ],
        label=_two_lines(parameters, "name", "unit"),
        remarks=_two_lines(parameters, "note", "source"),
    )
    columns = [
        Column("label", "Parameter", as_is),
        numeric("median", "Median"),
        numeric("interval", "90 % interval", show),
        numeric("literature", "Published", show),
        Column("inside", "Published value is", inside),
        numeric("prior_to_posterior", "sd, posterior / prior", lambda x: number(x, 2)),
        Column("remarks", "Note and source", as_is),
    ]
    judged = [truth(value) for value in parameters["inside"]]
    known = judged.count(True) + judged.count(False)
    picture = None
    if len(drawn):
        picture = tag(
            "figure",
            tag("figcaption", "Estimates as multiples of the published value"),
            draw_parameters(drawn),
        )
    said = [
        f"The 90 % interval holds the published value of {judged.count(True)} of {known} parameters that have one."
        if known
        else "No parameter has a published value to compare with.",
    ]
    folds = assessment.split.folds
    if len(folds) > 1:
        said.append(f"They are those of the first of {len(folds)} folds ({folds[0].label} held out).")
    missing = known - sum(
        name in set(drawn["name"]) for name, j in zip(parameters["name"], judged, strict=True) if j is not None
    )
    if missing > 0:
        said.append(f"{missing} of them cannot be drawn as a ratio or found no room in the figure.")
    learned = (
        "A posterior as wide as its prior (ratio near 1) means that the data say nothing about that parameter: "
        "its interval shows what was assumed."
    )
    return section(
        "parameters",
        "Parameters against published values",
        "Do the numbers agree with what others have measured? Each mark is the median, its line the 90 % "
        "interval, as a multiple of the published value (dashed, at 1) or of the middle of a published range "
        "(grey). A hollow diamond lies outside. To lie outside is no proof of error: a difference in strain, "
        "assay or model may explain it.",
        tag(
            "div",
            picture,
            tag("div", tag("p", " ".join(said)), tag("p", learned, class_="small")),
            class_="beside",
        )
        if picture
        else tag("p", " ".join([*said, learned])),
        _table(shown, columns),
    )


def _table(shown: pd.DataFrame, columns: list[Column]) -> Markup:
    """All parameters; where there are many, those with a published value, and all of them folded."""
    if len(shown) <= MOST_OPEN:
        return table(shown, columns, "Estimated parameters")
    known = shown.loc[[truth(value) is not None for value in shown["inside"]]]
    everything = folded(f"All {len(shown)} estimated parameters", table(shown, columns, "Estimated parameters"))
    return join(table(known, columns, "Parameters with a published value") if len(known) else None, everything)


def comparable(parameters: pd.DataFrame) -> pd.DataFrame:
    """Parameters that can be drawn as a ratio to what is published: all numbers positive.

    Adds ``reference``: the published value, else the geometric middle of the published range.
    """
    table = parameters.copy()
    for name in ("median", "q05", "q95", "published", "published_low", "published_high"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    middle = (table["published_low"].clip(lower=0.0) * table["published_high"].clip(lower=0.0)) ** 0.5
    table["reference"] = table["published"].fillna(middle)
    drawn = table[["median", "q05", "q95", "reference"]].to_numpy(dtype=float)
    return table.loc[np.all((drawn > 0.0) & np.isfinite(drawn), axis=1)].head(MOST_ROWS)


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
            outside = truth(row["inside"]) is False
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


def _two_lines(rows: pd.DataFrame, first: str, second: str) -> pd.Series:
    """Two columns as one: a line, and a smaller one below it where there is something to say."""
    made = []
    for above, below in zip(rows[first], rows[second], strict=True):
        long = len(note(above) + note(below)) > 40
        under = tag("span", note(below), class_="small") if note(below) else None
        made.append(tag("div", note(above), under, class_="remarks" if long else None))
    # Of type object: pandas' own strings would forget that this is markup, and have it escaped once more.
    return pd.Series(made, index=rows.index, dtype=object)


def _range(low: object, high: object) -> str | None:
    """ "a to b", or None where neither is known."""
    return None if is_missing(low) and is_missing(high) else f"{number(low)} to {number(high)}"


def _published(value: object, low: object, high: object) -> str | None:
    """The published value, its range, or both."""
    span = _range(low, high) if low != high else None
    if is_missing(value):
        return span or (None if is_missing(low) else number(low))
    return f"{number(value)} ({span})" if span else number(value)
