"""``twin update``: a living twin takes in readings."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands.command import Command
from twin.commands.files import output_file
from twin.commands.tables import figure, text_table

if TYPE_CHECKING:
    from twin.live import Twin


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin update``."""
    parser.add_argument("twin", metavar="TWIN.nc", help="what twin calibrate, or an earlier update, wrote")
    parser.add_argument("readings", metavar="READINGS.csv", help="a table of readings, none earlier than the last one")
    parser.add_argument(
        "--method", default="auto", metavar="NAME", help="reweight (exact; default), enkf (approximate), or another"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="seed of resampling and moves (default: updates so far)")
    parser.add_argument("--out", metavar="FILE.nc", help="where the new twin goes (default: in place of the old one)")


def run(args: Namespace) -> int:
    """Read, update, write and print."""
    from twin.live import Twin

    target = output_file(args.out, "--out", (".nc",)) if args.out else Path(args.twin)
    before = Twin.load(args.twin)
    after = before.update(args.readings, args.method, seed=args.seed)
    sha256 = after.save(target)
    args.saved.append(target)
    print(f"{after}\n\n{summary_text(before, after)}\n\n{record_text(after)}\nsaved: {target}\nsha256 {sha256}")
    return 0


def summary_text(before: Twin, after: Twin) -> str:
    """Every entry before and after."""
    old, new = before.summary(), after.summary()
    rows = [
        (name, *(f"{figure(each.loc[name, 'median'])} ({figure(each.loc[name, 'q05'], 3)} to "
                 f"{figure(each.loc[name, 'q95'], 3)})" for each in (old, new)))
        for name in after.names if "_eta[" not in name and "_kappa[" not in name
    ]  # fmt: skip
    return text_table(("parameter", "before (90 %)", "after (90 %)"), rows, left=(0, 1, 2))


def record_text(twin: Twin) -> str:
    """How the last update was done."""
    record = twin.log[-1]
    said = [f"{record['readings']} readings by {record['method']}", f"{record['seconds']:.1f} s"]
    if record.get("moves"):
        said.append(f"effective particles fell to {record['ess_weights']:.0f}, so they were resampled and moved")
        said.append(f"{record['moves']} moves, {100 * record['acceptance']:.0f} % accepted")
    said.append(f"{record['ess']:.0f} of {len(twin)} particles effective")
    if not record.get("exact", True):
        said.append("approximate")
    if record.get("failed"):
        said.append(f"{record['failed']} could not be integrated")
    return "; ".join(said)


update = Command(
    name="update",
    summary="give a living twin new readings",
    configure=configure,
    run=run,
    description="""\
Give a living twin new readings; it then forecasts from all it knows.

  twin calibrate influenza_baccam2006 --out results
  twin update results/twin.nc today.csv --out tomorrow.nc
  twin forecast tomorrow.nc --until 9 --subject 1 --plot forecast.png

READINGS.csv is a table as twin calibrate reads it, in the units of the model or with its own in the header. Columns
experiment and subject may be left out where the twin is of one series.""",
)
