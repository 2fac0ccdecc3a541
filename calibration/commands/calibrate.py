"""``twin calibrate``: fit a model to a table, draw from the posterior, write both."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import add_sampling_options, positive, whole
from calibration.commands.problem_source import add_source, problem_of
from twin.commands.command import Command
from twin.commands.files import output_folder, write_table, write_tree
from twin.commands.remarks import remark
from twin.commands.tables import figure, text_table
from twin.errors import ProblemError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from calibration.optimise.fit import Fit
    from calibration.problem import Problem

STARTS = 100
METHODS, DESIGNS = ("auto", "fisher", "l-bfgs"), ("latin-hypercube", "sobol", "prior")
"""What `calibration.fit` takes; written here, so that asking for help does not load JAX."""
LIKELIHOODS = ("course", "linear-noise", "particle-filter", "master-equation", "langevin")
MOST_R_HAT, LEAST_ESS = 1.01, 400.0


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin calibrate``."""
    add_source(parser)
    add_sampling_options(parser, starts=STARTS)
    how = parser.add_argument_group("how it is fitted")
    how.add_argument(
        "--method", choices=METHODS, default="auto",
        help="trust regions with the Fisher information, or gradients alone; auto takes these for many parameters",
    )  # fmt: skip
    how.add_argument("--design", choices=DESIGNS, default=DESIGNS[0], help="how starts are drawn from the priors")
    how.add_argument("--inner", action="store_true", help="solve for scalings, offsets and noise scales inside")
    how.add_argument("--keep-all", action="store_true", help="do not end starts early that have no prospect")
    how.add_argument("--no-hops", action="store_true", help="look for no better optima beside those that starts find")
    how.add_argument("--extend", action="store_true", help="add starts to the fit in FOLDER, up to --starts together")
    chance = parser.add_argument_group("reactions that happen by chance")
    chance.add_argument(
        "--likelihood", choices=LIKELIHOODS, default=LIKELIHOODS[0],
        help="course (default): the mechanism follows its means; else it fluctuates with its molecules: by the linear "
        "noise approximation or the Langevin equation (many molecules), or exactly by a particle filter or the master "
        "equation (few molecules). Nothing is fitted before",
    )  # fmt: skip
    chance.add_argument(
        "--particles", type=whole(1), metavar="N",
        help="of the particle filter; by default as many as make the variance of the log-likelihood about 1",
    )  # fmt: skip
    chance.add_argument(
        "--most", action="append", default=[], metavar="STATE=N",
        help="of the master equation: the largest number of molecules of each state; too few are an error",
    )  # fmt: skip
    chance.add_argument(
        "--dt", type=positive("step"), metavar="STEP",
        help="of the Langevin equation: longest step; by default a twentieth of the shortest time constant",
    )  # fmt: skip
    parser.add_argument("--no-sample", action="store_true", help="only fit; draw no posterior")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for the results")


def run(args: Namespace) -> int:
    """Fit, sample, write and print."""
    _check_likelihood(args)
    problem = problem_of(args)
    folder = output_folder(args.out)
    print(f"{problem.name}: {problem.measurements!r}", flush=True)
    if args.likelihood != LIKELIHOODS[0]:
        _write_posterior(args, problem, _sample_by_chance(args, problem), folder)
        remark("no twin is written: twin.nc follows courses that do not fluctuate")
        print(f"saved: {', '.join(map(str, args.saved))}")
        return 0

    best = _fitted(args, problem, folder)
    print(best, flush=True)
    if args.no_sample:
        print(fit_text(problem, best))
    else:
        _sample(args, problem, best, folder)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _fitted(args: Namespace, problem: Problem, folder: Path) -> Fit:
    """The fit with its pictures, all in the folder; a checkpoint is there for as long as it runs."""
    from calibration.optimise.fit import Fit, fit

    archive, checkpoint = folder / "fit.nc", folder / "fit.checkpoint.nc"
    found = fit(
        problem,
        args.starts,
        args.seed,
        method=args.method,
        sampling=args.design,
        retire=not args.keep_all,
        hop=not args.no_hops,
        inner=args.inner,
        checkpoint=checkpoint,
        extend=Fit.load(archive) if args.extend else None,
        quiet=args.quiet,
    )
    found.save(archive)
    if not found.interrupted:
        checkpoint.unlink(missing_ok=True)
    write_table(waterfall(problem, found), folder / "fit.csv")
    found.plot_waterfall(folder / "waterfall.png")
    found.plot_parameters(folder / "parameters.png")
    args.saved += [folder / name for name in ("fit.csv", "fit.nc", "waterfall.png", "parameters.png")]
    return found


