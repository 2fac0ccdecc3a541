"""Options that say what is calibrated on what: shared by ``twin calibrate`` and ``twin assess``."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twin.commands.dosing import add_experiment_options, experiment_from, is_plain, parse_numbers
from twin.commands.remarks import remark
from twin.errors import MeasurementError, ProblemError, TwinError, suggestion

if TYPE_CHECKING:
    from calibration.problem import Problem
    from twin.measurements import Measurements
    from twin.model import Model
    from twin.study import Estimate, Noise

SCALES = ("lin", "log", "log10", "logit")
LEVELS = ("shared", "subject", "experiment")
FAMILIES = ("normal", "log_normal", "student_t", "laplace", "log_laplace")
ESTIMATE_FORM = "NAME:LOWER:UPPER[:SCALE[:PER]], for instance k:0.01:10 or k:0:1:lin"
_COLUMNS = ("experiment", "subject", "observable", "time", "value", "noise", "censoring", "upper")
_PER_OBSERVABLE = ("value", "noise", "censoring", "upper")


def whole(minimum: int):
    """A type for argparse: a whole number of at least `minimum`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d+", text.strip()) or int(text) < minimum:
            raise ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return read


def positive(what: str = "number"):
    """A type for argparse: a finite number above zero; `what` it is goes into the message."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0.0 < value < float("inf"):
            raise ArgumentTypeError(f"{text!r} is not a positive {what}")
        return value

    return read


def add_problem_options(parser: ArgumentParser) -> None:
    """The options from which `problem_from` makes a problem, beside the positional argument ``study``."""
    what = parser.add_argument_group("what is calibrated")
    what.add_argument("--model", metavar="NAME", help="a model of the library, to be calibrated to --data")
    what.add_argument(
        "--estimate", action="append", default=[], metavar="NAME:LOWER:UPPER[:SCALE[:PER]]",
        help="a parameter to estimate; SCALE is lin, log, logit or log10 (default), PER is shared (default), subject "
        "or experiment; the name alone takes bounds around the model's value",
    )  # fmt: skip
    what.add_argument("--fix", action="append", default=[], metavar="NAME=NUMBER", help="a parameter that is held")
    what.add_argument(
        "--noise", action="append", default=[], metavar="[OBSERVABLE=]FAMILY[:SCALE]",
        help="normal (default), log_normal or student_t; SCALE is a number or a formula, default estimated",
    )  # fmt: skip
    data = parser.add_argument_group("the data")
    data.add_argument("--data", metavar="FILE", help="a CSV table, or the name of a dataset of the library")
    data.add_argument(
        "--map", action="append", default=[], metavar="OURS=HEADER,...",
        help="columns by name: time=hours,value=conc; in a wide table OBSERVABLE=HEADER",
    )  # fmt: skip
    data.add_argument("--observable", metavar="NAME", help="what was read, in a table without such a column")
    data.add_argument("--time-unit", metavar="UNIT", help="unit of the time column")
    data.add_argument(
        "--value-unit", action="append", default=[], metavar="[OBSERVABLE=]UNIT", help="unit of the values"
    )
    data.add_argument(
        "--detection-limit", action="append", default=[], metavar="[OBSERVABLE=]NUMBER",
        help="readings below it are censored",
    )  # fmt: skip
    data.add_argument("--drop-missing", action="store_true", help="leave rows without a value out")
    add_experiment_options(parser)


def add_sampling_options(parser: ArgumentParser, *, starts: int) -> None:
    """Seeds and lengths."""
    group = parser.add_argument_group("how long")
    group.add_argument("--seed", type=whole(0), default=0, metavar="N", help="seed of everything random (default 0)")
    group.add_argument("--starts", type=whole(1), default=starts, metavar="N", help=f"starts of the fit ({starts})")
    group.add_argument("--chains", type=whole(1), default=4, metavar="N", help="chains (4)")
    group.add_argument("--warmup", type=whole(1), default=300, metavar="N", help="adaptation per chain (300)")
    group.add_argument("--draws", type=whole(4), default=500, metavar="N", help="draws kept per chain (500)")


def problem_from(args: Namespace) -> Problem:
    """The problem that the options describe; what was assumed is said on standard error.

    Raises:
        TwinError: Options contradict each other, cannot be read, or do not make a problem.
    """
    if args.study and args.model:
        raise ProblemError(
            f"the study {args.study!r} and the model {args.model!r} are both given",
            where="options",
            fix="give one: a study has its model",
        )
    if not args.study and not args.model:
        raise ProblemError(
            "nobody said what to calibrate", where="options", expected="a study, or --model NAME --data FILE"
        )
    if args.model and not args.data:
        raise ProblemError("there are no data", where="options", expected="--data FILE", fix="or name a study")
    from calibration.setup import Wishes, setup_from_study, setup_from_table
    from twin import library

    model = library.load_model(args.model or library.study(args.study).model)
    wishes = Wishes(
        estimates=[parse_estimate(text, model) for text in args.estimate],
        fixed=parse_numbers(args.fix, "--fix"),
        noise=parse_noises(args.noise),
        experiment=None if is_plain(args) else experiment_from(args),
    )
    measurements = read_data(args, model) if args.data else _refuse_table_options(args)
    if args.study:
        setup = setup_from_study(args.study, measurements, wishes)
    else:
        assert measurements is not None
        setup = setup_from_table(model, measurements, wishes)
    for text in setup.remarks:
        remark(text)
    return setup.problem


def read_data(args: Namespace, model: Model) -> Measurements:
    """The table of ``--data``, a file or a dataset of the library, in the model's units."""
    from twin import library
    from twin.measurements import Measurements, read_measurements

    if not Path(args.data).exists() and args.data in library.list_datasets():
        _refuse_table_options(args)
        dataset = library.dataset(args.data)
        frame = dataset.load()
        return Measurements.from_table(
            frame, model, time_unit=dataset.time_unit, value_units=dataset.units, source=dataset.name
        )
    limits = parse_by_observable(args.detection_limit, "--detection-limit")
    return read_measurements(
        args.data,
        model,
        columns=parse_columns(args.map, model) or None,
        observable=args.observable,
        time_unit=args.time_unit,
        value_units=parse_by_observable(args.value_unit, "--value-unit"),
        detection_limit=_numbers(limits, "--detection-limit"),
        missing="drop" if args.drop_missing else "error",
    )


