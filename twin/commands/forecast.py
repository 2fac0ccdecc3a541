"""``twin forecast``: what a living twin expects, as bands over time."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from twin.commands.command import Command
from twin.commands.dosing import add_experiment_options, experiment_from, is_plain
from twin.commands.files import output_file, write_dataset
from twin.commands.tables import figure, text_table
from twin.errors import ExperimentError

if TYPE_CHECKING:
    import xarray as xr

    from twin.live import Twin

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
POINTS, SHOWN = 101, 11


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin forecast``."""
    parser.add_argument("twin", metavar="TWIN.nc", help="what twin calibrate or twin update wrote")
    parser.add_argument("--until", type=float, required=True, metavar="T", help="last time [time unit of the model]")
    parser.add_argument("--from", dest="first", type=float, metavar="T", help="first time (default: where it stands)")
    parser.add_argument("--points", type=int, default=POINTS, metavar="N", help=f"number of times ({POINTS})")
    parser.add_argument("--experiment", metavar="NAME", help="of which series; not needed where there is one")
    parser.add_argument("--subject", metavar="NAME", help="of which series")
    parser.add_argument("--variable", action="append", metavar="NAME", help="what (default: the observables)")
    parser.add_argument("--with-noise", action="store_true", help="bands of new readings, measurement noise included")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of that noise (default 0)")
    parser.add_argument("--out", metavar="FILE", help="write quantiles as .nc or .csv")
    parser.add_argument("--plot", metavar="FILE", help="write the picture as .png, .svg or .pdf")
    parser.epilog = "Doses and changes say what is done besides, from where the twin stands on (what-if)."
    add_experiment_options(parser)


def run(args: Namespace) -> int:
    """Forecast, write and print."""
    import numpy as np

    from twin.live import Twin

    out = output_file(args.out, "--out", (".nc", ".csv")) if args.out else None
    plot = output_file(args.plot, "--plot", (".png", ".svg", ".pdf")) if args.plot else None
    live = Twin.load(args.twin)
    which = {"experiment": args.experiment, "subject": args.subject}
    first = live.time(**which) if args.first is None else args.first
    if not first < args.until or args.points < 2:
        raise ExperimentError(
            f"the forecast is from {first:g} until {args.until:g} at {args.points} times",
            where="options",
            expected="an end later than the beginning, and at least 2 times",
        )
    times = np.linspace(first, args.until, args.points)
    how = {"variables": args.variable, "quantiles": QUANTILES, "noise": args.with_noise, "seed": args.seed} | which
    if is_plain(args):
        bands = live.forecast(times, **how)
    else:
        bands = live.what_if(experiment_from(args), times, from_now=True, **how)
    print(f"{live}\n\n{bands_text(live, bands)}")
    if out is not None:
        write_dataset(bands, out)
        args.saved.append(out)
    if plot is not None:
        from twin.live.figure import draw_forecast

        draw_forecast(live, bands, plot)
        args.saved.append(plot)
    if args.saved:
        print(f"saved: {', '.join(map(str, args.saved))}")
    return 0


def bands_text(live: Twin, bands: xr.Dataset) -> str:
    """Median and middle 90 % at some of the times."""
    import numpy as np

    shown = np.unique(np.linspace(0, bands.sizes["time"] - 1, SHOWN).round().astype(int))
    rows = []
    for index in shown:
        here = bands.isel(time=index)
        cells = [
            f"{figure(here[name].sel(quantile=0.5).item(), 3)} ({figure(here[name].sel(quantile=0.05).item(), 3)} to "
            f"{figure(here[name].sel(quantile=0.95).item(), 3)})"
            for name in bands.data_vars
        ]
        rows.append((figure(here["time"].item()), *cells))
    head = (f"time [{live.model.time_unit}]", *(f"{name} (90 %)" for name in bands.data_vars))
    noise = "new readings" if bands.attrs["noise"] == "included" else "predictions without measurement noise"
    failed = int(bands.attrs["failed"])
    said = f"{noise}; {failed} particles could not be integrated" if failed else noise
    return f"{text_table(head, rows, left=tuple(range(1, len(head))))}\n{said}"


forecast = Command(
    name="forecast",
    summary="what a living twin expects, also under other doses",
    configure=configure,
    run=run,
    description="""\
What a living twin expects, as bands over time.

  twin forecast twin.nc --until 9 --plot forecast.png
  twin forecast twin.nc --until 48 --dose "gut=320@36" --with-noise --out forecast.csv

Bands hold the middle 50 and 90 % of the ensemble. Doses and changes are done besides what the experiment says, from
where the twin stands on.""",
)
