"""Claim: a learned term takes a third and more off the error of a mechanism at concentrations not seen.

The published function kills E. coli at a rate that depends on the ampicillin concentration alone; the readings bend. A
small network of density and concentration is added to the rate, trained on six concentrations, and judged on two
others. How large it is beside the mechanism is printed: it is no small correction. Writes out/hybrid_model.png.
"""

from __future__ import annotations

from pathlib import Path

import calibration
from calibration.hybrid import NeuralTerm, TermInput, hybrid_figure, hybrid_problem, train_hybrid
from calibration.hybrid.train import held_out_crps
from calibration.sim2real.splits import make_split

# Added to psi, the net growth rate in powers of ten per hour; a concentration of nought is at 0.
TERM = NeuralTerm(
    "learned",
    {"B": "ln(10) * B"},
    (TermInput("log10(B + B_guard)", 0.0, 10.0), TermInput("log10(1 + a / (1e9 * a_trace))", 0.0, 2.4)),
    unit="1/hour",
)


def main() -> None:
    problem = calibration.Problem.from_study("timekill_regoes2004")
    (fold,) = make_split(problem.measurements.table, "experiment", problem.study).folds
    found = train_hybrid(problem.with_rows(fold.train), TERM, widths=(1.0,), starts=8, quiet=True)
    print(found, found.choice.round(3).to_string(), found.size().round(2).to_string(), sep="\n")
    Path("out").mkdir(exist_ok=True)
    hybrid_figure(found).savefig("out/hybrid_model.png", dpi=110)
    before = held_out_crps(problem, found.mechanism_fit, fold)
    after = held_out_crps(hybrid_problem(problem, TERM, found.width), found.fit, fold)
    print(f"{fold.label}: CRPS {before:.3f} by the mechanism alone, {after:.3f} with the term (log10)")
    assert found.helps
    assert after < 2 / 3 * before
    print("Claim: a learned term takes a third and more off the error of a mechanism at concentrations not seen.")


if __name__ == "__main__":
    main()
