"""The benchmark on one page: what wins where, by how much, and with what certainty. No scripts, nothing loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.report import canvas
from calibration.report.formats import DASH, forecaster, is_missing, number, percent, two_places
from calibration.report.tables import Column, as_is, entries, folded, numeric, table
from twin.markup import Markup, join, tag

AXIS = (-1.0, 4.0)
"""The stretch of gaps that is drawn; what lies beyond ends in an arrow, and its number is in the table."""
VERDICTS: Mapping[str, tuple[str, str, str, str]] = {
    "better": ("o", canvas.WIN, "●", "the twin is better than the best curve"),
    "no better": ("s", canvas.TIE, "■", "no better: the interval holds 1"),
    "worse": ("v", canvas.LOSE, "▼", "worse than the best curve"),
    "undefined": ("D", canvas.MUTED, "◆", "not defined: the curve is as good as the noise allows"),
}
"""Marker, colour, sign and words of each verdict. The colours are Okabe's and Ito's (2008); shapes say the same."""
MOST_R_HAT, MOST_HIGH_K = 1.01, 0.1


def write_leaderboard(
    rows: Sequence[Mapping[str, Any]], links: Sequence[str], settings: Mapping[str, Any], path: Path
) -> Path:
    """Write the page and return its path.

    Args:
        rows: Rows of the benchmark's table.
        links: For each row, the address of its own page, relative to this one.
        settings: Settings of the run.
        path: The file; an existing one is replaced.
    """
    path.write_text(leaderboard(rows, links, settings), encoding="utf-8")
    return path


def leaderboard(rows: Sequence[Mapping[str, Any]], links: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The page as text."""
    style = resources.files("calibration.report").joinpath("style.css").read_text(encoding="utf-8")
    title = "Benchmark: how far are mechanisms from reality?"
    main = tag(
        "main",
        _counts(rows),
        tag(
            "section",
            tag("h2", "The gap"),
            tag(
                "p",
                "0 is as good as the noise of the measurements allows, 1 no better than the best of four curves "
                "through the training points (mean, persistence, spline, Gaussian process), above 1 worse. Lines are "
                "intervals: where one crosses 1, the data cannot tell twin and curve apart. An arrow leaves the "
                "picture.",
            ),
            _legend(rows),
            tag("figure", draw_gaps(rows)) if rows else None,
            id="gap",
        ),
        tag("section", tag("h2", "The numbers"), _table(rows, links), id="numbers"),
        tag("section", tag("h2", "How it was made"), _made(rows, settings), id="made"),
        id="main",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    skip = tag("a", "Skip to the results", href="#main", class_="skip")
    header = tag("header", tag("p", "cytotwin", class_="kicker"), tag("h1", title))
    body = tag("body", skip, tag("div", header, main, class_="page leaderboard"))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _counts(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """How often what wins, in words."""
    sentences = []
    for verdict, (_, _, sign, words) in VERDICTS.items():
        if count := sum(row["verdict"] == verdict for row in rows):
            sentences.append(tag("li", tag("strong", f"{sign} {count} of {len(rows)}"), f" {words}"))
    datasets = len({row["dataset"] for row in rows})
    text = f"{len(rows)} rows: {datasets} datasets, a row for each split and way of pooling."
    return tag("section", tag("p", text), tag("ul", *sentences), id="counts")


def _legend(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Signs and their meaning, as the picture shows them."""
    shown = [verdict for verdict in VERDICTS if any(row["verdict"] == verdict for row in rows)]
    items = [
        tag("li", tag("span", VERDICTS[v][2], class_=f"sign-{v.replace(' ', '-')}", aria_hidden="true"), VERDICTS[v][3])
        for v in shown
    ]
    return tag("ul", *items, class_="legend")


def draw_gaps(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """A dot with an interval for every row, under the name of its dataset."""
    lines = _lines(rows)
    with canvas.drawing(860, 64 + 23 * len(lines)) as (figure, axes):
        axes.axvspan(AXIS[0], 0.0, color=canvas.BAND_90, linewidth=0)
        for x, style in ((0.0, (0, (5, 3))), (1.0, "solid")):
            axes.axvline(x, color=canvas.INK, linestyle=style, linewidth=1.3)
        for y, (_, row) in enumerate(reversed(lines)):
            if row is not None:
                _draw_row(axes, y, row)
        names = [name for name, _ in reversed(lines)]
        axes.set_yticks(range(len(lines)), names)
        for label, (_, row) in zip(axes.get_yticklabels(), reversed(lines), strict=True):
            label.set_fontweight("bold" if row is None else "normal")
        axes.set_ylim(-0.7, len(lines) + 0.3)
        for x, words in ((0.0, "noise floor"), (1.0, "best curve")):
            axes.annotate(
                words, (x, len(lines) - 0.1), xytext=(5, 0), textcoords="offset points", va="center",
                color=canvas.MUTED, size=10,
            )  # fmt: skip
        axes.set_xlim(*AXIS)
        axes.set_xlabel("gap, lower is better")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        said = "; ".join(
            f"{row['dataset']} {_what(row)}: {two_places(row['gap'])} ({two_places(row['gap_low'])} to "
            f"{two_places(row['gap_high'])}), {row['verdict']}"
            for row in rows
        )
        return canvas.to_svg(figure, "gaps", f"Gap with interval of every row. {said}.")


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any] | None]]:
    """Lines of the picture from above: the name of a dataset, then its rows."""
    lines: list[tuple[str, Mapping[str, Any] | None]] = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        mine = [row for row in rows if row["dataset"] == dataset]
        lines.append((str(dataset), None))
        several = len({row["study"] for row in mine}) > 1
        lines += [(f"{row['study']}: {_what(row)}" if several else _what(row), row) for row in mine]
    return lines


def _what(row: Mapping[str, Any]) -> str:
    return str(row["split"]) + (f", {row['pooling']} pooling" if row["pooling"] else "")


def _draw_row(axes, y: int, row: Mapping[str, Any]) -> None:
    marker, colour, _, _ = VERDICTS[row["verdict"]]
    if math.isnan(row["gap"]):
        axes.annotate(DASH + " not defined", (1.0, y), xytext=(8, 0), textcoords="offset points", va="center")
        return
    low, high = (min(max(row[name], AXIS[0]), AXIS[1]) for name in ("gap_low", "gap_high"))
    axes.hlines(y, low, high, color=colour, linewidth=2.4)
    for end, beyond, arrow in ((low, row["gap_low"] < AXIS[0], "<"), (high, row["gap_high"] > AXIS[1], ">")):
        if beyond:
            # Inside the picture, clear of the names beside it.
            axes.plot(end + (0.04 if arrow == "<" else -0.04), y, marker=arrow, markersize=8, color=colour)
        else:
            axes.plot(end, y, marker="|", markersize=9, color=colour, markeredgewidth=2)
    if AXIS[0] <= row["gap"] <= AXIS[1]:
        axes.plot(
            row["gap"], y, marker=marker, markersize=9, color=colour, markeredgecolor=canvas.INK, markeredgewidth=0.8
        )
    else:
        axes.annotate(
            two_places(row["gap"]), (AXIS[row["gap"] > 0], y), xytext=(-14 if row["gap"] > 0 else 14, 8),
            textcoords="offset points", va="center", ha="right" if row["gap"] > 0 else "left", size=10,
        )  # fmt: skip


def _table(rows: Sequence[Mapping[str, Any]], links: Sequence[str]) -> Markup:
    """Every row with its winner, by how much, with what certainty, and what there is to doubt."""
    frame = pd.DataFrame([dict(row) for row in rows])
    if frame.empty:
        return tag("p", "No row is finished yet.")
    names = [_name(row, link) for row, link in zip(rows, links, strict=True)]
    # As objects: where pyarrow is installed, a column of text forgets that it is markup.
    frame["name"] = pd.Series(names, dtype=object)
    frame["winner"] = pd.Series([_winner(row) for row in rows], dtype=object)
    frame["interval"] = pd.Series([_interval(row) for row in rows], dtype=object)
    frame["skill"] = [1 - row["crps"] / row["crps_baseline"] if row["crps_baseline"] else math.nan for row in rows]
    frame["score"] = pd.Series([_score(row) for row in rows], dtype=object)
    frame["inside"] = pd.Series([_inside(row) for row in rows], dtype=object)
    frame["joint"] = pd.Series([_joint(row) for row in rows], dtype=object)
    frame["largest"] = pd.Series([_discrepancy(row) for row in rows], dtype=object)
    columns = [
        Column("name", "Row", as_is),
        Column("winner", "Verdict, and what to doubt", as_is),
        numeric("interval", "Gap", as_is),
        numeric("score", "CRPS", as_is),
        numeric("skill", "Skill", percent),
        numeric("inside", "In 90 %, PIT p", as_is),
        numeric("joint", "ELPD, energy score", as_is),
        Column("largest", "Discrepancy", as_is),
    ]
    caption = (
        "CRPS: of the twin, and below it of the best curve. Skill: how much lower the twin's is. PIT p: small if the "
        "predictive distributions are off, readings taken as independent. Discrepancy: the largest that must be added "
        "to the mechanism, in noise scales, and the CRPS of both together. A row's name leads to its page"
    )
    return table(frame, columns, caption)


def _winner(row: Mapping[str, Any]) -> Markup:
    verdict = row["verdict"]
    sign = tag("span", VERDICTS[verdict][2], class_=f"sign-{verdict.replace(' ', '-')}", aria_hidden="true")
    doubts = tag("span", _doubts(row), class_="small remarks")
    return join(tag("span", sign, " ", verdict, class_="mark"), doubts)


def _score(row: Mapping[str, Any]) -> Markup:
    best = f"{forecaster(row['baseline'])} {number(row['crps_baseline'])}"
    return join(number(row["crps"]), tag("span", best, class_="small"))


def _inside(row: Mapping[str, Any]) -> Markup:
    return join(percent(row["coverage_90"]), tag("span", number(row["pit_p"]), class_="small"))


def _joint(row: Mapping[str, Any]) -> Markup:
    """The log density of all held-out readings, and below it how well they are predicted together."""
    elpd = f"{number(row['elpd'])} ± {number(row['elpd_se'], 2)}"
    return join(elpd, tag("span", number(row["energy_score"]), class_="small"))


def _interval(row: Mapping[str, Any]) -> Markup:
    if math.isnan(row["gap"]):
        return join(DASH)
    ends = " to ".join(_end(row[name]) for name in ("gap_low", "gap_high"))
    return join(two_places(row["gap"]), tag("span", ends, class_="small"))


def _end(value: float) -> str:
    """An end of the interval, short enough for a column: infinity by its sign."""
    return ("−∞" if value < 0 else "∞") if math.isinf(value) else two_places(value)


def _name(row: Mapping[str, Any], link: str) -> Markup:
    """What was assessed, and on how much."""
    size = f"{row['parameters']} parameters, {row['test']} readings held out"
    return join(tag("a", f"{row['study']}, {_what(row)}", href=link), tag("span", size, class_="small"))


def _discrepancy(row: Mapping[str, Any]) -> Markup:
    """Its size and what it does to the score, or why it is not known."""
    if is_missing(row["discrepancy"]):
        return tag("span", f"not measured: {row['discrepancy_note']}", class_="small")
    ends = f"{number(row['discrepancy_low'], 2)} to {number(row['discrepancy_high'], 2)}"
    text = f"{ends} in {row['discrepancy_of']}; CRPS {number(row['crps_discrepancy'])}"
    return join(number(row["discrepancy"], 2), tag("span", text, class_="small"))


def _doubts(row: Mapping[str, Any]) -> str:
    """What of the computation should make a reader doubt the row."""
    found = []
    if row["r_hat"] > MOST_R_HAT:
        found.append(f"R-hat {number(row['r_hat'], 4)}")
    if row["divergences"]:
        found.append(f"{row['divergences']} divergent")
    if row["k_high"] > MOST_HIGH_K:
        found.append(f"{percent(row['k_high'])} of k-hats above 0.7")
    return ", ".join(found) or "nothing to doubt found"


def _made(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Markup:
    hashes = {str(row["dataset"]): f"{row['data_sha256'][:16]}…" for row in rows}
    seconds = sum(row["seconds"] for row in rows if not math.isnan(row["seconds"]))
    facts = {
        **{str(key): value for key, value in settings.items()},
        "seconds, all rows": seconds,
        "versions": "; ".join(dict.fromkeys(str(row["versions"]) for row in rows)),
    }
    return join(
        tag("p", "All columns, unrounded: benchmark.csv and benchmark.json beside this page."),
        entries(facts, "Settings"),
        folded("Hashes of the readings", entries(hashes, "SHA-256, first 16 digits", "dataset")),
    )
