"""``twin population``: subjects that share a distribution, by maximum marginal likelihood."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from calibration.commands.options import whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.files import output_folder, write_table
from twin.commands.tables import figure, text_table

STARTS, STUDIES = 3, 500


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin population``."""
    add_source(parser)
    how = parser.add_argument_group("how")
    how.add_argument("--method", choices=("focei", "saem"), default="focei", help="estimator (default focei)")
    how.add_argument("--starts", type=whole(1), default=STARTS, metavar="N", help=f"searches ({STARTS})")
    how.add_argument(
        "--studies", type=whole(20), default=STUDIES, metavar="N", help=f"simulated studies of the check ({STUDIES})"
    )
    how.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything (default 0)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for the tables and the picture")


def run(args: Namespace) -> int:
    """Fit, check, write and print; 1 if the search did not converge."""
    problem = problem_of(args)
    folder = output_folder(args.out)

    from calibration.population import fit_population, predictive_check

    found = fit_population(problem, method=args.method, starts=args.starts, seed=args.seed, quiet=args.quiet)
    check = predictive_check(found, studies=args.studies, seed=args.seed)
    errors = check.readings.assign(npde=check.npde)
    parts = found.components
    occasions = {"occasions": (found.occasions, True)} if len(found.occasions.columns) else {}
    tables = {
        "population": (found.table, True),
        "components": (parts, False),
        "individuals": (found.individuals, True),
        **occasions,
        "predictive_check": (check.bins, False),
        "prediction_errors": (errors, False),
    }
    for name, (table, index) in tables.items():
        write_table(table, folder / f"{name}.csv", index=index)
        args.saved.append(folder / f"{name}.csv")
    check.plot(str(folder / "predictive_check.png"))
    args.saved.append(folder / "predictive_check.png")
    rows = [
        (str(name), *(figure(value, 4) for value in row))
        for name, row in zip(found.table.index, found.table.to_numpy(), strict=True)
    ]
    print(text_table(("", *found.table.columns), rows, left=(0,)))
    lost = ", ".join(f"{name} {value:.0%}" for name, value in found.shrinkage.items())
    tests = ", ".join(f"{name} {value:.3g}" for name, value in check.tests().items())
    print(f"-2 log-likelihood {found.objective:.2f}; shrinkage: {lost}")
    print(f"prediction errors, p-values: {tests}")
    if not found.converged:
        print("the search did not converge: give nominal values near the truth, or more starts")
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0 if found.converged else 1


population = Command(
    name="population",
    summary="subjects that share a distribution: typical values, spreads, individual estimates, predictive check",
    configure=configure,
    run=run,
    description="""\
Maximise the likelihood of typical values, spreads and noise, the subjects' deviations integrated out (FOCEI, or SAEM).

  twin population theophylline --out theophylline

The study needs parameters that vary between subjects (per="subject", between=...). FOLDER gets population.csv
(estimates with standard errors), components.csv (variances, correlations), individuals.csv, occasions.csv where
parameters differ between occasions, predictive_check.csv with predictive_check.png, and prediction_errors.csv (npde).
The exit status is 1 if the search did not converge.""",
)
