"""Simulation-based calibration of three models of the library: are ranks of truths among posterior draws uniform?

    uv run python -m tests.benchmarks.sbc_ranks [--simulations 128] [--seed 1]

Prints the p-values of every model; minutes each.
"""

from __future__ import annotations

import argparse

import calibration
from tests.calibration.sampling.small_studies import one_subject

STUDIES = (("influenza_baccam2006", "1"), ("theophylline", "1"), ("hiv_perelson1996", None))


def main() -> None:
    """Reads the arguments and prints a paragraph per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for study, subject in STUDIES:
        problem = one_subject(study, subject)
        found = calibration.sbc(problem, simulations=arguments.simulations, seed=arguments.seed, quiet=True)
        print(f"{problem.name}: {'uniform' if found.is_calibrated(0.01) else 'NOT uniform'} at 1 %")
        print(found.p_values, flush=True)


if __name__ == "__main__":
    main()
