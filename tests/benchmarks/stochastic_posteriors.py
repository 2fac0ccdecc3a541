"""Posteriors of intrinsic noise, what they cost and how near they are: the table of docs/stochastic.md.

    uv run python tests/benchmarks/stochastic_posteriors.py few
    uv run python tests/benchmarks/stochastic_posteriors.py many

Immigration and death read eight times in two series, two rates estimated, from starts that the samplers find
themselves: means and standard deviations on the log10 scale, by grids (exactly over all numbers of molecules; linear
noise in closed form) and by the samplers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr
from arviz_stats import ess, mcse, rhat

from calibration import sample_linear_noise, sample_pseudo_marginal

sys.path.insert(0, str(Path(__file__).parents[1] / "calibration" / "stochastic"))
import birth_death

SD = 2.0
CASES = {"few": {"4 to 10": (4, 5.0, 45)}, "many": {"20 to 40": (20, 20.0, 90)}}
"""Molecules: at the beginning, immigration per time, the most that the master equation goes up to."""
LENGTHS = {"warmup": 500, "draws": 2000}


def _full(theta: np.ndarray) -> np.ndarray:
    return np.append(theta, np.log10(SD))


def report(case: str, method: str, moments: birth_death.Moments, errors: list[float] | None, rest: str) -> None:
    said = [""] * 4 if errors is None else [f" ({error:.3f})" for error in errors]
    both = [f"{moments.mean[i]:.3f}{said[i]} | {moments.sd[i]:.3f}{said[2 + i]}" for i in range(2)]
    print(f"| {case} | {method} | {' | '.join(both)} | {rest} |", flush=True)


def by_draws(tree: xr.DataTree) -> tuple[birth_death.Moments, list[float], str]:
    """Moments with their Monte-Carlo errors, and how well the chains mixed."""
    theta = tree["posterior"]["theta"]
    both = [theta.isel(entry=index) for index in range(2)]
    errors = [float(np.asarray(mcse(x, method=method))) for method in ("mean", "sd") for x in both]
    worst = max(float(np.asarray(rhat(x))) for x in both)
    least = min(float(np.asarray(ess(x))) for x in both)
    mean, sd = (np.array([float(getattr(x, what)()) for x in both]) for what in ("mean", "std"))
    return birth_death.Moments(mean, sd, np.nan), errors, f"{worst:.3f} | {least:.0f}"


def main(which: str) -> None:
    print(
        "| molecules | method | mean of into | sd | mean of out | sd | R-hat | ESS | particles (variance) | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case, (start, into, most) in CASES[which].items():
        problem = birth_death.problem(start=float(start), into=into, sd=SD, rtol=1e-6, atol=1e-8)
        grids: dict[str, Callable[[np.ndarray], float]] = {
            "grid, exact": lambda x, p=problem, s=start, m=most: birth_death.by_master_equation(p, _full(x), s, m),
            "grid, linear noise": lambda x, p=problem, s=start: birth_death.by_closed_form(p, _full(x), s),
        }
        for method, log_likelihood in grids.items():
            report(case, method, birth_death.moments_on_grid(problem, log_likelihood), None, "– | – | – | –")
        for method, sampler in (
            ("pseudo-marginal", sample_pseudo_marginal),
            ("NUTS, linear noise", sample_linear_noise),
        ):
            lengths = LENGTHS if sampler is sample_pseudo_marginal else {"warmup": 200, "draws": 500}
            begin = time.perf_counter()
            tree = sampler(problem, seed=1, predictive=False, quiet=True, **lengths)
            seconds = time.perf_counter() - begin
            moments, errors, mixing = by_draws(tree)
            particles = "–"
            if "particles" in tree.attrs:
                particles = f"{tree.attrs['particles']} ({tree.attrs['log_likelihood_variance']:.2f})"
            report(case, method, moments, errors, f"{mixing} | {particles} | {seconds:.0f}")


if __name__ == "__main__":
    main(sys.argv[1])