def _check_likelihood(args: Namespace) -> None:
    """Refuse options that another likelihood takes, before anything is computed."""
    course = args.likelihood == LIKELIHOODS[0]
    of_fits = {"--no-sample": args.no_sample, "--extend": args.extend, "--inner": args.inner}
    if not course and (given := [name for name, value in of_fits.items() if value]):
        raise ProblemError(
            f"{given[0]} is given with --likelihood {args.likelihood}",
            where="options",
            expected="--likelihood course, whose fit it is about",
        )
    own = {"--particles": ("particle-filter", args.particles), "--dt": ("langevin", args.dt)}
    own["--most"] = ("master-equation", args.most or None)
    for option, (likelihood, value) in own.items():
        if value is not None and args.likelihood != likelihood:
            raise ProblemError(
                f"{option} is given with --likelihood {args.likelihood}",
                where="options",
                expected=f"--likelihood {likelihood}",
            )
    if args.likelihood == "master-equation" and not args.most:
        raise ProblemError(
            "--most is missing", where="--likelihood master-equation", expected="--most STATE=N for every state"
        )


def _sample_by_chance(args: Namespace, problem: Problem) -> xr.DataTree:
    lengths = {"chains": args.chains, "warmup": args.warmup, "draws": args.draws, "quiet": args.quiet}
    if args.likelihood == "linear-noise":
        from calibration.stochastic.linear_noise_posterior import sample_linear_noise

        return sample_linear_noise(problem, args.seed, **lengths)
    if args.likelihood == "master-equation":
        from calibration.stochastic.master_equation_posterior import sample_master_equation

        return sample_master_equation(problem, args.seed, most=_most(args.most), **lengths)
    if args.likelihood == "langevin":
        from calibration.stochastic.langevin_posterior import sample_langevin

        return sample_langevin(problem, args.seed, dt=args.dt, **lengths)
    from calibration.stochastic.pseudo_marginal import sample_pseudo_marginal

    return sample_pseudo_marginal(problem, args.seed, particles=args.particles, **lengths)


def _most(given: list[str]) -> dict[str, int]:
    """Bounds from ``STATE=N``."""
    found = {}
    for text in given:
        name, _, number = text.partition("=")
        if not number.strip().isdecimal():
            raise ProblemError(f"--most {text} has no whole number", where="options", expected="STATE=N, such as m=60")
        found[name.strip()] = int(number)
    return found


def _sample(args: Namespace, problem: Problem, best: Fit, folder: Path) -> None:
    from calibration.sampling.posterior import sample

    tree = sample(
        problem, args.seed, chains=args.chains, warmup=args.warmup, draws=args.draws, initial=best, quiet=args.quiet
    )
    _write_posterior(args, problem, tree, folder)
    _keep_twin(args, problem, tree, folder / "twin.nc")


def _write_posterior(args: Namespace, problem: Problem, tree: xr.DataTree, folder: Path) -> None:
    write_tree(tree, folder / "posterior.nc")
    args.saved.append(folder / "posterior.nc")
    table = posterior_summary(problem, tree)
    write_table(table, folder / "summary.csv", index=True)
    args.saved.append(folder / "summary.csv")
    print(posterior_text(problem, table, tree))


def _keep_twin(args: Namespace, problem: Problem, tree: xr.DataTree, path: Path) -> None:
    """The twin, unless readings to come would lack something that the problem's have."""
    from calibration.assimilate.twin_of import twin_of

    try:
        live = twin_of(problem, tree, seed=args.seed)
    except ProblemError as error:
        remark(f"no twin is written: {error.found}")
        return
    live.save(path)
    args.saved.append(path)


def waterfall(problem: Problem, best: Fit) -> pd.DataFrame:
    """One row per start, best first; parameters on their linear scale, so that the columns can be simulated."""
    frame = best.to_frame()
    frame[list(best.names)] = problem.parameters.linear(best.theta)
    return frame


