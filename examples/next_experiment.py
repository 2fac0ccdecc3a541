"""Claim: the same number of readings at designed times gives narrower posteriors than one reading a day.

The influenza model is calibrated to the titres of Hayden et al. (1996): placebo, early and delayed zanamivir, read once
a day. From the fitted twin two schedules are simulated, the original one and the D-optimal one of as many readings, at
any of two nasal washes a day; both are sampled, and the posterior standard deviations compared. Undetectable virus
counts as 0 in these means, so readings below 0 count as censored, in the design and in the simulations.

    uv run python examples/next_experiment.py --replicates 10
"""

from __future__ import annotations

import argparse
from pathlib import Path

import arviz
import jax
import numpy as np
import pandas as pd

import calibration
import twin
from calibration.sampling.nuts import NUTS
from calibration.sampling.whitening import whiten
from calibration.varied_readings import VariedReadings
from twin.figure import INK, blank_figure, dress
from twin.progress import progress

STUDY, OBSERVABLE = "influenza_hayden1996", "mean_log10_titre"
LIMIT = 0.0
"""Detection limit of the mean: undetectable virus counts as 0. It keeps the design off readings that say nothing."""
TIMES = np.arange(0.5, 8.01, 0.5)
"""Two nasal washes a day [day after inoculation]."""
CHAINS, WARMUP, DRAWS = 2, 150, 400


def spreads(
    problem: calibration.Problem, schedule: pd.DataFrame, theta: np.ndarray, count: int
) -> tuple[np.ndarray, float]:
    """Posterior standard deviations [experiment, parameter] of experiments simulated at a schedule, and worst R-hat.

    All posteriors are lanes of one program: the readings are an argument of the likelihood.
    """
    # Marked as limits everywhere, so that simulated readings below the limit become censored.
    asked = problem.at(schedule.assign(value=LIMIT, censoring="left"))
    likelihood = VariedReadings(asked)
    with twin.float64():
        readings, _ = likelihood.draw(jax.random.key(0), np.tile(theta, (count, 1)))
        information = calibration.fisher_information(asked, theta, with_prior=True).matrix
        space = whiten(theta, information, problem.lower, problem.upper)

        def log_density(z, readings):
            at = space.theta(z)
            return likelihood(at, readings) + problem.prior.log_density(at) + space.log_volume(z)

        sampler = NUTS(log_density, target_acceptance=0.8, max_doublings=6)
        begin = np.random.default_rng(0).normal(size=(CHAINS * count, len(theta)))
        with progress("sampling", WARMUP + DRAWS) as line:
            repeated = jax.tree.map(lambda x: np.repeat(np.asarray(x), CHAINS, axis=0), readings)
            trace = sampler.run(begin, jax.random.key(1), warmup=WARMUP, draws=DRAWS, line=line, data=repeated)
        draws = np.asarray(jax.vmap(jax.vmap(space.theta))(trace.position)).reshape(count, CHAINS, DRAWS, -1)
    worst = max(float(np.max(arviz.rhat(each.transpose(2, 0, 1), chain_axis=-2, draw_axis=-1))) for each in draws)
    return draws.std(axis=(1, 2)), worst


def draw(names: tuple[str, ...], ratio: np.ndarray, expected: np.ndarray, path: Path) -> None:
    """Ratios of posterior standard deviations per parameter: replicates, their geometric mean, the expected one."""
    figure = blank_figure(6.4, 3.4)
    panel = figure.add_subplot()
    place = np.arange(len(names))
    for row in ratio:
        panel.plot(place, row, "o", color="#8a8a8a", markersize=3.5, alpha=0.8)
    panel.plot(
        place,
        np.exp(np.log(ratio).mean(axis=0)),
        "D",
        color="#d55e00",
        markersize=7,
        label="mean of simulated experiments",
    )
    panel.plot(place, expected, "_", color="#1f5f8b", markersize=22, markeredgewidth=2, label="by Fisher information")
    panel.plot([], [], "o", color="#8a8a8a", markersize=3.5, label="one simulated experiment each")
    panel.axhline(1.0, color=INK, linewidth=1.0)
    panel.set_xticks(place, names)
    panel.set_ylim(0.0, max(1.25, 1.05 * float(ratio.max())))
    panel.set_ylabel("posterior SD, designed / original times", fontsize=9, color=INK)
    panel.legend(frameon=False, fontsize=8, loc="lower right")
    dress(panel)
    figure.savefig(path, dpi=130)


def main(folder: Path = Path("out")) -> None:
    """Design, simulate both schedules, sample, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=4)
    replicates = parser.parse_args().replicates
    folder.mkdir(parents=True, exist_ok=True)

    problem = calibration.Problem.from_study(STUDY)
    original = problem.measurements.table
    theta = calibration.fit(problem, starts=24, seed=0, quiet=True).best
    offered = calibration.candidates(problem, TIMES, limit={OBSERVABLE: LIMIT})
    found = calibration.design(problem, offered, budget=len(original), theta=theta, keep_existing=False, quiet=True)
    print(f"{len(original)} readings, as many as there were:\n{found}\n")
    found.plot().savefig(folder / "next_experiment_when.png", dpi=130)

    designed, worst = spreads(problem, found.measurements(), theta, replicates)
    daily, worst_daily = spreads(problem, original[found.measurements().columns], theta, replicates)
    print(f"worst R-hat {max(worst, worst_daily):.3f}")
    ratio = designed / daily
    expected = found.standard_errors["ratio"].to_numpy()
    draw(problem.names, ratio, expected, folder / "next_experiment.png")
    typical = np.exp(np.log(ratio).mean(axis=0))
    table = pd.DataFrame({"measured": typical, "by Fisher information": expected}, index=problem.names)
    print(f"\nposterior SD, designed over original times:\n{table.to_string(float_format='{:.2f}'.format)}")

    mean = float(np.exp(np.log(typical).mean()))
    print(
        f"\nClaim: with {len(original)} readings at designed times the posterior SDs are {mean:.2f} times those of one "
        f"reading a day (geometric mean of {len(problem.names)} parameters, {replicates} simulated experiments)."
    )
    assert mean < 0.9
    assert found.efficiency > 0.95


if __name__ == "__main__":
    main()
