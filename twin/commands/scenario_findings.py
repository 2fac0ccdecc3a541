"""``twin scenario sensitivity`` and ``subgroups``: what decides an endpoint, and who responds."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.commands.files import output_folder, write_table
from twin.commands.remarks import remark
from twin.commands.tables import text_table
from twin.errors import ScenarioError

if TYPE_CHECKING:
    import pandas as pd

    from twin.scenario.sensitivity import Sensitivity
    from twin.scenario.subgroups import Subgroups

COMPLETE = 0
MOST_COLUMNS = 6
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
    shares.add_argument("--against", metavar="ARM", help="indices of the patients' differences to this arm")
    shares.add_argument("--seed", type=int, default=0, metavar="N", help="seed of what is drawn (0)")
    shares.add_argument("--to", metavar="DIR", help="where table and picture go (default: NAME-sensitivity)")
    shares.add_argument("--quiet", action="store_true", help="show no progress")
    groups = listed.add_parser("subgroups", help="who responds: rules over parameters, counted in patients held out")
    groups.add_argument("folder", metavar="DIR", help="folder of the run")
    groups.add_argument("--criterion", action="append", metavar="NAME", help="this one only; may be given again")
    groups.add_argument("--arm", action="append", metavar="ARM", help="this arm only; may be given again")
    groups.add_argument("--parameters", metavar="A,B,...", help="rules may use these only: what can be measured, say")
    groups.add_argument("--reference", metavar="ARM", help="the arm that gains are counted from")
    groups.add_argument("--patients", type=int, default=20_000, metavar="N", help="take at most so many (20,000)")
    groups.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the halves (0)")
    groups.add_argument("--to", metavar="DIR", help="where tables and picture go (default: DIR-subgroups)")


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
    given |= {"seed": args.seed, "arms": args.arm, "against": args.against}
    name = args.to or f"{what if what.is_dir() else what.with_suffix('')}-sensitivity"
    if what.is_dir():
        found = sensitivity_of_store(what, **given)
    else:
        from twin.scenario.scenario_file import read_scenario

        found = sensitivity_of(read_scenario(what), progress=not args.quiet, keep=Path(name) / "parts", **given)
    to = output_folder(name, "--to")
    print(_sensitivity_table(found))
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
    """Half the width of the widest interval."""
    import numpy as np

    columns = {name: table[name].to_numpy(dtype=float) for name in table if str(name).endswith(("_low", "_high"))}
    half = np.concatenate([columns[f"{kind}_high"] - columns[f"{kind}_low"] for kind in ("first", "total")]) / 2
    return float(np.nanmax(half, initial=0.0))


def _sensitivity_table(found: Sensitivity) -> str:
    """A line for each endpoint and arm: first-order / total index of each input, the most influential ones."""
    inputs = found.strongest(MOST_COLUMNS)
    lines: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in found.table.to_dict("records"):
        lines.setdefault((row["endpoint"], row["arm"]), {})[row["input"]] = row
    rows = [[*key, *(_cell(cells[name]) for name in inputs)] for key, cells in lines.items()]
    notes = []
    for (endpoint, arm), cells in lines.items():
        said = {row["note"] for row in cells.values()}
        notes += [f"{endpoint}, {arm}: {said.pop()}"] if len(said) == 1 and "" not in said else []
    more = len(set(found.table["input"])) - len(inputs)
    legend = "(first-order / total index; of inputs that may depend on others first order alone"
    legend += f"; {more} more of less influence in the table)" if more else ")"
    return "\n".join([text_table(["endpoint", "arm", *inputs], rows, left=(0, 1)), legend, *notes])


def _cell(row: Mapping[str, Any]) -> str:
    shown = [f"{row[kind]:.2f}" if row[kind] == row[kind] else "-" for kind in ("first", "total")]
    return shown[0] if row["kind"] in ("member", "given") else " / ".join(shown)


def run_subgroups(args: Namespace) -> int:
    """Find, write, print."""
    from twin.scenario.subgroup_figure import subgroup_figure
    from twin.scenario.subgroups import find_subgroups

    names = [name.strip() for name in args.parameters.split(",")] if args.parameters else None
    found = find_subgroups(
        args.folder, criteria=args.criterion, arms=args.arm, reference=args.reference, patients=args.patients,
        seed=args.seed, parameters=names,
    )  # fmt: skip
    to = output_folder(args.to or f"{args.folder}-subgroups", "--to")
    looked = f"{found.patients:,} of {found.of:,} patients" if found.patients < found.of else f"{found.of:,} patients"
    print(f"{found.name}: {looked}; rules learned from one half, all figures counted in the other")
    print(_subgroup_text(found))
    for frame, file in ((found.questions, "questions"), (found.rules, "rules"), (found.importance, "importance")):
        write_table(frame, to / f"{file}.csv")
        args.saved.append(to / f"{file}.csv")
    if not found.rules.empty:
        subgroup_figure(found).savefig(to / "subgroups.png", dpi=130)
        args.saved.append(to / "subgroups.png")
    print(f"\nsaved: {', '.join(map(str, args.saved))}")
    return COMPLETE


def _subgroup_text(found: Subgroups) -> str:
    """For each question with an answer its rules, those of most yeses first; then the questions without one."""
    lines, without = [], {"nothing": [], "too few": []}
    for row in found.questions.to_dict("records"):
        asks = "responds" if row["question"] == "responds" else f"responds, and not in {found.reference}"
        title = f"{row['criterion']} ({row['formula']}), {row['arm']}: who {asks}"
        if row["found"] != "rules":
            without[row["found"]].append(f"{title} ({row['share']:.1%} do)" if row["share"] == row["share"] else title)
            continue
        lines.append(f"\n{title}? {row['share']:.1%} do; AUC {row['auc']:.2f} ({row['auc_low']:.2f} to "
                     f"{row['auc_high']:.2f}), skill {row['skill']:.2f}")  # fmt: skip
        lines += [f"  {text}" for text in rule_sentences(found, row["criterion"], row["arm"], row["question"])]
        weights = found.importance[
            (found.importance["criterion"] == row["criterion"]) & (found.importance["arm"] == row["arm"])
            & (found.importance["question"] == row["question"]) & (found.importance["drops"] > 0)
        ]  # fmt: skip
        listed = ", ".join(f"{each.parameter} {each.drops:.2f}" for each in weights.itertuples())
        lines.append(f"  skill lost if shuffled: {listed}")
    for said, reason in (("nothing", "nothing found"), ("too few", "too few yeses or noes to ask")):
        lines += [f"\n{reason}:", *(f"  {title}" for title in without[said])] if without[said] else []
    return "\n".join(lines)


def rule_sentences(found: Subgroups, criterion: str, arm: str, question: str) -> list[str]:
    """Confirmed rules of a question, in words, those of most yeses first."""
    rules = found.rules
    some = rules[(rules["criterion"] == criterion) & (rules["arm"] == arm) & (rules["question"] == question)]
    return [
        f"{row['rule']}: {row['share']:.0%} [{100 * row['low']:.0f}, {100 * row['high']:.0f}] of {row['patients']:,}, "
        f"against {row['others']:.0%} of others"
        for row in some.sort_values("share", ascending=False).to_dict("records")
    ]
