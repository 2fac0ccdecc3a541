"""Whether the computation can be trusted, and what is needed to make it again."""

from __future__ import annotations

from calibration.report.formats import number
from calibration.report.sections.frame import nothing, open_if_short, section
from calibration.report.tables import Column, entries, folded, numeric
from calibration.sim2real.assessment import Assessment
from twin.markup import Markup, tag


def diagnostics_section(assessment: Assessment) -> Markup:
    """Whether the computation itself can be trusted."""
    columns = [
        Column("name", "Parameter"),
        numeric("r_hat", "R-hat", lambda x: number(x, 4)),
        numeric("ess_bulk", "Bulk ESS", lambda x: number(x, 4)),
    ]
    return section(
        "diagnostics",
        "Did the computation work?",
        "The sampler's chains must agree (R-hat below 1.01) and hold enough independent draws (bulk ESS above "
        "400), and few of their steps may diverge. Simulations that failed are counted here and never dropped in "
        "silence.",
        tag(
            "div",
            entries(assessment.diagnostics, "Diagnostics") if assessment.diagnostics else nothing("diagnostics"),
            open_if_short(assessment.parameters, columns, "Convergence by parameter"),
            class_="beside",
        ),
    )


def provenance_section(assessment: Assessment) -> Markup:
    """What is needed to make this page again."""
    return section(
        "provenance",
        "Where these numbers come from",
        "Versions, seeds, settings and the hash of the data: what one needs to make this page again.",
        folded("Versions, seeds, settings, data", entries(assessment.provenance, "Provenance"))
        if assessment.provenance
        else nothing("provenance"),
    )
