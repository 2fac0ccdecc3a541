"""Recovery: 90 % intervals cover nine truths in ten when the data come from the model itself.

For every replicate a truth is drawn from the study's prior, readings are simulated at the times, doses and subjects
of the real table, and the posterior is sampled as for real data. Truths must come from the prior of the inference: only
then is the coverage of a Bayesian interval exactly its nominal value (Talts et al., arXiv:1804.06788, section 3).
Truths whose integration fails are drawn anew; their likelihood is zero in the inference, too.

Instruments have a floor: readings below the table's detection limit, or below its smallest reading where it states none
and readings are positive, enter as censored.

    python examples/recovery.py --studies hiv_perelson1996 timekill_regoes2004 influenza_hayden1996 --replicates 6
"""

from __future__ import annotations

import argparse
import time
import warnings

import arviz_stats
import jax
import numpy as np
import pandas as pd
from scipy.stats import binomtest

import calibration
from calibration import Problem
from twin.errors import TwinWarning
from twin.precision import float64

STUDIES = ("hiv_perelson1996", "timekill_regoes2004", "influenza_hayden1996")
LEVEL = 0.90
LARGEST_RHAT = 1.05
TRIES = 200


def detection_limits(problem: Problem) -> dict[str, float]:
    """Limit by observable; minus infinity where readings may take any sign and none is censored."""
    limits, below = {}, (problem.measurements.table["censoring"] == "left").to_numpy()
    for name, rows in problem.bindings.rows_of.items():
        value, censored = problem.bindings.value[rows], below[rows]
        floor = value.min() if problem.noise_models[name].positive else -np.inf
        limits[name] = value[censored].min() if censored.any() else floor
    return limits


def simulate(problem: Problem, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame, int]:
    """A truth from the prior, a table of readings made from it, and how many truths failed before it."""
    failed = 0
    while True:
        truth = problem.prior.draw(rng, 1)
        with float64():
            prediction = problem.predict_many(truth)
            readings = problem.draw_readings(jax.random.key(int(rng.integers(2**31))), prediction)
        readings = np.asarray(readings)[0]
        if np.asarray(prediction.ok).all() and np.isfinite(readings).all():
            break
        failed += 1
        if failed == TRIES:
            raise RuntimeError(f"none of {TRIES} truths of {problem.name} could be integrated")
    table = problem.measurements.table
    limit = table["observable"].map(detection_limits(problem)).to_numpy()
    table["value"] = np.maximum(readings, limit)
    table["censoring"] = np.where(readings < limit, "left", "")
    return truth[0], table, failed


def like(problem: Problem, table: pd.DataFrame) -> Problem:
    """The same problem with another table."""
    return Problem(
        problem.model,
        table,
        problem.estimates,
        problem.noise,
        experiments=problem.experiments,
        fixed=problem.fixed,
        name=problem.name,
    )


def replicate(template: Problem, seed: int) -> pd.DataFrame:
    """Truth and interval of every entry of the vector, for one simulated table."""
    truth, table, failed = simulate(template, np.random.default_rng(seed))
    tree = calibration.sample(
        like(template, table), seed=seed, chains=4, warmup=200, draws=250, starts=16, predictive=False, quiet=True
    )
    draws = tree["posterior"]["theta"]
    flat = draws.to_numpy().reshape(-1, len(truth))
    low, high = np.quantile(flat, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return pd.DataFrame(
        {
            "entry": template.names,
            "truth": truth,
            "low": low,
            "high": high,
            "covered": (low <= truth) & (truth <= high),
            "share_below": (flat < truth).mean(axis=0),
            "rhat": np.asarray(arviz_stats.rhat(draws)).reshape(-1),
            "ess": np.asarray(arviz_stats.ess(draws)).reshape(-1),
            "divergent": float(tree["sample_stats"]["diverging"].mean()),
            "censored": int((table["censoring"] == "left").sum()),
            "redrawn": failed,
        }
    )


def summarise(cases: pd.DataFrame) -> pd.DataFrame:
    """Coverage per study and pooled, with an exact binomial 95 % interval and the replicates that did not mix."""
    rows = []
    for name, part in [*cases.groupby("study", sort=False), ("all", cases)]:
        covered = binomtest(int(part["covered"].sum()), len(part))
        interval = covered.proportion_ci()
        worst = part.groupby(["study", "replicate"])["rhat"].max()
        rows.append(
            {
                "study": name,
                "replicates": len(worst),
                "cases": len(part),
                "coverage": covered.statistic,
                "low": interval.low,
                "high": interval.high,
                "not mixed": int((worst > LARGEST_RHAT).sum()),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", nargs="+", default=list(STUDIES))
    parser.add_argument("--replicates", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="CSV file for all cases")
    arguments = parser.parse_args()
    parts = []
    for name in arguments.studies:
        template = Problem.from_study(name)
        for index in range(arguments.replicates):
            begin = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TwinWarning)
                part = replicate(template, seed=arguments.seed + 1000 * index)
            parts.append(part.assign(study=name, replicate=index, seconds=time.perf_counter() - begin))
            print(
                f"{name} {index}: {part['covered'].sum()} of {len(part)} covered, R-hat {part['rhat'].max():.3f}, "
                f"{100 * part['divergent'].iloc[0]:.1f} % divergent, {parts[-1]['seconds'].iloc[0]:.0f} s",
                flush=True,
            )
            if arguments.out:
                pd.concat(parts, ignore_index=True).to_csv(arguments.out, index=False)
            jax.clear_caches()
    print(summarise(pd.concat(parts, ignore_index=True)).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
