"""An experiment in words: a table of HTML for notebooks, in which every word is escaped, or plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twin.experiment.experiment import Experiment

type Row = tuple[str, str, str, str]


def as_html(experiment: Experiment) -> str:
    """A line in words and a table; a fragment of HTML."""
    rows = [*_doses(experiment), *_changes(experiment)]
    words = f"<p>{escape(experiment.description)}</p>" if experiment.description else ""
    begins = f"<p>Experiment from time {experiment.t0:g} on{'' if rows else ', in which nothing is done'}</p>"
    return f"<div>{words}{begins}{_table(('what', 'target', 'value', 'when'), rows) if rows else ''}</div>"


def as_lines(experiment: Experiment) -> list[str]:
    """What is done, a line each: ``bolus gut = 4.02 at 0, 6 times every 12``; none if nothing is."""
    rows = [*_doses(experiment), *_changes(experiment)]
    lines = ((what, target, f"= {value}" if value else "", when) for what, target, value, when in rows)
    return [" ".join(filter(None, line)) for line in lines]


def _doses(experiment: Experiment) -> Iterable[Row]:
    for dose in experiment.doses:
        start = getattr(dose, "time", None) if hasattr(dose, "time") else getattr(dose, "start", None)
        length = getattr(dose, "duration", None)
        when = f"at {_shown(start)}" + (f" over {_shown(length)}" if length is not None else "")
        again = f", {dose.count} times every {_shown(dose.every)}" if dose.every is not None else ""
        amount = _shown(dose.amount) + (f" {dose.unit}" if dose.unit else "")
        yield ("infusion" if length is not None else "bolus", dose.target, amount, when + again)


def _changes(experiment: Experiment) -> Iterable[Row]:
    if experiment.equilibrate is not None:
        yield ("equilibration", "", "", f"before, for {experiment.equilibrate.horizon:g} at most")
        for name, value in (*experiment.equilibrate.parameters.items(), *experiment.equilibrate.initial.items()):
            yield ("of the equilibration", name, _shown(value), "before")
    for name, value in experiment.parameters.items():
        yield ("parameter", name, _shown(value), "throughout")
    for name, value in experiment.initial.items():
        yield ("initial state", name, _shown(value), "at the start")
    for change in experiment.changes:
        begin = "the start" if change.start is None else _shown(change.start)
        end = "the end" if change.stop is None else _shown(change.stop)
        yield ("change", change.target, _shown(change.value), f"from {begin} to {end}")
    for reset in experiment.resets:
        yield ("reset", reset.target, _shown(reset.value), f"at {_shown(reset.time)}")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return f"<table><thead>{line(head, 'th')}</thead><tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"
