"""Event tables of pharmacometrics (NONMEM, Monolix, nlmixr2): doses and readings of all subjects in one file.

Columns, whatever their case: ID, TIME, DV, AMT, RATE (or DUR), EVID, MDV, ADDL, II, CMT (or ADM), DVID, CENS. EVID is
0 for a reading, 1 for a dose, 2 for another event, 3 for a reset of the system, 4 for a reset and a dose; without it a
row with an amount is a dose. A reset begins a new occasion, an experiment of its own with the same subject. Rows of one
time are taken in their order: a reading that stands before a dose does not feel it. A dose implied by ADDL is felt by a
reading of its time.

References:
    NONMEM 7 user's guide, part IV, "PREDPP data items"; Monolix documentation, "Formatting of the data set".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from twin import units
from twin.errors import MeasurementError, suggestion
from twin.experiment import Bolus, Experiment, Infusion
from twin.measurements.cells import CellError, read_name, read_number
from twin.measurements.delimited import read_delimited
from twin.measurements.options import ReadsModel
from twin.measurements.raw import RawTable
from twin.measurements.table import Measurements

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("TIME", "DV", "AMT", "RATE", "EVID", "MDV", "ADDL", "II", "CENS", "SS")
OTHER_NAMES = {"DUR": "TINF", "ADM": "CMT"}
READING, DOSE, OTHER, RESET, RESET_AND_DOSE = range(5)
CENSORING = {-1: "right", 0: "", 1: "left"}
EVENTS = "0 (reading), 1 (dose), 2 (other), 3 (reset) or 4 (reset and dose)"

Targets = str | Mapping[str | int, str]

JUST_BEFORE = 1e-9
"""How long before a dose a reading is taken that stands before it at the same time, as a share of the table's times."""


@dataclass(frozen=True)
class EventTable:
    """What an event table holds.

    Args:
        measurements: The readings, in the model's units.
        experiments: Doses by the experiments' names in the table; subjects with the same doses share one, occasions of
            one subject never do.
        covariates: The columns asked for, a row per subject.
        others: Rows that are neither dose nor reading (EVID 2, or MDV 1), which were left out.

    Example:
        >>> table = twin.read_event_table("theo.csv", model, doses="gut", observables="concentration")
        >>> calibration.Problem(model, table.measurements, estimates, noise, experiments=table.experiments)
    """

    measurements: Measurements
    experiments: Mapping[str, Experiment]
    covariates: pd.DataFrame
    others: int


