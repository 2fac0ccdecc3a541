"""Sequential against batch posteriors of real twins, and what updates cost.

    python -m tests.benchmarks.living_twins compare influenza_baccam2006 1
    python -m tests.benchmarks.living_twins compare hiv_perelson1996 A
    python -m tests.benchmarks.living_twins costs

``compare`` takes the readings of one subject in one time point after the other, from the prior on, several times with
other seeds, and samples the same posterior at once by NUTS. Differences of means and standard deviations are in
Monte-Carlo errors: those of the sequential twin from its independent runs, those of NUTS by ArviZ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import arviz_stats
import numpy as np
import pandas as pd
from scipy import stats

import calibration
from calibration import Problem
from tests.calibration.sampling.small_studies import one_subject
from twin.live import Twin

LEAST_RUNS = 3
LEVEL = 0.001
"""How often one of all differences of a comparison is called one where there is none."""


def sequential(problem: Problem, particles: int, seed: int, method: str = "reweight") -> Twin:
    """The twin of the prior after all readings, taken in time point by time point."""
    live = calibration.twin_of(problem, particles=particles, seed=seed)
    table = problem.measurements.table
    for index, moment in enumerate(np.unique(table["time"])):
        live = live.update(table[table["time"] == moment], method, seed=1000 * seed + index)
    return live


class Compared(NamedTuple):
    """Sequential and batch posterior.

    Args:
        runs: Sequential runs so far.
        table: A row per entry: means and standard deviations (estimation scale) of both, differences in errors.
        limit: Largest difference, in errors, that chance makes.
        evaluations: Likelihoods of one sequential run; gradients of NUTS, its warm-up left out.
        seconds: Of the second and later sequential runs, mean; of fit and NUTS, compilation included.
        log_evidence: Mean over runs and standard error.
    """

    runs: int
    table: pd.DataFrame
    limit: float
    evaluations: tuple[float, int]
    seconds: tuple[float, float]
    log_evidence: tuple[float, float]

    @property
    def worst(self) -> float:
        """Largest difference in Monte-Carlo errors."""
        return float(self.table[["mean_errors", "sd_errors"]].abs().to_numpy().max())


def moments(live: Twin) -> np.ndarray:
    """Weighted means and standard deviations [2, entry]."""
    return live.summary()[["mean", "sd"]].to_numpy().T


class Batch(NamedTuple):
    """The posterior by NUTS: means and standard deviations [2, entry], their errors, gradients and seconds."""

    moments: np.ndarray
    errors: np.ndarray
    gradients: int
    seconds: float


def by_nuts(problem: Problem, draws: int) -> Batch:
    """Sample the posterior given all readings at once."""
    begin = time.perf_counter()
    tree = calibration.sample(problem, seed=7, draws=draws, predictive=False, quiet=True)
    seconds = time.perf_counter() - begin
    theta = tree["posterior"]["theta"]
    found = np.stack([theta.mean(("chain", "draw")), theta.std(("chain", "draw"))])
    errors = np.stack([np.asarray(arviz_stats.mcse(theta, method=kind)) for kind in ("mean", "sd")])
    return Batch(found, errors, int(tree["sample_stats"]["n_steps"].sum()), seconds)


def compare(problem: Problem, *, runs: int, particles: int, draws: int) -> Iterator[Compared]:
    """Sample all readings at once, take them in one by one, and compare: after every run from the third on."""
    batch = by_nuts(problem, draws)
    found, evaluations, seconds, evidence = [], [], [], []
    for seed in range(1, runs + 1):
        begin = time.perf_counter()
        live = sequential(problem, particles, seed)
        seconds.append(time.perf_counter() - begin)
        found.append(moments(live))
        evaluations.append(sum(record["evaluations"] for record in live.log[1:]))
        evidence.append(sum(record["log_predictive_density"] for record in live.log[1:]))
        if seed < LEAST_RUNS:
            continue
        mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(seed)
        away = (mean - batch.moments) / np.hypot(error, batch.errors)
        columns = {"mean": mean[0], "nuts_mean": batch.moments[0], "mean_errors": away[0]}
        columns |= {"sd": mean[1], "nuts_sd": batch.moments[1], "sd_errors": away[1]}
        yield Compared(
            seed,
            pd.DataFrame(columns, index=pd.Index(problem.names, name="entry")),
            float(stats.t.ppf(1 - LEVEL / (2 * away.size), seed - 1)),
            (float(np.mean(evaluations)), batch.gradients),
            (float(np.mean(seconds[1:])), batch.seconds),
            (float(np.mean(evidence)), float(np.std(evidence, ddof=1) / np.sqrt(seed))),
        )


def by_kalman(problem: Problem, compared: Compared, *, runs: int, particles: int) -> pd.DataFrame:
    """Mean and standard deviation by Kalman steps, against those of NUTS, in posterior standard deviations."""
    found = np.stack([moments(sequential(problem, particles, seed, "enkf")) for seed in range(1, runs + 1)])
    mean, sd = found.mean(axis=0)
    nuts = compared.table
    away, ratio = (mean - nuts["nuts_mean"]) / nuts["nuts_sd"], sd / nuts["nuts_sd"]
    return pd.DataFrame({"mean": mean, "away": away, "sd": sd, "sd_ratio": ratio}, index=nuts.index)


def costs(problem: Problem) -> pd.DataFrame:
    """Seconds and likelihoods of a life of updates, against particles and time points; programs compiled before."""
    rows = []
    table = problem.measurements.table
    moments_of = np.unique(table["time"])
    for particles in (250, 500, 1000, 2000):
        sequential(problem, particles, 1)  # compiles
        live = calibration.twin_of(problem, particles=particles, seed=2)
        total = count = moved = 0.0
        for number, moment in enumerate(moments_of, 1):
            live = live.update(table[table["time"] == moment])
            record = live.log[-1]
            total += record["seconds"]
            count += record["evaluations"]
            moved += record["moves"] > 0
            if number in (1, len(moments_of) // 2, len(moments_of)):
                rows.append((particles, number, count, int(moved), total))
    return pd.DataFrame(rows, columns=["particles", "time points", "likelihoods", "times moved", "seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("compare", "costs"))
    parser.add_argument("study", nargs="?", default="influenza_baccam2006")
    parser.add_argument("subject", nargs="?", default="1")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--particles", type=int, default=500)
    parser.add_argument("--draws", type=int, default=500)
    args = parser.parse_args()
    problem = one_subject(args.study, args.subject)
    print(problem)
    if args.what == "costs":
        print(costs(problem).to_string(index=False, float_format=lambda x: f"{x:.4g}"))
        return
    for found in compare(problem, runs=args.runs, particles=args.particles, draws=args.draws):
        print(f"\nafter {found.runs} runs\n{found.table.to_string(float_format=lambda x: f'{x:.3f}')}")
        print(f"largest difference {found.worst:.2f} Monte-Carlo errors; chance makes up to {found.limit:.2f}")
        each, nuts = found.evaluations
        print(f"sequential, {args.particles} particles: {each:.0f} likelihoods, {found.seconds[0]:.1f} s a run")
        print(f"NUTS, 4 x {args.draws}: {nuts} gradients after warm-up, {found.seconds[1]:.1f} s with fit")
        print(f"log evidence {found.log_evidence[0]:.2f} ± {found.log_evidence[1]:.2f}", flush=True)
    if not (problem.measurements.table["censoring"] != "").any():
        print("\nby Kalman steps, against NUTS (away: in posterior standard deviations)")
        kalman = by_kalman(problem, found, runs=args.runs, particles=args.particles)
        print(kalman.to_string(float_format=lambda x: f"{x:.3f}"))


if __name__ == "__main__":
    main()
