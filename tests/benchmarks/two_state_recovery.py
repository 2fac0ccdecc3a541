"""Are the rates of a two-state gene found again from counts of transcripts? The tables of docs/stochastic.md.

    uv run python -m tests.benchmarks.two_state_recovery snapshots [SETS [FIRST]]
    uv run python -m tests.benchmarks.two_state_recovery followed [SETS [FIRST]]
    uv run python -m tests.benchmarks.two_state_recovery particles

The gene of Golding et al. (2005), the library's `mrna_golding`, induced at time 0, counted at the times of their first
trial. Rates are drawn from the prior, cells are simulated exactly (`twin.simulate_jumps`), and the rates' posterior is
sampled with the same prior: with the right likelihood, 90 % intervals then hold the rates in 90 % of all data sets.

`snapshots`: ten cells at each time, each looked at once; by the master equation alone. `followed`: five cells, each
looked at every time; by linear noise as well. `particles`: three cells, counted with an error of one molecule; one
posterior by pseudo-marginal chains as well. The published table does not say how many cells stand behind each mean:
these numbers are ours, and as small as they are for the time that the other methods take.
"""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats import ess, rhat

import calibration
import models
import twin

TIMES = (0.3991, 10.1822, 20.1313, 30.1302, 39.9096, 49.8898, 59.8721, 90.1907, 120.1771)
"""Minutes after induction, trial 1 of the data set `mrna_golding2005`."""
CENTRES = {"k_on": 1 / 37, "k_off": 1 / 6, "k_tx": 0.5}
SPREAD, REACH = 0.3, 1.2
"""Standard deviation of the priors, and how far bounds are from their centres (four of them), log10."""
EXACTLY = 0.1
"""Noise with which no two counts are confused."""
LEVEL = 0.9
LENGTHS = {"chains": 4, "warmup": 150, "draws": 150, "starts": 1, "predictive": False, "quiet": True}


class Data(NamedTuple):
    """A simulated data set: the problem, and the rates behind it on the estimation scale."""

    problem: calibration.Problem
    truth: np.ndarray

    @property
    def most(self) -> dict[str, int]:
        """Bounds of the numbers: far more than were counted, for draws whose rates are high; too few are an error."""
        return {"on": 1, "m": int(4 * self.problem.measurements.table["value"].max() + 100)}


def data(design: str, cells: int, seed: int, sd: float = EXACTLY) -> Data:
    """Rates from the prior, and counts of cells with these rates.

    Args:
        design: "snapshots" (so many cells per time) or "followed" (so many cells in all).
        cells: How many.
        seed: Seed of rates and cells.
        sd: Standard deviation of the error of counting.
    """
    rng = np.random.default_rng([7, seed])
    truth = np.log10(list(CENTRES.values())) + SPREAD * np.clip(rng.normal(size=3), -3.9, 3.9)
    model, rates = models.load("mrna_golding"), dict(zip(CENTRES, 10.0**truth, strict=True))
    runs = cells * len(TIMES) if design == "snapshots" else cells
    counts = twin.simulate_jumps(model, list(TIMES), rates, variables=["m"], runs=runs, seed=seed)["m"].to_numpy()
    rows = []
    for cell in range(runs):
        looked_at = [cell % len(TIMES)] if design == "snapshots" else range(len(TIMES))
        rows += [(f"cell {cell}", TIMES[at], "mrna", counts[cell, at]) for at in looked_at]
    table = pd.DataFrame(rows, columns=["subject", "time", "observable", "value"])
    if sd != EXACTLY:
        table["value"] += rng.normal(0.0, sd, len(table))
    estimates = [
        twin.Estimate(
            name, value * 10**-REACH, value * 10**REACH, nominal=value,
            prior=twin.Prior("normal", float(np.log10(value)), SPREAD, "the law of the simulated rates"),
        )
        for name, value in CENTRES.items()
    ]  # fmt: skip
    # For the linear noise likelihood, whose moments are not stiff here; the master equation needs no integration.
    settings = {"solver": "tsit5", "rtol": 1e-5, "atol": 1e-6}
    return Data(calibration.Problem(model, table, estimates, twin.Noise("normal", sd), name=design, **settings), truth)