def read_event_table(
    path: str | os.PathLike[str],
    model: ReadsModel,
    *,
    doses: Targets,
    observables: Targets,
    covariates: Sequence[str] = (),
    time_unit: str | None = None,
    value_units: str | Mapping[str, str] | None = None,
    dose_unit: str | None = None,
    delimiter: str | None = None,
) -> EventTable:
    """Read doses and readings of many subjects from one table, as NONMEM, Monolix and nlmixr2 have it.

    Args:
        path: A CSV or TSV file with a header; lines that begin with ``#`` are comments; ``.`` is an empty cell.
        model: The model that has the observables.
        doses: The state that receives the doses, or states by the number in CMT (or ADM).
        observables: What was read, or observables by the number or name in DVID (CMT, if there is no DVID).
        covariates: Columns to keep, one number per subject (weight, age).
        time_unit: Unit of TIME, II and the duration of infusions; default the model's.
        value_units: Unit of DV, one for all or by observable; default the model's.
        dose_unit: Unit of AMT; default that of the state.
        delimiter: What separates columns; default by suffix and header.

    Raises:
        MeasurementError: The table cannot be used; the message names line and column. Refused are doses at steady state
            (SS) and rates that are to be estimated (RATE below 0).
        UnitError: A unit is unknown or does not fit.

    Example:
        >>> twin.read_event_table("warfarin.csv", model, doses="depot", observables={1: "conc", 2: "pca"})
    """
    rows = _Rows(read_delimited(path, delimiter))
    rows.read_before_doses()
    time_factor = 1.0 if time_unit is None else units.convert(1.0, time_unit, model.time_unit, "time_unit")
    occasions = _occasions(rows)
    experiments: dict[tuple, str] = {}
    described: dict[str, Experiment] = {}
    names = []
    alike: dict[tuple, list[int]] = {}
    for row in range(len(rows)):
        given, start, occasion = occasions[row]
        made = tuple(_dose(rows, each, doses, time_factor, dose_unit) for each in given)
        # The same doses on a second occasion of a subject are another experiment, which others with a second one share.
        of_subject = alike.setdefault((rows.subject[row], made, start), [])
        if occasion not in of_subject:
            of_subject.append(occasion)
        key = (made, start, of_subject.index(occasion))
        if key not in experiments:
            experiments[key] = f"doses_{len(experiments) + 1}"
            described[experiments[key]] = Experiment(doses=made, t0=start * time_factor, description=_in_words(made))
        names.append(experiments[key])
    readings = [row for row in range(len(rows)) if rows.is_reading(row)]
    if not readings:
        raise MeasurementError("no row is a reading", where=rows.raw.source, expected="rows with EVID 0 and a DV")
    used = {names[row] for row in readings}
    return EventTable(
        measurements=_measurements(rows, readings, names, model, observables, time_unit, value_units),
        experiments={name: experiment for name, experiment in described.items() if name in used},
        covariates=_covariates(rows, covariates),
        others=sum(not rows.is_reading(row) and not rows.is_dose(row) for row in range(len(rows))),
    )


class _Rows:
    """The table's rows as numbers, with the place of each cell for messages."""

    def __init__(self, raw: RawTable) -> None:
        self.raw = raw
        self.index = {OTHER_NAMES.get(name.upper(), name.upper()): i for i, name in enumerate(raw.names)}
        for name in ("ID", "TIME", "DV", "AMT"):
            if name not in self.index:
                raise MeasurementError(
                    f"there is no column {name}", where=raw.header, fix=suggestion(name, [n.upper() for n in raw.names])
                )
        self.subject = [read_name(cell) for cell in raw.cells[self.index["ID"]]]
        if bad := [row for row, name in enumerate(self.subject) if not name]:
            raise raw.fault(bad, self.index["ID"], "the cell is empty", expected="a subject in every row")
        self.number = {name: self.numbers(name) for name in (*NUMBERS, "TINF") if name in self.index}
        self.event = self._events()
        self._check_readings()

    def __len__(self) -> int:
        return len(self.subject)

    def numbers(self, name: str) -> np.ndarray:
        """A column as numbers, NaN where empty."""
        column, found = self.index[name], []
        for row, cell in enumerate(self.raw.cells[column]):
            try:
                found.append(read_number(cell))
            except CellError as error:
                raise self.raw.fault([row], column, error.found, expected=error.expected, fix=error.fix) from None
        return np.array(found)

    def get(self, name: str, row: int, default: float = 0.0) -> float:
        """A number, or the default where column or cell is missing."""
        value = self.number[name][row] if name in self.number else np.nan
        return default if np.isnan(value) else float(value)

    def is_dose(self, row: int) -> bool:
        return self.event[row] in (DOSE, RESET_AND_DOSE)

    def is_reading(self, row: int) -> bool:
        return self.event[row] == READING and self.get("MDV", row) == 0

    def fault(self, row: int, name: str, found: str, expected: str | None = None, fix: str | None = None):
        """The error for one cell."""
        return self.raw.fault([row], self.index.get(name), found, expected=expected, fix=fix)

    def read_before_doses(self) -> None:
        """Move readings that stand before a dose of the same time to just before it."""
        time = self.number["TIME"]
        moved = time.copy()
        ahead = JUST_BEFORE * max(float(np.ptp(time)), float(np.abs(time).max()), 1.0)
        for row in range(len(self) - 2, -1, -1):
            follows = self.subject[row + 1] == self.subject[row] and time[row + 1] == time[row]
            # Moved rows hand on what they stand before.
            if follows and self.event[row] == READING and (self.event[row + 1] == DOSE or moved[row + 1] < time[row]):
                moved[row] = time[row] - ahead
        self.number["TIME"] = moved

    def _events(self) -> list[int]:
        events = []
        for row in range(len(self)):
            amount = self.get("AMT", row)
            event = self.get("EVID", row, default=np.nan)
            if np.isnan(event):
                event = DOSE if amount != 0 else READING
            if event not in range(5):
                raise self.fault(row, "EVID", f"the event is {event:g}", EVENTS)
            events.append(int(event))
            if event in (DOSE, RESET_AND_DOSE) and not amount > 0:
                raise self.fault(row, "AMT", f"the dose is {amount:g}", "a positive amount")
            if event == READING and amount != 0:
                raise self.fault(row, "AMT", f"a reading has the amount {amount:g}", "EVID 1 for a dose")
        return events

    def _check_readings(self) -> None:
        for row in range(len(self)):
            if np.isnan(self.number["TIME"][row]):
                raise self.fault(row, "TIME", "the time is missing", "a number in every row")
            if self.is_reading(row) and np.isnan(self.number["DV"][row]):
                raise self.fault(row, "DV", "a reading has no value", fix="mark the row with MDV 1, or remove it")
            if self.is_reading(row) and self.get("CENS", row) not in (-1, 0, 1):
                found = f"the censoring is {self.get('CENS', row):g}"
                raise self.fault(row, "CENS", found, "0, or 1 and -1 for a reading below and above the limit in DV")


