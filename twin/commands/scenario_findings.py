"""``twin scenario sensitivity``: what decides an endpoint. (The verbs of `twin scenario` that ask why.)"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.commands.files import output_folder, write_table
from twin.commands.remarks import remark
from twin.commands.tables import text_table
from twin.errors import ScenarioError

if TYPE_CHECKING:
    import pandas as pd

COMPLETE = 0
MOST_COLUMNS = 5
"""Inputs that a line of the printed table has room for."""


def configure_findings(listed: Any) -> None:
    """Arguments of the verbs."""
    shares = listed.add_parser(
        "sensitivity", help="which parameters decide an endpoint: Sobol's shares of its variance"
    )
    what = "a scenario: first-order and total indices, by runs of its own; or a run's folder: first-order indices"
    shares.add_argument("what", metavar="FILE|DIR", help=what)
    shares.add_argument("--samples", type=int, metavar="N", help="of a scenario: base samples, a power of 2 (4096)")
    shares.add_argument("--patients", type=int, metavar="N", help="of a folder: take at most so many (100,000)")
    shares.add_argument("--arm", action="append", metavar="ARM", help="this arm only; may be given again")
    shares.add_argument("--seed", type=int, default=0, metavar="N", help="seed of what is drawn (0)")
    shares.add_argument("--to", metavar="DIR", help="where table and picture go (default: NAME-sensitivity)")
    shares.add_argument("--quiet", action="store_true", help="show no progress")


def run_sensitivity(args: Namespace) -> int:
    """Compute, write, print."""
    from twin.scenario.sensitivity import sensitivity_of, sensitivity_of_store
    from twin.scenario.sensitivity_figure import sensitivity_figure

    what = Path(args.what)
    given = {name: getattr(args, name) for name in ("samples", "patients") if getattr(args, name) is not None}
    foreign = "samples" if what.is_dir() else "patients"
    if foreign in given:
        kind = "folder: its patients are there" if what.is_dir() else "file: its design has --samples"
        raise ScenarioError(f"{what} is a {kind}", where=f"--{foreign}", fix="leave it out")
    given |= {"seed": args.seed, "arms": args.arm}
    if what.is_dir():
        found = sensitivity_of_store(what, **given)
    else:
        from twin.scenario.scenario_file import read_scenario

        found = sensitivity_of(read_scenario(what), progress=not args.quiet, **given)
    to = output_folder(args.to or f"{what.with_suffix('')}-sensitivity", "--to")
    print(_sensitivity_table(found.table))
    print(f"\n{found.name}: {found.runs:,} {'patients in each arm' if what.is_dir() else 'runs'}"
          f"{_failures(found.failed)}; widest interval ±{_widest(found.table):.2f}")  # fmt: skip
    for text in found.remarks:
        remark(text)
    write_table(found.table, to / "sensitivity.csv")
    sensitivity_figure(found).savefig(to / "sensitivity.png", dpi=130)
    args.saved += [to / "sensitivity.csv", to / "sensitivity.png"]
    print(f"saved: {', '.join(map(str, args.saved))}")
    return COMPLETE


def _failures(failed: Any) -> str:
    listed = [f"{count:,} in {arm}" for arm, count in failed.items() if count]
    return f"; failed: {', '.join(listed)}" if listed else ", none failed"


def _widest(table: pd.DataFrame) -> float:
    half = [(table[f"{kind}_high"] - table[f"{kind}_low"]).max() / 2 for kind in ("first", "total")]
    return max(value for value in half if value == value) if any(value == value for value in half) else 0.0


def _sensitivity_table(table: pd.DataFrame) -> str:
    """A line for each endpoint and arm: first-order / total index of each input, the most influential ones."""
    influence = table[["first", "total"]].max(axis=1).groupby(table["input"]).max().fillna(-1.0)
    ranked = list(influence.sort_values(ascending=False, kind="stable").index)
    inputs = [name for name in dict.fromkeys(table["input"]) if name in ranked[:MOST_COLUMNS]]
    rows, notes = [], []
    for (endpoint, arm), some in table.groupby(["endpoint", "arm"], sort=False):
        cells = some.set_index("input")
        rows.append([endpoint, arm, *(_cell(cells.loc[name]) for name in inputs)])
        if (some["note"] != "").all():
            notes.append(f"{endpoint}, {arm}: {some['note'].iloc[0]}")
    more = len(ranked) - len(inputs)
    legend = "(first-order / total index; of inputs that may depend on others first order alone"
    legend += f"; {more} more of less influence in the table)" if more else ")"
    return "\n".join([text_table(["endpoint", "arm", *inputs], rows, left=(0, 1)), legend, *notes])


def _cell(row: pd.Series) -> str:
    shown = [f"{row[kind]:.2f}" if row[kind] == row[kind] else "-" for kind in ("first", "total")]
    return shown[0] if row["kind"] in ("member", "given") else " / ".join(shown)
