"""Times and values from the units of a table to those of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from twin import units
from twin.errors import MeasurementError, UnitError, suggestion
from twin.measurements.columns import Column, ValueColumn
from twin.measurements.options import Options, ReadsModel
from twin.measurements.raw import RawTable
from twin.measurements.readings import Reading


def time_in_model(
    raw: RawTable,
    column: Column,
    times: Float[np.ndarray, " reading"],
    model: ReadsModel | None,
    declared: str | None,
) -> tuple[Float[np.ndarray, " reading"], str | None]:
    """Times in the model's unit, and that unit; as they are if neither side or no model states one.

    The unit is the declared one, that in the header (``time [h]``), or the header itself (``hours``). Only
    the last is ignored for a model without a unit of time.

    Raises:
        MeasurementError: The declared unit contradicts the header.
        UnitError: A unit is unknown or does not measure time.
    """
    place = raw.column(column.index)
    said = _stated(column, declared, place) or column.time_unit
    if declared is not None and column.unit is None and column.time_unit is not None:
        _agree(declared, column.time_unit, column.header, place)
    if model is None:
        if said is not None and not units.same_dimension(said, units.DIMENSIONLESS):
            units.convert(0.0, said, "second", place)
        return times, said
    only_by_name = declared is None and column.unit is None
    if said is None or (only_by_name and units.parse(model.time_unit) == units.parse(units.DIMENSIONLESS)):
        return times, model.time_unit
    return _converted(times, said, model.time_unit, place), model.time_unit


def values_in_model(
    raw: RawTable, readings: Sequence[Reading], model: ReadsModel | None, options: Options
) -> tuple[
    Float[np.ndarray, " reading"], Float[np.ndarray, " reading"], Float[np.ndarray, " reading"], dict[str, str | None]
]:
    """Values, upper limits of intervals and noise in the units of the model's observables, and those units.

    Raises:
        MeasurementError: A declared unit contradicts the header, or is that of an unknown observable.
        UnitError: A unit is unknown or does not convert.
    """
    values = np.array([reading.value for reading in readings], dtype=np.float64)
    upper = np.array([reading.upper for reading in readings], dtype=np.float64)
    noise = np.array([reading.noise for reading in readings], dtype=np.float64)
    groups: dict[tuple[str, int], list[int]] = {}
    for index, reading in enumerate(readings):
        groups.setdefault((reading.observable, reading.columns.value.index), []).append(index)
    declared = _by_observable(options.value_units, [name for name, _ in groups], model)
    result: dict[str, str | None] = {}
    for (name, _), members in groups.items():
        columns = readings[members[0]].columns
        own = _stated(columns.value, declared.get(name), raw.column(columns.value.index))
        target = model.unit(name) if model is not None else own
        result[name] = target
        if target is None:
            continue
        if own is not None:
            where = f"{raw.column(columns.value.index)}, observable {name!r}"
            values[members] = _converted(values[members], own, target, where)
            upper[members] = _converted(upper[members], own, target, where)
        noise[members] = _noise(raw, columns, noise[members], own, target)
    return values, upper, noise, result


def _noise(
    raw: RawTable, columns: ValueColumn, noise: Float[np.ndarray, " reading"], own: str | None, target: str
) -> Float[np.ndarray, " reading"]:
    """Standard deviations in the target unit. They are differences: an offset as that of degC drops out."""
    if columns.noise is None or np.isnan(noise).all():
        return noise
    unit = _stated(columns.noise, None, raw.column(columns.noise.index)) or own
    if unit is None:
        return noise
    where = raw.column(columns.noise.index)
    at = _converted(np.array([0.0, 1.0, 2.0]), unit, target, where)
    factor, second = np.diff(at)
    if not np.isclose(factor, second, rtol=1e-9):
        raise UnitError(
            f"a standard deviation cannot be converted from {unit!r} to {target!r}: the scale is not linear",
            where=where,
            fix="give values and noise in the model's unit",
        )
    return noise * factor


def _stated(column: Column, declared: str | None, place: str) -> str | None:
    """The unit declared by the caller or, if none is, that in the column's header."""
    if declared is not None:
        units.parse(declared, where=place)
        if column.unit is not None and _is_unit(column.unit):
            _agree(declared, column.unit, column.header, place)
        return declared
    if column.unit is not None:
        try:
            units.parse(column.unit, where=place)
        except UnitError as error:
            raise UnitError(
                error.found,
                where=place,
                expected=error.expected,
                fix=f"{error.fix or 'correct the header'}; or say the unit in time_unit= or value_units=",
            ) from None
    return column.unit


def _agree(declared: str, header_unit: str, header: str, place: str) -> None:
    if not _same(declared, header_unit):
        raise MeasurementError(
            f"the unit {declared!r} was given, but the header {header!r} says {header_unit!r}",
            where=place,
            fix="leave the argument out, or correct the header",
        )


def _same(first: str, second: str) -> bool:
    """True if a number means the same in both units, as in ng/ml and ug/l."""
    if not units.same_dimension(first, second):
        return False
    return bool(np.allclose(units.convert(np.array([0.0, 1.0]), first, second), [0.0, 1.0], rtol=1e-12, atol=0))


def _is_unit(text: str) -> bool:
    try:
        units.parse(text)
    except UnitError:
        return False
    return True


def _by_observable(
    value_units: str | Mapping[str, str] | None, present: Sequence[str], model: ReadsModel | None
) -> dict[str, str]:
    if value_units is None:
        return {}
    if not isinstance(value_units, Mapping):
        return dict.fromkeys(present, value_units)
    known = {*present, *(model.observable_names if model is not None else ())}
    if unknown := [name for name in value_units if name not in known]:
        raise MeasurementError(
            f"value_units names {unknown[0]!r}, which is no observable",
            fix=suggestion(str(unknown[0]), known),
        )
    return dict(value_units)


def _converted(
    numbers: Float[np.ndarray, " reading"], source: str, target: str, where: str
) -> Float[np.ndarray, " reading"]:
    try:
        return units.convert(numbers, source, target, where)
    except UnitError as error:
        fix = error.fix
        if fix is None and units.parse(target) == units.parse(units.DIMENSIONLESS):
            fix = (
                "an observable that is a logarithm has no unit: take the logarithm of the readings, or, if "
                "they are logarithms already, give their unit as 'dimensionless'"
            )
        raise UnitError(error.found, where=error.where, expected=error.expected, fix=fix) from None
