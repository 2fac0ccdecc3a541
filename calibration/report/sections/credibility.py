"""The context of use: what was asked in advance, what was met, and what stands for credibility."""

from __future__ import annotations

from calibration.report.sections.frame import nothing, section
from calibration.report.tables import Column, entries, mark, note, table
from calibration.sim2real.assessment import Assessment
from calibration.sim2real.credibility import Credibility
from twin.markup import Markup, join, tag

WORDS = ("met", "not met", "not tested")


def credibility_section(assessment: Assessment) -> Markup:
    """Thresholds of the context of use and their outcomes, by layer, by check and by factor of credibility."""
    asks = "Is the twin good enough for the decision it is meant for, by thresholds that were fixed in advance?"
    found = assessment.credibility
    content = [nothing("context of use")] if found is None else _content(found)
    return section("credibility", "Context of use", asks, *content)


def _content(found: Credibility) -> list[Markup]:
    context = found.context
    facts = {
        "Question": context.question,
        "Use of the model": context.use,
        "Decision": context.decision,
        "Influence of the model": f"{context.model_influence.level}: {context.model_influence.why}",
        "Consequence of a wrong decision": f"{context.decision_consequence.level}: {context.decision_consequence.why}",
        "Model risk": f"{found.model_risk} (influence and consequence together; the scale is ours)",
        "Thresholds fixed": f"{context.fixed}, judged {found.judged:%Y-%m-%d %H:%M} UTC",
        "File": f"{context.file}, SHA-256 {context.sha256}",
    }
    if context.applicability:
        facts["Applicability"] = context.applicability
    return [
        tag("p", tag("strong", str(found))),
        entries(facts, "What the twin is for", "Context of use"),
        tag(
            "p",
            "The date is what the file says; the hash tells whether a file that was deposited before is this one. A "
            "layer is met if all its thresholds are; a check without power can miss a threshold but not meet it.",
            class_="small",
        ),
        table(
            found.layers,
            [
                Column("layer", "Layer"),
                Column("outcome", "Outcome", outcome),
                *(Column(name, name.replace("_", " ").capitalize(), numeric=True) for name in COUNTS),
            ],
            "Verdict per layer: number of thresholds by outcome",
            kind="overview",
        ),
        table(
            found.thresholds.assign(
                check=found.thresholds["layer"] + " " + found.thresholds["key"],
                numbers=[
                    f"{a}; {b or 'nothing'}" for a, b in zip(*(found.thresholds[c] for c in NUMBERS), strict=True)
                ],
            ),
            [
                Column("check", "Check"),
                Column("outcome", "Outcome", outcome),
                Column("numbers", "Asked; found"),
                Column("remark", "Remark", note),
            ],
            "Thresholds of the context of use",
            kind="checks",
        ),
        join(
            tag("h3", "Credibility"),
            tag(
                "p",
                "Ordered as ASME V&V 40-2018 and the FDA's guidance of November 2023 ask. A factor is met only by "
                "thresholds on its checks; without any it is not tested. This table is no statement of conformity.",
                class_="small",
            ),
        ),
        table(
            found.factors,
            [
                Column("factor", "Factor"),
                Column("outcome", "Outcome", outcome),
                Column("activity", "Activity"),
                Column("evidence", "Evidence", note),
            ],
            "Factors of credibility and what stands for them",
            kind="checks",
        ),
    ]


COUNTS, NUMBERS = ("met", "not_met", "not_tested"), ("asked", "found")


def outcome(value: object) -> Markup:
    """A sign and a word."""
    return mark({"met": True, "not met": False}.get(str(value)), WORDS)
