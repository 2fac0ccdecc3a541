"""An assessment in plain text that fits a terminal, and its results as files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.files import write_table, write_tree
from twin.commands.tables import figure, terminal_width, text_table

if TYPE_CHECKING:
    from calibration.sim2real.assessment import Assessment
    from calibration.sim2real.credibility import Credibility

MOST_ROWS = 24


def write_assessment(assessment: Assessment, folder: Path, saved: list[Path]) -> Path:
    """Write the page, the scores and the draws of every fold; each is added to `saved` once it is complete.

    Returns:
        The page.
    """
    page = assessment.to_html(folder / "report.html")
    saved.append(page)
    write_table(assessment.scores, folder / "scores.csv")
    saved.append(folder / "scores.csv")
    if assessment.discrepancy is not None:
        write_table(assessment.discrepancy, folder / "discrepancy.csv")
        saved.append(folder / "discrepancy.csv")
    if assessment.discrepancy_by_dose is not None:
        write_table(assessment.discrepancy_by_dose, folder / "discrepancy_by_dose.csv")
        saved.append(folder / "discrepancy_by_dose.csv")
    for number, (fold, tree) in enumerate(zip(assessment.split.folds, assessment.draws, strict=True), start=1):
        tree.attrs["held_out"] = fold.label
        path = folder / f"draws_{number}.nc"
        write_tree(tree, path)
        saved.append(path)
    return page


def verdict_text(assessment: Assessment) -> str:
    """Title, what was held out, and the verdict."""
    held = "; ".join(fold.label for fold in assessment.split.folds)
    held_out = f"Held out: {held} ({assessment.gap.readings} readings)"
    wrapped = (textwrap.fill(text, terminal_width()) for text in (assessment.title, held_out))
    return "\n".join((*wrapped, "", textwrap.fill(str(assessment.verdict), terminal_width())))


def scores_text(assessment: Assessment) -> str:
    """Twin, baselines and noise floor on the held-out readings."""
    rows = []
    for row in assessment.by_forecaster.to_dict("records"):
        numbers = (figure(row[c], 3) for c in ("crps", "coverage_50", "coverage_90", "interval_score", "elpd"))
        rows.append((str(row["forecaster"]), *numbers))
    head = ("forecaster", "CRPS", "in 50 %", "in 90 %", "interval score", "ELPD")
    return text_table(head, rows)


def discrepancy_text(assessment: Assessment) -> str:
    """What must be added to the mechanism, by observable and dose; nothing where it was not asked for."""
    if assessment.discrepancy is None:
        return ""
    by_dose = assessment.discrepancy_by_dose
    sizes = [(str(row["observable"]), row) for row in assessment.discrepancy.to_dict("records")]
    for row in [] if by_dose is None else by_dose.to_dict("records"):
        sizes.append((f"{row['observable']} at {figure(row['dose'], 4)}", row))
    rows = [
        (
            what,
            figure(row["size"], 2),
            f"{figure(row['low'], 2)} to {figure(row['high'], 2)}",
            "flagged" if row["flagged"] else "",
        )
        for what, row in sizes
    ]
    return text_table(("discrepancy of", "noise scales", "90 % interval", ""), rows, left=(0, 2, 3))


def parameters_text(assessment: Assessment) -> str:
    """Estimated parameters beside published values."""
    from calibration.parameters import DEVIATIONS

    table = assessment.parameters
    if "role" in table:
        table = table.loc[~table["role"].isin(DEVIATIONS)]
    rows = []
    for row in table.head(MOST_ROWS).to_dict("records"):
        inside = {True: "inside", False: "outside"}.get(row["inside"], "")
        interval = f"{figure(row['q05'], 3)} to {figure(row['q95'], 3)}"
        rows.append(
            (row["name"], figure(row["median"], 3), interval, figure(row["published"], 3), inside, str(row["unit"]))
        )
    text = text_table(("parameter", "median", "90 % interval", "published", "", "unit"), rows, left=(0, 2, 4, 5))
    more = len(table) - MOST_ROWS
    return f"{text}\nand {more} more on the page" if more > 0 else text


def diagnostics_text(assessment: Assessment) -> str:
    """Whether the computation can be trusted."""
    known = assessment.diagnostics
    failed = f"{known.get('failed_starts', 0)} starts and {known.get('failed_draws', 0)} draws failed"
    return "\n".join(
        textwrap.wrap(
            f"{known.get('draws', 0)} draws: worst R-hat {worst_r_hat(assessment):.3f}, least bulk ESS "
            f"{least_ess(assessment):.0f}, {known.get('divergences', 0)} divergent; {failed}; "
            f"{float(known.get('seconds', float('nan'))):.0f} s",
            terminal_width(),
        )
    )


def credibility_text(credibility: Credibility) -> str:
    """Every threshold of the context of use with its outcome, and the verdict per layer."""
    rows = [
        (row["layer"], row["key"], row["asked"], row["found"], row["outcome"])
        for row in credibility.thresholds.to_dict("records")
    ]
    head = ("layer", "check", "asked", "found", "outcome")
    verdict = textwrap.fill(str(credibility), terminal_width())
    return f"{text_table(head, rows, left=(0, 1, 2, 3, 4))}\n\n{verdict}"


def worst_r_hat(assessment: Assessment) -> float:
    """The largest R-hat of all parameters; NaN where there is none."""
    return float(assessment.diagnostics.get("worst_r_hat", float("nan")))


def least_ess(assessment: Assessment) -> float:
    """The smallest bulk effective sample size of all parameters; NaN where there is none."""
    return float(assessment.diagnostics.get("least_ess_bulk", float("nan")))
