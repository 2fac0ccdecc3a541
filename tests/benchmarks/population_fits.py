"""Estimators of one population side by side: FOCEI, SAEM and, if asked for, full Bayes by NUTS.

    python -m tests.benchmarks.population_fits STUDY [--iterations 200 200] [--nuts 500]

STUDY is a study of the library whose parameters vary between subjects. Printed in Markdown: estimates with standard
errors, the difference to FOCEI in its standard errors, variances of the deviations, shrinkage, and -2 log-likelihood
by Laplace's approximation and by importance sampling. Spreads and variances are on the estimation scale (log10 for
most). NUTS counts the study's priors, the two others do not; its chains begin around the best fit, its deviations
are non-centred. Differences are taken on the estimation scale, where standard errors are.
"""

from __future__ import annotations

import argparse

import arviz as az
import numpy as np
import xarray as xr

import calibration
from calibration.population import PopulationFit, fit_population, importance_sampling
from tests.benchmarks.stopwatch import Row, markdown, seconds_of
from twin.library import study

CHAINS, WARMUP = 4, 300


def population_rows(fits: dict[str, PopulationFit]) -> list[Row]:
    """A row per number of the population: estimates, standard errors, differences to the first fit."""
    first = next(iter(fits.values()))
    errors, rows = np.sqrt(np.diag(first.covariance)), []
    for index, name in enumerate(first.likelihood.names):
        row: dict[str, object] = {"": name}
        for method, found in fits.items():
            row |= {
                method: float(found.table.loc[name, "estimate"]),
                f"se {method}": float(found.table.loc[name, "se"]),
            }
            if found is not first:
                row["difference / se"] = float((found.theta[index] - first.theta[index]) / errors[index])
        rows.append(row)
    return rows


def variance_rows(fits: dict[str, PopulationFit]) -> list[Row]:
    """Variances and covariances of the deviations, with standard errors."""
    rows: dict[str, dict[str, object]] = {}
    for method, found in fits.items():
        for part in found.components.to_dict("records"):
            name = f"{part['kind']} {part['first']}" + ("" if part["kind"] == "variance" else f", {part['second']}")
            row = rows.setdefault(name, {"": name})
            row |= {method: float(part["estimate"]), f"se {method}": float(part["se"])}
    return list(rows.values())


def bayes_rows(found: PopulationFit, tree: xr.DataTree) -> list[Row]:
    """Posterior means and deviations beside a fit, both on the estimation scale."""
    theta = np.asarray(tree["posterior"]["theta"])  # [chain, draw, entry]
    errors, rows = np.sqrt(np.diag(found.covariance)), []
    for index, (name, place) in enumerate(zip(found.likelihood.names, found.likelihood.positions, strict=True)):
        draws = theta[:, :, place]
        mean = float(draws.mean())
        rows.append(
            {
                "": name,
                found.method: float(found.theta[index]),
                "se": float(errors[index]),
                "posterior mean": mean,
                "sd": float(draws.std(ddof=1)),
                "difference / se": float((mean - found.theta[index]) / errors[index]),
                "R-hat": float(az.rhat(draws)),
                "bulk ESS": float(az.ess(draws)),
            }
        )
    return rows


def main() -> None:
    """Fit by all estimators and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="a study of the library")
    parser.add_argument("--iterations", type=int, nargs=2, default=(200, 200), help="iterations of SAEM")
    parser.add_argument("--nuts", type=int, default=0, metavar="DRAWS", help="draws of each of four chains of NUTS")
    args = parser.parse_args()
    problem = calibration.Problem.from_study(study(args.study))
    fits: dict[str, PopulationFit] = {}
    for method in ("focei", "saem"):

        def run(method: str = method) -> None:
            fits[method] = fit_population(
                problem, method=method, starts=1, iterations=tuple(args.iterations), quiet=True
            )

        seconds = seconds_of(run)
        print(f"{method}: {seconds:.0f} s, {'converged' if fits[method].converged else 'NOT converged'}", flush=True)
    print(markdown(population_rows(fits)), markdown(variance_rows(fits)), sep="\n")
    for method, found in fits.items():
        lost = ", ".join(f"{name} {value:.1%}" for name, value in found.shrinkage.items())
        print(f"{method}: shrinkage {lost}; -2 log L by Laplace {found.objective:.2f}", flush=True)
    for method, found in fits.items():
        sampled = importance_sampling(found)
        print(f"{method}: -2 log L by importance sampling {sampled.objective:.2f} +- {sampled.error:.2f}", flush=True)
    if args.nuts:
        tree = calibration.sample(
            problem, chains=CHAINS, warmup=WARMUP, draws=args.nuts, starts=4, predictive=False, quiet=True
        )
        print(f"nuts: {tree.attrs['sampling_seconds']:.0f} s; diverging {int(tree['sample_stats']['diverging'].sum())}")
        print(markdown(bayes_rows(fits["saem"], tree)))


if __name__ == "__main__":
    main()
