"""Runs cases of a suite in worker processes; every case gets a verdict, whatever it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twin.conformance.pool import Outcome, Task, run_tasks
from twin.conformance.suite import Case, Suite
from twin.conformance.table import Row
from twin.conformance.verdict import Verdict


def run_cases(suite: Suite, cases: Sequence[Case], limit: float, workers: int | None = None) -> Iterator[Row]:
    """Rows in the order in which the cases finish.

    Args:
        suite: The suite.
        cases: Those of its cases that are to be run.
        limit: Seconds that a case of usual patience may take.
        workers: Processes; default one per core.
    """
    # The patient ones first: one of them at the end would keep the others waiting.
    ordered = sorted(cases, key=lambda case: -case.patience)
    tasks = [Task(case.name, case, limit * case.patience) for case in ordered]
    for outcome in run_tasks(suite.judge, tasks, workers):
        case: Case = outcome.task.argument
        yield Row(case.name, _verdict(outcome), outcome.seconds, case.tags)


def _verdict(outcome: Outcome) -> Verdict:
    if not outcome.fault:
        return outcome.result
    # No end in the time given is no number, so it counts as a refusal; a dead process is a fault of ours.
    return Verdict("refused" if outcome.fault == "timeout" else "crashed", outcome.reason)
