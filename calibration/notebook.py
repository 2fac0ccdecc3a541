"""Problems, fits and assessments for notebooks: short tables of HTML in which every word is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from calibration.optimise.result import Fit
    from calibration.population.estimate import PopulationFit
    from calibration.problem import Problem
    from calibration.sim2real.assessment import Assessment

MOST_ROWS = 30


def problem_html(problem: Problem) -> str:
    """What is estimated, from which readings: a line and a table of the entries, linear scale."""
    entries = [entry for entry in problem.parameters.entries if not entry.is_deviation]
    hidden = len(problem.parameters.entries) - len(entries)
    bounds = [problem.parameters.linear(x) for x in (problem.lower, problem.upper, problem.nominal)]
    place = {entry.name: index for index, entry in enumerate(problem.parameters.entries)}
    rows = [
        (e.name, *(f"{values[place[e.name]]:.4g}" for values in bounds), e.scale, f"{e.prior.family}")
        for e in entries[:MOST_ROWS]
    ]
    more = len(entries) - len(rows)
    notes = [f"{more} more entries"] if more > 0 else []
    notes += [f"{hidden} standardised deviations of subjects, experiments or occasions"] if hidden else []
    head = ("entry", "lower", "upper", "nominal", "scale", "prior")
    data = f"{problem.measurements!r}"
    return _block(repr(problem), f"{problem.model!r}, {data}", head, rows, notes)


def fit_html(fit: Fit) -> str:
    """How well the starts agree, and the best vector on the estimation scale with its standard errors."""
    finite = int(np.isfinite(fit.objective).sum())
    words = (
        f"best objective {fit.objective[0]:.6g}, reached by {fit.hits} of {len(fit.objective)} starts; "
        f"{finite - int(fit.converged.sum())} did not converge, {fit.failed} failed; {fit.seconds:.3g} s"
    )
    errors = _standard_errors(fit.curvature)
    rows = [
        (name, f"{value:.6g}", "–" if np.isnan(error) else f"{error:.3g}", "on a bound" if name in fit.at_bound else "")
        for name, value, error in zip(fit.names[:MOST_ROWS], fit.best, errors, strict=False)
    ]
    more = len(fit.names) - len(rows)
    notes = [f"{more} more entries"] if more > 0 else []
    return _block("Fit", words, ("entry", "best (estimation scale)", "standard error", ""), rows, notes)


def population_html(found: PopulationFit) -> str:
    """The population's numbers on the linear scale with 95 % intervals."""
    state = "converged" if found.converged else "not converged"
    lost = ", ".join(f"{name} {share:.0%}" for name, share in found.shrinkage.items())
    rows = [
        (str(name), *(_number(row[key]) for key in ("estimate", "se", "lower", "upper", "cv")))
        for name, row in found.table.iterrows()
    ]
    words = f"{found.method}, {state}; -2 log-likelihood {found.objective:.2f}; shrinkage {lost}"
    return _block("Population", words, ("", "estimate", "standard error", "2.5 %", "97.5 %", "CV, %"), rows)


def assessment_html(assessment: Assessment) -> str:
    """The verdict, and every forecaster's scores."""
    columns = ("forecaster", "crps", "coverage_50", "coverage_90", "interval_score", "elpd")
    rows = [
        (str(row["forecaster"]), *(_number(row[name]) for name in columns[1:]))
        for _, row in assessment.by_forecaster.iterrows()
    ]
    head = ("forecaster", "CRPS", "in 50 %", "in 90 %", "interval score", "ELPD")
    notes = ['.to_html("report.html") writes the whole report']
    return _block(assessment.title, str(assessment.verdict), head, rows, notes)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.4g}"


def _standard_errors(curvature: np.ndarray) -> np.ndarray:
    """Of a Laplace approximation, where the curvature is positive definite; else NaN."""
    try:
        np.linalg.cholesky(curvature)
        return np.sqrt(np.diag(np.linalg.inv(curvature)))
    except (np.linalg.LinAlgError, ValueError):
        return np.full(len(curvature), np.nan)


def _block(
    title: str, words: str, head: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()
) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    said = f"<p>{escape('; '.join(notes))}</p>" if notes else ""
    table = f"<table><thead>{line(head, 'th')}</thead><tbody>{body}</tbody></table>"
    return f"<div><p><strong>{escape(title)}</strong></p><p>{escape(words)}</p>{table}{said}</div>"