def posterior_summary(problem: Problem, tree: xr.DataTree) -> pd.DataFrame:
    """ArviZ's summary of every entry, linear scale, with the median and the middle 90 %."""
    from arviz_stats.summary import summary as summarise

    table = summarise(tree, var_names=list(problem.names), ci_prob=0.9, ci_kind="eti", round_to="none")
    posterior = tree["posterior"].to_dataset()
    for place, (name, share) in enumerate((("median", 0.5), ("q05", 0.05), ("q95", 0.95))):
        values = [float(posterior[entry].quantile(share)) for entry in problem.names]
        table.insert(place, name, values)
    return table.rename_axis("parameter")


def posterior_text(problem: Problem, table: pd.DataFrame, tree: xr.DataTree) -> str:
    """The posterior for a terminal: parameters, convergence, what failed."""
    import numpy as np

    rows, hidden = [], 0
    for entry in problem.parameters.entries:
        if entry.is_deviation:
            hidden += 1
            continue
        row = table.loc[entry.name]
        interval = f"{figure(row['q05'], 3)} to {figure(row['q95'], 3)}"
        rows.append(
            (entry.name, figure(row["median"]), interval, unit_of(problem, entry), f"{row['r_hat']:.3f}",
             f"{row['ess_bulk']:.0f}")
        )  # fmt: skip
    lines = [text_table(("parameter", "median", "90 % interval", "unit", "R-hat", "bulk ESS"), rows, left=(0, 2, 3))]
    if hidden:
        lines.append(f"and {hidden} standardised deviations of subjects, experiments or occasions (summary.csv)")
    stats = tree["sample_stats"].to_dataset()
    if "diverging" in stats:
        moves = f"{int(np.sum(stats['diverging'].to_numpy()))} divergent"
    else:
        moves = f"{tree.attrs['acceptance_rate']:.0%} of the steps accepted"
    sizes = tree["posterior"].sizes
    worst, least = float(np.max(table["r_hat"].to_numpy())), float(np.min(table["ess_bulk"].to_numpy()))
    lines.append(
        f"{sizes['chain']} chains of {sizes['draw']} draws: worst R-hat {worst:.3f}, least bulk ESS "
        f"{least:.0f}, {moves}, "
        f"{tree.attrs['failed_posterior_draws']} draws could not be integrated, {tree.attrs['sampling_seconds']:.0f} s"
    )
    if "particles" in tree.attrs:
        variance = figure(tree.attrs["log_likelihood_variance"], 2)
        lines.append(f"{tree.attrs['particles']} particles: the log-likelihood's estimates have variance {variance}")
    if worst > MOST_R_HAT or least < LEAST_ESS:
        wanted = f"R-hat below {MOST_R_HAT} and bulk ESS above {LEAST_ESS:.0f}"
        lines.append(f"the chains have not converged ({wanted} are wanted): raise --warmup and --draws")
    return "\n".join(lines)


def fit_text(problem: Problem, best: Fit) -> str:
    """The best fit for a terminal."""
    values = problem.parameters.linear(best.best)
    rows = []
    for entry, value in zip(problem.parameters.entries, values, strict=True):
        if not entry.is_deviation:
            note = "on a bound" if entry.name in best.at_bound else ""
            rows.append((entry.name, figure(value), unit_of(problem, entry), note))
    return text_table(("parameter", "best", "unit", ""), rows, left=(0, 2, 3))


def unit_of(problem: Problem, entry) -> str:
    """Unit of an entry where it is a parameter of the model."""
    if entry.role != "value" or entry.parameter not in problem.model.parameter_names:
        return ""
    unit = problem.model.unit(entry.parameter)
    return "" if unit == "dimensionless" else unit


calibrate = Command(
    name="calibrate",
    summary="fit a model to measurements and draw from the posterior",
    configure=configure,
    run=run,
    description="""\
Calibrate a model to a table of measurements.

  twin calibrate --model theophylline --data serum.csv --map time=hours,value=conc --dose gut=4.02@0 --out results
  twin calibrate influenza_baccam2006 --out results
  twin calibrate problem.yaml --no-sample --starts 200 --out results
  twin calibrate problem.yaml --likelihood particle-filter --draws 2000 --out results

FOLDER gets fit.csv (a row per start, best first), fit.nc (the whole fit), waterfall.png and parameters.png,
posterior.nc (draws in ArviZ's schema), summary.csv and twin.nc (for twin update and twin forecast). Parameters are on
their linear scale in the tables and draws.
When the same command runs again, a fit that was killed goes on where it was.
--extend adds starts to a fit that is done.""",
)
