"""The gap of a published mechanism before and after a learned term, on held-out data.

    python -m tests.benchmarks.hybrid_models timekill
    python -m tests.benchmarks.hybrid_models timekill --posterior

The penalty of the term is chosen within the training readings of the split; the held-out ones are seen once: by the
best fits with their noise, and with ``--posterior`` by `calibration.assess`, which samples both problems with the same
settings (minutes for each) and has the baselines and the noise floor.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import calibration
from calibration.hybrid import Hybrid, NeuralTerm, TermInput, hybrid_figure, hybrid_problem, train_hybrid
from calibration.hybrid.train import held_out_crps
from calibration.sim2real.splits import Split, make_split


class Case(NamedTuple):
    """A study, how it is split, and the term; ``inner`` is what the choice of the penalty holds out."""

    study: str
    split: str
    inner: str
    term: NeuralTerm
    widths: tuple[float, ...]


# Powers of ten per hour beside psi, which counts those: a function of how many bacteria are left and of the drug. A
# concentration of nought is at 0.
KILLING = NeuralTerm(
    "learned",
    {"B": "ln(10) * B"},
    (TermInput("log10(B + B_guard)", 0.0, 10.0), TermInput("log10(1 + a / (1e9 * a_trace))", 0.0, 2.4)),
    unit="1/hour",
    units=3,
)

CASES = {
    "timekill": Case("timekill_regoes2004", "experiment", "experiment", KILLING, (0.1, 0.3, 1.0, 3.0)),
    "timekill_time": Case("timekill_regoes2004", "time", "time", KILLING, (0.1, 0.3, 1.0, 3.0)),
}


def trained(case: Case, starts: int, seed: int) -> tuple[Hybrid, Split]:
    """The term with its penalty chosen on the training readings alone."""
    problem = calibration.Problem.from_study(case.study)
    split = make_split(problem.measurements.table, case.split, problem.study)
    (fold,) = split.folds
    found = train_hybrid(
        problem.with_rows(fold.train),
        case.term,
        widths=case.widths,
        held_out=case.inner,  # type: ignore[arg-type]
        starts=starts,
        seed=seed,
    )
    return found, split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture")
    parser.add_argument("--posterior", action="store_true")
    args = parser.parse_args()
    case = CASES[args.case]
    begin = time.perf_counter()
    found, split = trained(case, args.starts, args.seed)
    print(f"{found}\nchosen in {time.perf_counter() - begin:.0f} s\n{found.choice.round(3).to_string()}")
    print(found.size().round(2).to_string())
    if args.picture:
        hybrid_figure(found).savefig(args.picture, dpi=110)
    whole = calibration.Problem.from_study(case.study)
    with_term = hybrid_problem(whole, case.term, found.width)
    (fold,) = split.folds
    for name, problem, fitted in (("alone", whole, found.mechanism_fit), ("with the term", with_term, found.fit)):
        crps = held_out_crps(problem, fitted, fold, args.seed)
        print(f"held-out CRPS of the best fit {name}: {crps:.3f}, nllh of the training readings {fitted.nllh[0]:.1f}")
    if not args.posterior:
        return
    for name, problem in (
        ("mechanism alone", whole),
        ("with the term", with_term),
    ):
        begin = time.perf_counter()
        report = calibration.assess(problem, split, seed=args.seed, starts=args.starts, quiet=True)
        gap, tests = report.gap, report.scores["coverage_90"]
        print(f"\n{name}, {len(problem.names)} numbers, {time.perf_counter() - begin:.0f} s\n{report.verdict}")
        print(f"gap {gap.value:.3f} ({gap.low:.3f} to {gap.high:.3f}), CRPS {gap.twin:.3f}, floor {gap.floor:.3f}")
        print(f"best baseline {gap.baseline_name} {gap.baseline:.3f}; in 90 %: {tests.mean():.3f} of {len(tests)}")
        print(report.diagnostics, flush=True)


if __name__ == "__main__":
    main()
