"""Several readings of one series at one time: replicates, or a row that was pasted twice."""

from __future__ import annotations

from collections.abc import Sequence

from twin.measurements.options import Replicates
from twin.measurements.raw import RawTable
from twin.measurements.readings import Reading


def check_replicates(raw: RawTable, readings: Sequence[Reading], rule: Replicates) -> None:
    """Refuses repeated readings as the rule says.

    Two equal numbers are far likelier a row that was pasted twice than two equal measurements, so "allow"
    refuses them; two readings beyond one limit are equal by nature and stand.

    Raises:
        MeasurementError: A repeated reading that the rule refuses.
    """
    if rule == "identical":
        return
    seen: dict[tuple[object, ...], Reading] = {}
    repeated: list[tuple[Reading, Reading]] = []
    for reading in readings:
        key: tuple[object, ...] = (reading.experiment, reading.subject, reading.observable, reading.time)
        if rule == "allow":
            if reading.censoring:
                continue
            key = (*key, reading.value)
        if (first := seen.setdefault(key, reading)) is not reading:
            repeated.append((reading, first))
    if not repeated:
        return
    reading, first = repeated[0]
    what = f"the value {reading.value:g}" if rule == "allow" else "a reading"
    raise raw.fault(
        [again.row for again, _ in repeated],
        reading.columns.value.index,
        f"{what} of {reading.observable!r} in experiment {reading.experiment!r}, subject {reading.subject!r} "
        f"at time {reading.time:g} stands at {raw.place(first.row)} already",
        expected="replicates that differ" if rule == "allow" else "one reading per series and time",
        fix="remove the copy; if these are true replicates, pass replicates="
        + ("'identical'" if rule == "allow" else "'allow'"),
    )
