"""``twin simulate``: a model of the library under doses and changes, to a file, a picture and a short table."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from twin.commands.command import Command
from twin.commands.dosing import add_experiment_options, experiment_from, is_plain, parse_numbers, parse_times
from twin.commands.files import output_file, read_draws, write_dataset
from twin.commands.remarks import remark
from twin.commands.tables import figure, text_table
from twin.errors import ExperimentError

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from twin.experiment.experiment import Experiment
    from twin.model.model import Model

POINTS = 201


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin simulate``."""
    parser.add_argument("name", metavar="NAME", help="a model of the library ('twin models' lists them)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=NUMBER", dest="values", help="a parameter's value"
    )
    parser.add_argument(
        "--draws", metavar="FILE", help="many parameter sets: a CSV with a column per parameter, or posterior.nc"
    )
    add_experiment_options(parser)
    when = parser.add_argument_group("when it is read")
    when.add_argument("--until", type=float, metavar="TIME", help="last time")
    when.add_argument("--points", type=int, default=POINTS, metavar="N", help=f"number of times (default {POINTS})")
    when.add_argument("--times", metavar="T,T,...", help="these times instead")
    chance = parser.add_argument_group("by chance (reactions only; states count molecules)")
    kind = chance.add_mutually_exclusive_group()
    kind.add_argument("--jumps", type=int, metavar="RUNS", help="so many runs of the jump process, exactly")
    kind.add_argument("--langevin", type=int, metavar="RUNS", help="so many runs of the chemical Langevin equation")
    chance.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the runs (default 0)")
    result = parser.add_argument_group("what comes out")
    result.add_argument(
        "--variables", metavar="A,B,...", help="names or expressions (default: all states and observables)"
    )
    result.add_argument("--out", required=True, metavar="FILE", help="results: .nc (netCDF), .parquet or .csv")
    result.add_argument("--plot", metavar="FILE", help="a picture too: .png, .svg or .pdf")
    result.add_argument("--log", action="store_true", help="logarithmic axes in the picture")


def run(args: Namespace) -> int:
    """Simulate, write, and print a table."""
    out = output_file(args.out, "--out", (".nc", ".parquet", ".csv"))
    plot = output_file(args.plot, "--plot", (".png", ".svg", ".pdf")) if args.plot else None
    experiment, parameters = experiment_from(args), parse_numbers(args.values, "--set")
    times = _times(args)

    from twin import library

    model = library.load_model(args.name)
    draws = {}
    if args.draws:
        draws, others = read_draws(args.draws, model.parameter_names)
        if clash := sorted(set(draws) & set(parameters)):
            raise ExperimentError(f"{clash[0]!r} is given by --set and by --draws", where="--set", fix="give it once")
        if others:
            remark(f"not parameters of {model.name}, left aside: {', '.join(others[:8])}{', ...' * (len(others) > 8)}")
    _remark_on_late_doses(experiment, float(times[-1]))
    variables = _split_expressions(args.variables) if args.variables else None
    ds = _simulated(args, model, times, {**parameters, **draws}, experiment, variables)
    print(f"{model.name}: {model.description}")
    print(summary(ds))
    write_dataset(ds, out)
    args.saved.append(out)
    if plot is not None:
        from twin.plot import plot_dataset

        plot_dataset(ds.rename({dim: "draw" for dim in ds.dims if dim == "run"}), log=args.log).savefig(plot, dpi=150)
        args.saved.append(plot)
    print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def _simulated(args: Namespace, model: Model, times: np.ndarray, parameters: dict, experiment, variables) -> xr.Dataset:
    """The course of the model, or runs of it by chance."""
    if args.jumps is None and args.langevin is None:
        from twin.simulation import simulate as simulate_model

        return simulate_model(model, times, parameters, experiment, variables)
    from twin.stochastic import simulate_jumps, simulate_langevin

    option = "--langevin" if args.jumps is None else "--jumps"
    if args.draws or not is_plain(args):
        raise ExperimentError(
            "something is done (a dose, a change, another start), or draws are given",
            where=option,
            expected="parameters by --set only",
        )
    if args.jumps is None:
        return simulate_langevin(model, times, parameters, variables, runs=args.langevin, seed=args.seed)
    return simulate_jumps(model, times, parameters, variables, runs=args.jumps, seed=args.seed)


def summary(ds: xr.Dataset) -> str:
    """First, highest and last value of every variable; of many draws or runs the median and the middle 90 %."""
    import numpy as np

    times = ds["time"].to_numpy()
    unit = ds["time"].attrs.get("units", "")
    head = ["variable", "unit", "first", "peak", f"at [{unit}]", "last"]
    rows = []
    for name, variable in ds.data_vars.items():
        values = np.atleast_2d(variable.transpose(..., "time").to_numpy())
        values = values[np.isfinite(values).all(axis=1)]
        peak = values.argmax(axis=1)
        cells = [values[:, 0], values.max(axis=1), times[peak], values[:, -1]]
        rows.append([str(name), variable.attrs.get("units", ""), *(_spread(cell) for cell in cells)])
    table = text_table(head, rows, left=(0, 1))
    many = next((dim for dim in ("draw", "run") if dim in ds.dims), None)
    if many is None:
        return table
    failed = f", {ds.attrs['failed']} failed" if ds.attrs.get("failed") else ""
    return f"{table}\nmedian (5 % to 95 %) of {ds.sizes[many]} {many}s{failed}"


def _spread(values: np.ndarray) -> str:
    import numpy as np

    if len(values) == 1:
        return figure(values[0])
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{figure(middle)} ({figure(low, 3)} to {figure(high, 3)})"


def _times(args: Namespace) -> np.ndarray:
    import numpy as np

    if args.times is not None:
        if args.until is not None:
            raise ExperimentError("--times and --until are both given", where="times", fix="give one of them")
        return np.array(parse_times(args.times))
    if args.until is None:
        raise ExperimentError("nobody said how long", where="times", fix="give --until TIME, or --times 0,1,2")
    if not np.isfinite(args.until) or not np.isfinite(args.t0) or args.until <= args.t0:
        raise ExperimentError(
            f"the end {args.until:g} is not after the start {args.t0:g}", where="--until", expected="a later time"
        )
    if args.points < 2:
        raise ExperimentError(f"{args.points} points are asked for", where="--points", expected="at least 2")
    return np.linspace(args.t0, args.until, args.points)


def _remark_on_late_doses(experiment: Experiment, end: float) -> None:
    for dose in experiment.doses:
        first = getattr(dose, "time", None) if hasattr(dose, "time") else dose.start  # type: ignore[union-attr]
        if not isinstance(first, str) and first is not None and first > end:
            remark(f"the dose into {dose.target!r} at {first:g} comes after the last time {end:g} and does nothing")


def _split_expressions(text: str) -> list[str]:
    """Split at the commas that are outside all brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


simulate = Command(
    name="simulate",
    summary="simulate a model of the library under doses and changes",
    configure=configure,
    run=run,
    description="""\
Simulate a model of the library.

  twin simulate theophylline --dose gut=4.02@0 --until 24 --out oral.nc --plot oral.png
  twin simulate theophylline --dose 'gut=320[mg/kg]@0x6/12' --until 72 --out repeated.csv
  twin simulate influenza_teiv --change 'p=p*(1-0.9)@1.2:3.0' --until 7 --out treated.nc
  twin simulate theophylline --dose gut=4@0 --draws results/posterior.nc --until 24 --out bands.nc
  twin simulate mrna_golding --jumps 1000 --until 120 --out cells.nc --plot cells.png""",
)
