"""``twin scenario``: run an experiment over a cohort, see how far it is, go on with it, compare its arms."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from twin.commands import treatment
from twin.commands.command import Command
from twin.commands.files import output_folder, write_table
from twin.commands.remarks import remark
from twin.commands.scenario_findings import configure_findings, run_sensitivity, run_subgroups
from twin.commands.tables import figure, text_table
from twin.errors import ScenarioError

if TYPE_CHECKING:
    import pandas as pd

COMPLETE, PARTLY = 0, 1


def configure(parser: ArgumentParser) -> None:
    """Subcommands and their arguments."""
    listed = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    run_it = listed.add_parser("run", help="run a scenario into a folder, or go on with it")
    run_it.add_argument("file", metavar="FILE", help="the scenario, a YAML file (docs/scenarios.md)")
    run_it.add_argument("--out", required=True, metavar="DIR", help="folder of the result")
    run_it.add_argument("--chunk", type=int, metavar="N", help="patients simulated together (default: by memory)")
    go_on = listed.add_parser("resume", help="go on with a run that was interrupted; checks one that is complete")
    go_on.add_argument("folder", metavar="DIR", help="folder of the run")
    go_on.add_argument("--file", metavar="FILE", help="the scenario, if it is not where it was")
    for each in (run_it, go_on):
        each.add_argument("--quiet", action="store_true", help="show no progress")
        many = each.add_mutually_exclusive_group()
        many.add_argument("--cluster", type=int, metavar="N", help="N worker processes on this machine")
        many.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, for workers on many machines")
    state = listed.add_parser("status", help="how far a run is; exit status 0 if it is complete, else 1")
    state.add_argument("folder", metavar="DIR", help="folder of the run")
    arms = listed.add_parser("compare", help="arms against each other: tables and a picture")
    arms.add_argument("folder", metavar="DIR", help="folder of the run")
    arms.add_argument("--reference", metavar="ARM", help="the arm that others are compared with")
    arms.add_argument("--to", metavar="DIR", help="where tables and picture go (default: DIR-comparison)")
    treatment.configure(listed.add_parser("optimise", help="the best dose and timing, within limits"))
    configure_findings(listed)


def run(args: Namespace) -> int:
    """Do what the verb says."""
    verbs = {"run": _run, "resume": _resume, "status": _status, "compare": _compare, "optimise": treatment.run}
    return {**verbs, "sensitivity": run_sensitivity, "subgroups": run_subgroups}[args.verb](args)


def _run(args: Namespace) -> int:
    return _go(args, Path(args.file), Path(args.out), args.chunk)


def _resume(args: Namespace) -> int:
    from twin.scenario.journal import Journal

    folder = Path(args.folder)
    journal = Journal(folder)
    if journal.header() is None:
        raise ScenarioError("no scenario was run into it", where=str(folder), fix="twin scenario run FILE --out DIR")
    file = args.file or journal.origin()
    if file is None:
        found = "the scenario was made in Python"
        raise ScenarioError(found, where=str(folder), fix="call its run() with this folder again")
    if args.file is None and not Path(file).is_file():
        raise ScenarioError(f"the scenario is no longer at {file}", where=str(folder), fix="give --file FILE")
    return _go(args, Path(file), folder, None)


def _go(args: Namespace, file: Path, folder: Path, chunk: int | None) -> int:
    from twin.errors import SimulationError
    from twin.scenario.run import run_scenario, status_of
    from twin.scenario.scenario_file import read_scenario

    scenario = read_scenario(file)
    output_folder(str(folder))
    print(f"{scenario.name}: {scenario.model.name}, {scenario.cohort.size:,} patients, {len(scenario.all_arms)} arms")
    executor = None
    if args.cluster is not None or args.scheduler is not None:
        from twin.scenario.cluster import on_cluster

        if args.cluster is not None and args.cluster < 1:
            raise ScenarioError(f"{args.cluster} workers are asked for", where="--cluster", expected="at least 1")
        executor = on_cluster(file, scheduler=args.scheduler, workers=args.cluster)
    try:
        run_scenario(scenario, folder, chunk=chunk, progress=not args.quiet, origin=file, executor=executor)
    except KeyboardInterrupt:
        remark(f"finished chunks are kept: twin scenario resume {folder}")
        raise
    except SimulationError as error:
        remark(str(error))
        print(_state(folder))
        return PARTLY
    args.saved.append(folder)
    print(_state(folder))
    assert status_of(folder).complete
    return COMPLETE


def _status(args: Namespace) -> int:
    from twin.scenario.run import status_of

    print(_state(Path(args.folder)))
    return COMPLETE if status_of(Path(args.folder)).complete else PARTLY


def _state(folder: Path) -> str:
    """A table of the arms, and a sentence."""
    from twin.scenario.run import status_of
    from twin.solve.nodes import REASONS

    found = status_of(folder)
    rows = []
    for index, arm in enumerate(found.arms):
        failed = found.failed.get(str(index), {})
        why = "; ".join(f"{count:,} with {REASONS[int(code)]}" for code, count in failed.items())
        share = found.done[index] / found.chunks
        bar = "#" * round(20 * share) + "." * (20 - round(20 * share))
        rows.append([arm, f"{bar} {found.done[index]}/{found.chunks}", f"{sum(failed.values()):,}", why])
    done, total = sum(found.done), found.chunks * len(found.arms)
    if found.complete:
        said = f"complete: {found.patients:,} patients in {len(found.arms)} arms, in {folder}"
    else:
        now = "running now" if found.running else f"not running; twin scenario resume {folder}"
        said = f"{done} of {total} chunks ({done / total:.0%}) are done; {now}"
    return text_table(["arm", "chunks", "failed", "why"], rows, left=(0, 1, 3)) + f"\n{said}"


def _compare(args: Namespace) -> int:
    from twin.scenario.compare import compare_arms
    from twin.scenario.figure import comparison_figure
    from twin.scenario.run import status_of

    folder = Path(args.folder)
    endpoints, responders = compare_arms(folder, args.reference)
    name = status_of(folder).name
    to = output_folder(args.to or f"{folder}-comparison", "--to")
    print(_endpoint_table(endpoints))
    if not responders.empty:
        print("\n" + _responder_table(responders))
    for frame, file in ((endpoints, "endpoints.csv"), (responders, "responders.csv")):
        if not frame.empty:
            write_table(frame, to / file)
            args.saved.append(to / file)
    comparison_figure(endpoints, responders, name).savefig(to / "comparison.png", dpi=130)
    args.saved.append(to / "comparison.png")
    print(f"\nsaved: {', '.join(map(str, args.saved))}")
    return COMPLETE


def _endpoint_table(table: pd.DataFrame) -> str:
    from twin.units import pretty

    rows = []
    for row in table.to_dict("records"):
        spread = f"{figure(row['q50'])} ({figure(row['q05'], 3)} to {figure(row['q95'], 3)})"
        change = ""
        if _is_number(row.get("difference")):
            change = f"{figure(row['difference'])} ({figure(row['lower'], 3)} to {figure(row['upper'], 3)})"
        elif row.get("pairs", 0) > 0:  # some patients' values are infinite
            change = f"median {figure(row['difference_q50'])}"
        unit = pretty(row["unit"]) if row["unit"] else ""
        name = f"{row['endpoint']} [{unit}]" if unit else row["endpoint"]
        rows.append([name, row["arm"], spread, change, f"{row['failed'] + row['undefined']:,}"])
    return text_table(["endpoint", "arm", "median (5 to 95 %)", "mean difference (95 %)", "NaN"], rows, left=(0, 1))


def _is_number(value: float | None) -> bool:
    return value is not None and value == value


def _responder_table(table: pd.DataFrame) -> str:
    rows = []
    for row in table.to_dict("records"):
        share = f"{row['share']:.2%} ({row['low']:.2%} to {row['high']:.2%})"
        known = _is_number(row.get("difference"))
        change = f"{row['difference']:+.2%} ({row['lower']:+.2%} to {row['upper']:+.2%})" if known else ""
        counts = f"{int(row['gained']):,} / {int(row['lost']):,}" if known else ""
        rows.append([row["criterion"], row["arm"], share, change, counts])
    head = ["criterion", "arm", "responders (95 %)", "difference (95 %)", "gained / lost"]
    return text_table(head, rows, left=(0, 1))


scenario = Command(
    name="scenario",
    summary="run an experiment over a cohort of virtual patients, arm by arm",
    configure=configure,
    run=run,
    description="""\
Run a scenario: a model, a cohort, an experiment with factors, endpoints of every patient (docs/scenarios.md).

  twin scenario run examples/antiviral_scenario.yaml --out antiviral
  twin scenario status antiviral
  twin scenario resume antiviral
  twin scenario compare antiviral
  twin scenario sensitivity examples/antiviral_scenario.yaml
  twin scenario subgroups antiviral
  twin scenario optimise examples/antiviral_course.yaml --out course

Exit status: 0 complete, 1 some chunks raised errors (run, resume) or are not done (status), 2 a fault in what was asked
or a disk that cannot be written, 130 interrupted. Kill it at any moment: resume goes on, to the same bytes.""",
)