def _occasions(rows: _Rows) -> list[tuple[list[int], float, int]]:
    """For each row its occasion: dose rows, start (time 0, a first dose before, or a reset) and number.

    Rows of a subject stand together, in the order of time; after a reset time may begin anew.
    """
    found: list[tuple[list[int], float, int]] = []
    finished: set[str] = set()
    time = rows.number["TIME"]
    for row in range(len(rows)):
        subject = rows.subject[row]
        new = row == 0 or rows.subject[row - 1] != subject
        reset = rows.event[row] in (RESET, RESET_AND_DOSE)
        if new:
            if subject in finished:
                fix = "sort the table by ID and TIME; occasions of one subject begin with EVID 3 or 4"
                raise rows.fault(row, "ID", f"subject {subject} stands in two places", fix=fix)
            finished.add(subject)
        elif not reset and time[row] < time[row - 1]:
            found_text = f"the time {time[row]:g} comes after {time[row - 1]:g}"
            raise rows.fault(
                row, "TIME", found_text, "times in order within a subject", "sort the table by ID and TIME"
            )
        if new or reset:
            start = float(time[row]) if reset else min(0.0, float(time[row]))
            current: tuple[list[int], float, int] = ([], start, found[-1][2] + 1 if found else 0)
        if rows.is_dose(row):
            current[0].append(row)
        found.append(current)
    return found


def _dose(rows: _Rows, row: int, targets: Targets, factor: float, unit: str | None) -> Bolus | Infusion:
    """The dose of a row, times in the model's unit."""
    if rows.get("SS", row) != 0:
        raise rows.fault(row, "SS", "the dose is at steady state", fix="write the earlier doses out (ADDL, II)")
    rate, duration = rows.get("RATE", row), rows.get("TINF", row)
    if rate < 0:
        fix = "give a number, or write a formula of the model's parameters in a twin.Infusion"
        raise rows.fault(row, "RATE", f"the rate is {rate:g}, to be estimated", "a rate of at least 0", fix)
    if duration < 0:
        raise rows.fault(row, "TINF", f"the duration is {duration:g}", "at least 0")
    further, interval = rows.get("ADDL", row), rows.get("II", row)
    if further != int(further) or further < 0:
        raise rows.fault(row, "ADDL", f"{further:g} further doses", "a whole number of at least 0")
    if further and not interval > 0:
        raise rows.fault(row, "ADDL", f"{further:g} further doses without an interval", fix="give II")
    amount, time = rows.get("AMT", row), rows.get("TIME", row) * factor
    repeat = {"every": interval * factor, "count": int(further) + 1} if further else {}
    target = _named(rows, row, "CMT", targets, "doses")
    if rate > 0 or duration > 0:
        length = amount / rate if rate > 0 else duration
        return Infusion(target, amount, time, length * factor, unit=unit, **repeat)
    return Bolus(target, amount, time, unit=unit, **repeat)


