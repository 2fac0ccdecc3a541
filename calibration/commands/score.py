"""``twin score``: open the readings and score predictions that were frozen before."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands.options import parse_by_observable, parse_columns
from twin.commands.command import Command
from twin.commands.files import output_folder
from twin.commands.tables import figure, text_table

if TYPE_CHECKING:
    from calibration.prospective.frozen import Frozen
    from calibration.prospective.score import ProspectiveScore
    from twin.measurements import Measurements


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin score``."""
    parser.add_argument("frozen", metavar="FILE.nc", help="what twin predict --freeze wrote")
    parser.add_argument("--data", required=True, metavar="FILE", help="a CSV table, or a dataset of the library")
    parser.add_argument("--sha256", metavar="HASH", help="the hash as it was published; other predictions are refused")
    parser.add_argument("--map", action="append", default=[], metavar="OURS=HEADER,...", help="columns by name")
    parser.add_argument("--observable", metavar="NAME", help="what was read, in a table without such a column")
    parser.add_argument("--time-unit", metavar="UNIT", help="unit of the time column")
    parser.add_argument("--value-unit", action="append", default=[], metavar="[OBSERVABLE=]UNIT", help="of the values")
    parser.add_argument("--out", metavar="FOLDER", help="folder for scores.csv and score.json")


def run(args: Namespace) -> int:
    """Check the hash, read, score, write and print."""
    from calibration.prospective.frozen import Frozen
    from calibration.prospective.score import score

    folder = output_folder(args.out) if args.out else None
    frozen = Frozen.load(args.frozen, args.sha256)
    print(frozen)
    result = score(frozen, _readings(args, frozen))
    print(f"\n{result}\n\n{scores_text(result)}")
    if folder is not None:
        args.saved += result.save(folder)
        print(f"\nsaved: {', '.join(map(str, args.saved))}")
    return 0


def _readings(args: Namespace, frozen: Frozen) -> Measurements:
    """The table; of a dataset of the library, which holds the training rows, too, only what was predicted."""
    import numpy as np

    from calibration.prospective.score import reads
    from twin import library
    from twin.measurements import Measurements, read_measurements

    known = reads(frozen)
    if not Path(args.data).exists() and args.data in library.list_datasets():
        dataset = library.dataset(args.data)
        keys = ["experiment", "subject", "observable", "time"]
        whole = Measurements.from_table(
            dataset.load(), known, time_unit=dataset.time_unit, value_units=dataset.units, source=dataset.name
        )
        predicted = set(frozen.design[keys].itertuples(index=False, name=None))
        return whole.subset(
            np.array([row in predicted for row in whole.table[keys].itertuples(index=False, name=None)])
        )
    return read_measurements(
        args.data,
        known,
        columns=parse_columns(args.map, known) or None,
        observable=args.observable,
        time_unit=args.time_unit,
        value_units=parse_by_observable(args.value_unit, "--value-unit"),
    )


def scores_text(result: ProspectiveScore) -> str:
    """Mean CRPS of twin, baselines and floor, best first."""
    gap = result.gap
    means = {"twin": gap.twin, **gap.baselines, "noise floor": gap.floor}
    rows = [(name, figure(value, 3)) for name, value in sorted(means.items(), key=lambda item: item[1])]
    return text_table(("forecaster", "CRPS"), rows)


score = Command(
    name="score",
    summary="score frozen predictions against the readings that were made since",
    configure=configure,
    run=run,
    description="""\
Open the readings and score predictions that twin predict --freeze wrote before.

  twin score arms.nc --data influenza_hayden1996 --sha256 HASH --out score

The hash is checked first. FOLDER gets scores.csv (a row per reading) and score.json (both times, both hashes, the
headline).""",
)