def parse_estimate(text: str, model: Model) -> Estimate:
    """Read ``NAME:LOWER:UPPER[:SCALE[:PER]]`` or ``NAME``.

    Raises:
        ProblemError: It cannot be read, or an unknown scale or level.

    Example:
        >>> parse_estimate("k:0.1:10", model)
        Estimate(name='k', lower=0.1, upper=10.0, scale='log10', ...)
    """
    from calibration.setup import default_estimate
    from twin.study import Estimate

    name, *rest = (piece.strip() for piece in text.split(":"))
    where = f"--estimate {text!r}"
    if not name:
        raise ProblemError("the name is missing", where=where, expected=ESTIMATE_FORM)
    if not rest:
        return default_estimate(model, name)
    if len(rest) not in (2, 3, 4):
        raise ProblemError(f"it has {1 + len(rest)} parts", where=where, expected=ESTIMATE_FORM)
    bounds = []
    for what, piece in zip(("lower", "upper"), rest[:2], strict=True):
        try:
            bounds.append(float(piece))
        except ValueError:
            raise ProblemError(f"the {what} bound is {piece!r}", where=where, expected=ESTIMATE_FORM) from None
    scale, per = (*rest[2:], *("log10", "shared")[len(rest) - 2 :])
    for what, word, known in (("scale", scale, SCALES), ("level", per, LEVELS)):
        if word not in known:
            raise ProblemError(
                f"there is no {what} {word!r}", where=where, expected=", ".join(known), fix=suggestion(word, known)
            )
    return Estimate(name, bounds[0], bounds[1], scale, per=per)  # type: ignore[arg-type]  # checked above