def _named(rows: _Rows, row: int, column: str, names: Targets, what: str) -> str:
    """The state or observable that a row means."""
    if isinstance(names, str):
        return names
    if column not in rows.index:
        fix = f"give one name in {what}, or a column {column}"
        raise MeasurementError(f"there is no column {column}", where=rows.raw.header, fix=fix)
    cell = read_name(rows.raw.cells[rows.index[column]][row])
    known = {str(key): value for key, value in names.items()}
    if cell not in known:
        fix = f"add it to {what}, or remove the row"
        raise rows.fault(row, column, f"{what} does not name {cell!r}", ", ".join(known), fix)
    return known[cell]


def _measurements(
    rows: _Rows,
    readings: list[int],
    names: list[str],
    model: ReadsModel,
    observables: Targets,
    time_unit: str | None,
    value_units: str | Mapping[str, str] | None,
) -> Measurements:
    import pandas as pd

    column = "DVID" if "DVID" in rows.index else "CMT"
    read = [_named(rows, row, column, observables, "observables") for row in readings]
    if unknown := [row for row, name in zip(readings, read, strict=True) if name not in model.observable_names]:
        name = read[readings.index(unknown[0])]
        fix = suggestion(name, model.observable_names)
        raise rows.fault(unknown[0], column, f"the model has no observable {name!r}", fix=fix)
    frame = pd.DataFrame(
        {
            "experiment": [names[row] for row in readings],
            "subject": [rows.subject[row] for row in readings],
            "observable": read,
            "time": rows.number["TIME"][readings],
            "value": rows.number["DV"][readings],
            "censoring": [CENSORING[int(rows.get("CENS", row))] for row in readings],
        },
        index=[rows.raw.rows[row] for row in readings],
    )
    return Measurements.from_table(
        frame,
        model,
        time_unit=time_unit,
        value_units=value_units,
        replicates="identical",
        allow_negative_time=True,
        varying_limits=True,
        source=rows.raw.source,
    )


def _covariates(rows: _Rows, names: Sequence[str]) -> pd.DataFrame:
    """A row per subject; a column that changes within a subject is an error."""
    import pandas as pd

    found = pd.DataFrame(index=pd.Index(list(dict.fromkeys(rows.subject)), name="subject"))
    for name in names:
        if name.upper() not in rows.index:
            fix = suggestion(name, rows.raw.names)
            raise MeasurementError(f"there is no column {name!r}", where=rows.raw.header, fix=fix)
        values = rows.numbers(name.upper())
        first: dict[str, float] = {}
        for row, subject in enumerate(rows.subject):
            if np.isnan(values[row]):
                raise rows.fault(row, name.upper(), "the covariate is missing", "a number in every row")
            if first.setdefault(subject, float(values[row])) != values[row]:
                text = f"the covariate of subject {subject} changes from {first[subject]:g} to {values[row]:g}"
                raise rows.fault(row, name.upper(), text, "one value per subject")
        found[name] = list(first.values())
    return found


def _in_words(doses: Sequence[Bolus | Infusion]) -> str:
    words = []
    for dose in doses:
        start = dose.time if isinstance(dose, Bolus) else dose.start
        over = "" if isinstance(dose, Bolus) else f" over {dose.duration:g}"
        again = f", {dose.count} times every {dose.every:g}" if dose.count > 1 else ""
        words.append(f"{dose.amount:g} into {dose.target} at {start:g}{over}{again}")
    return "; ".join(words) or "no dose"
