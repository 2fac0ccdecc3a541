"""Write an assessment as one HTML page: no scripts, nothing loaded from elsewhere, readable offline."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path

from calibration.report.formats import is_missing, number, show
from calibration.report.headline import headline, in_short
from calibration.report.sections.baselines import baselines_section
from calibration.report.sections.computation import diagnostics_section, provenance_section
from calibration.report.sections.credibility import credibility_section
from calibration.report.sections.data import data_section
from calibration.report.sections.discrepancy import discrepancy_section
from calibration.report.sections.intervals import intervals_section
from calibration.report.sections.layers import layers_section
from calibration.report.sections.parameters import parameters_section
from calibration.report.sections.predictive import tests_section
from calibration.report.tables import numbers, truth
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, join, tag

_CONTENTS = {
    "data": "Data",
    "layers": "Layers",
    "discrepancy": "Discrepancy",
    "credibility": "Context of use",
    "baselines": "Baselines",
    "intervals": "Intervals",
    "tests": "Predictive tests",
    "parameters": "Parameters",
    "diagnostics": "Diagnostics",
    "provenance": "Provenance",
}
MOST_R_HAT, LEAST_ESS, MOST_DIVERGENT = 1.01, 400.0, 0.001


def write_page(assessment: Assessment, path: Path) -> Path:
    """Write the assessment as one self-contained HTML page.

    Args:
        assessment: What to show.
        path: File to write; missing folders are made, an existing file is replaced.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(assessment), encoding="utf-8")
    return path


def page(assessment: Assessment) -> str:
    """The page as text."""
    style = resources.files("calibration.report").joinpath("style.css").read_text(encoding="utf-8")
    asked = {"discrepancy": assessment.discrepancy, "credibility": assessment.credibility}
    shown = {name: title for name, title in _CONTENTS.items() if asked.get(name, "always") is not None}
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title in shown.items()]
    main = tag(
        "main",
        headline(assessment),
        _notices(assessment),
        tag("nav", tag("ul", *links), aria_label="Contents"),
        data_section(assessment),
        layers_section(assessment),
        discrepancy_section(assessment),
        credibility_section(assessment) if assessment.credibility is not None else None,
        baselines_section(assessment),
        intervals_section(assessment),
        tests_section(assessment),
        parameters_section(assessment),
        diagnostics_section(assessment),
        provenance_section(assessment),
        id="main",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="description", content=f"{in_short(assessment)}. {assessment.verdict}"),
        tag("title", assessment.title),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the verdict", href="#main", class_="skip"),
        tag("div", _header(assessment), main, _footer(assessment), class_="page"),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def cautions(assessment: Assessment) -> list[str]:
    """What should make a reader doubt everything else on the page."""
    found = []
    known = assessment.diagnostics
    r_hat = [*numbers(assessment.parameters, "r_hat"), known.get("worst_r_hat")]
    ess = [*numbers(assessment.parameters, "ess_bulk"), known.get("least_ess_bulk")]
    worst = max((float(value) for value in r_hat if not is_missing(value)), default=1.0)
    least = min((float(value) for value in ess if not is_missing(value)), default=math.inf)
    if worst > MOST_R_HAT:
        found.append(f"The chains do not agree: R-hat reaches {number(worst, 4)} (should be below {MOST_R_HAT}).")
    if least < LEAST_ESS:
        found.append(f"Few independent draws: bulk ESS goes down to {number(least)} (should be above {LEAST_ESS:.0f}).")
    divergences, draws = (known.get(name) for name in ("divergences", "draws"))
    if isinstance(divergences, int | float) and isinstance(draws, int | float) and divergences > MOST_DIVERGENT * draws:
        found.append(f"{number(divergences)} of {number(draws)} draws diverged (should be 0.1 % at most).")
    for key, checks in assessment.layers.items():
        if str(key).startswith("L0") and "passed" in checks:
            failed = [show(c) for c, p in zip(checks["check"], checks["passed"], strict=True) if truth(p) is False]
            if failed:
                found.append(f"Verification failed: {', '.join(failed)}.")
    return found


def _notices(assessment: Assessment) -> Markup | None:
    """A warning at the top if the computation did not work."""
    found = cautions(assessment)
    if not found:
        return None
    title = tag("p", tag("strong", "Read everything on this page with caution."))
    return tag("aside", title, *(tag("p", text) for text in found), class_="notice", role="note")


def _header(assessment: Assessment) -> Markup:
    """Title, and what met what."""
    facts = {
        "Model": assessment.model,
        "Data": assessment.dataset,
        "Problem": assessment.problem,
        "Split": assessment.split.name,
    }
    date = assessment.provenance.get("date")
    if not is_missing(date):
        facts["Date"] = show(date).replace("T", " ").replace("+00:00", " UTC")
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items() if value]
    kicker = tag("p", "How far is the twin from reality?", class_="kicker")
    return tag("header", kicker, tag("h1", assessment.title), tag("dl", *items))


def _footer(assessment: Assessment) -> Markup:
    """Definitions and their sources."""
    doi = "https://doi.org/"
    cited = [
        ("CRPS and interval score: Gneiting, Raftery 2007", "10.1198/016214506000001437"),
        ("scores below a detection limit: Allen, Ginsbourger, Ziegel 2023", "10.1137/22M1532184"),
    ]
    sources = join(*(join(text, ", ", tag("a", f"doi:{code}", href=doi + code)) for text, code in cited), by="; ")
    return tag("footer", tag("p", "Made by cytotwin. ", sources, ".", class_="small"))