def parse_noises(texts: Sequence[str]) -> dict[str, Noise]:
    """Read ``[OBSERVABLE=]FAMILY[:SCALE]``; without an observable it is for all others, under "".

    Raises:
        ProblemError: An unknown family, a missing scale, or an observable given twice.
    """
    from twin.study import Noise

    noise: dict[str, Noise] = {}
    for text in texts:
        where = f"--noise {text!r}"
        observable, _, model = text.rpartition("=") if "=" in text.partition(":")[0] else ("", "", text)
        family, colon, scale = (piece.strip() for piece in model.partition(":"))
        if family not in FAMILIES:
            raise ProblemError(f"there is no noise family {family!r}", where=where, fix=suggestion(family, FAMILIES))
        if colon and not scale:
            raise ProblemError("the scale is missing", where=where, expected="a number or a formula after the colon")
        if observable.strip() in noise:
            raise ProblemError("the noise is given twice", where=where, fix="give it once")
        noise[observable.strip()] = Noise(family, _scale(scale, where))  # type: ignore[arg-type]  # checked above
    return noise


def _scale(text: str, where: str) -> float | str | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < float("inf"):
        raise ProblemError(f"the scale is {text}", where=where, expected="a positive number, or a formula")
    return value


def parse_columns(texts: Sequence[str], model: Model) -> dict[str, Any]:
    """Read ``OURS=HEADER`` pairs: our column names, or observables of the model in a wide table.

    ``noise.OBSERVABLE``, ``censoring.OBSERVABLE`` and ``upper.OBSERVABLE`` are the columns that belong to an observable
    of a wide table.

    Raises:
        MeasurementError: No '=', an unknown name, or one given twice.
    """
    columns: dict[str, Any] = {}
    for pair in (pair for text in texts for pair in text.split(",") if pair.strip()):
        ours, equals, header = (piece.strip() for piece in pair.partition("="))
        where = f"--map {pair.strip()!r}"
        if not (ours and equals and header):
            raise MeasurementError("it is not a pair", where=where, expected="OURS=HEADER, for instance time=hours")
        kind, _, observable = ours.rpartition(".")
        if ours in _COLUMNS:
            given, key = columns, ours
        elif observable in model.observable_names and kind in ("", *_PER_OBSERVABLE):
            given, key = columns.setdefault(kind or "value", {}), observable
        else:
            known = (*_COLUMNS, *model.observable_names)
            raise MeasurementError(
                f"{ours!r} is neither a column nor an observable of the model", where=where, fix=suggestion(ours, known)
            )
        if not isinstance(given, dict) or key in given:
            raise MeasurementError(f"{ours!r} is given twice", where=where, fix="give it once")
        given[key] = header
    return columns


def parse_by_observable(texts: Sequence[str], option: str) -> str | dict[str, str] | None:
    """Read ``X`` for all observables, or ``OBSERVABLE=X`` for some.

    Raises:
        MeasurementError: Both forms at once, or an observable given twice.
    """
    pieces = [piece.strip() for text in texts for piece in text.split(",") if piece.strip()]
    if not pieces:
        return None
    if len(pieces) == 1 and "=" not in pieces[0]:
        return pieces[0]
    found: dict[str, str] = {}
    for piece in pieces:
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not (name and equals and value) or name in found:
            raise MeasurementError(
                f"{piece!r} cannot stand here", where=option, expected="one for all, or OBSERVABLE=... for each, once"
            )
        found[name] = value
    return found


def _numbers(given: str | dict[str, str] | None, option: str) -> float | dict[str, float] | None:
    def number(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise MeasurementError(f"{text!r} is not a number", where=option, expected="a number") from None

    if given is None or isinstance(given, str):
        return None if given is None else number(given)
    return {name: number(text) for name, text in given.items()}


def _refuse_table_options(args: Namespace) -> None:
    """Options that say how to read a file mean nothing where none is read."""
    for name in ("map", "observable", "time_unit", "value_unit", "detection_limit", "drop_missing"):
        if getattr(args, name):
            raise TwinError(
                f"--{name.replace('_', '-')} says how to read a file, but the data come from the library",
                where="options",
                fix="leave it out, or give --data FILE",
            )