def off(tree: xr.DataTree, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of the posterior means from the truth in posterior standard deviations; these; whether 90 % hold it."""
    theta = tree["posterior"]["theta"].to_numpy().reshape(-1, len(truth))
    low, high = np.quantile(theta, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    sd = theta.std(axis=0, ddof=1)
    return (theta.mean(axis=0) - truth) / sd, sd, (low < truth) & (truth < high)


def recover(design: str, cells: int, sets: int, first: int) -> None:
    """Posteriors of many data sets by the master equation and, of cells that are followed, by linear noise."""
    methods = ("master equation",) if design == "snapshots" else ("master equation", "linear noise")
    found: dict[str, list] = {method: [] for method in methods}
    seconds = dict.fromkeys(found, 0.0)
    for seed in range(first, first + sets):
        simulated = data(design, cells, seed)
        problem, truth = simulated
        for method in found:
            begin = time.perf_counter()
            if method == "linear noise":
                tree = calibration.sample_linear_noise(problem, seed=1, **LENGTHS)
            else:
                tree = calibration.sample_master_equation(problem, seed=1, most=simulated.most, **LENGTHS)
            seconds[method] += time.perf_counter() - begin
            theta = tree["posterior"]["theta"]
            found[method].append(off(tree, truth))
            away, sd, held = found[method][-1]
            print(
                f"{seed} {method}: away {away.round(2)}, sd {sd.round(3)}, held {held}, "
                f"R-hat {float(np.max(rhat(theta))):.3f}, ESS {float(np.min(ess(theta))):.0f}, "
                f"divergent {int(tree['sample_stats']['diverging'].sum())}, {time.perf_counter() - begin:.0f} s",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    print("| likelihood | rate | in 90 % intervals | mean distance | sd of distances | mean posterior sd | s per set |")
    print("|---|---|---|---|---|---|---|")
    for method, sets_found in found.items():
        away, sd, held = (np.stack(x) for x in zip(*sets_found, strict=True))
        for index, name in enumerate(CENTRES):
            print(
                f"| {method} | {name} | {held[:, index].sum()} of {sets} | {away[:, index].mean():+.2f} "
                f"({away[:, index].std(ddof=1) / np.sqrt(sets):.2f}) | {away[:, index].std(ddof=1):.2f} "
                f"| {sd[:, index].mean():.3f} | {seconds[method] / sets:.0f} |"
            )


def particles(seed: int = 1) -> None:
    """One posterior of few cells by all three methods."""
    simulated = data("followed", 3, seed, sd=1.0)
    problem, truth = simulated
    samplers = {
        "master equation": lambda: calibration.sample_master_equation(problem, seed=1, most=simulated.most, **LENGTHS),
        "linear noise": lambda: calibration.sample_linear_noise(problem, seed=1, **LENGTHS),
        "pseudo-marginal": lambda: calibration.sample_pseudo_marginal(
            problem, seed=1, start=problem.nominal, covariance=0.2**2 * np.eye(3), warmup=500, draws=1500,
            predictive=False, quiet=True,
        ),
    }  # fmt: skip
    print(f"true rates, log10: {truth.round(3)}")
    print(f"| method | {' | '.join(f'{name}: mean (s.e.) | sd' for name in CENTRES)} | R-hat | ESS | seconds |")
    print("|---|" + "---|" * (2 * len(CENTRES) + 3))
    for method, sample in samplers.items():
        begin = time.perf_counter()
        tree = sample()
        seconds = time.perf_counter() - begin
        theta = tree["posterior"]["theta"]
        size, mean, sd = (
            np.asarray(x) for x in (ess(theta), theta.mean(("chain", "draw")), theta.std(("chain", "draw")))
        )
        columns = [f"{m:.3f} ({s / np.sqrt(n):.3f}) | {s:.3f}" for m, s, n in zip(mean, sd, size, strict=True)]
        extra = f", {tree.attrs['particles']} particles" if "particles" in tree.attrs else ""
        print(
            f"| {method}{extra} | {' | '.join(columns)} | {float(np.max(rhat(theta))):.3f} | {size.min():.0f} "
            f"| {seconds:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    which, *numbers = sys.argv[1:]
    cells, usual = {"snapshots": (10, 10), "followed": (5, 6), "particles": (3, 1)}[which]
    if which == "particles":
        particles()
    else:
        recover(which, cells, int(numbers[0]) if numbers else usual, int(numbers[1]) if len(numbers) > 1 else 0)
