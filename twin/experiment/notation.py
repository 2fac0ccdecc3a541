"""What is done to a system, as text: doses, parameter changes and values.

    dose      STATE=AMOUNT[UNIT]@TIME            gut=4.02@0      gut=320[mg/kg]@0     gut=320 mg/kg@0
    repeated  ... xCOUNT/EVERY                   gut=4.02@0x6/12            six doses, one every 12 time units
    infusion  STATE=AMOUNT@TIME:DURATION         body=100@2:0.5
    change    PARAMETER=VALUE[@START:STOP]       p=p*(1-0.9)@1.2:3.0        p=0@2:      (to the end)
    value     NAME=VALUE                         V=0.1

Amounts, values and times may be formulas of the model's parameters where `twin.experiment` takes them. A fault is shown
under the piece of the text that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twin.errors import ExperimentError
from twin.experiment.experiment import Bolus, Change, Infusion, Value

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NAME = re.compile(r"[A-Za-z_]\w*")
# "4.02 mg/kg": after the number a unit, which cannot begin with an operator as the rest of a formula would.
_WITH_UNIT = re.compile(rf"(?P<amount>{_NUMBER})\s*(?P<unit>[A-Za-zµμ%°][^\[\]]*)")
_BRACKETED = re.compile(r"(?P<amount>[^\[\]]+)\[(?P<unit>[^\[\]]+)\]")
_REPEAT = re.compile(r"(?P<rest>.*?)x\s*(?P<count>[^/x]*)/(?P<every>.*)")

DOSE_FORM = "STATE=AMOUNT[UNIT]@TIME, STATE=AMOUNT@TIMExCOUNT/EVERY or STATE=AMOUNT@START:DURATION"
CHANGE_FORM = "PARAMETER=VALUE or PARAMETER=VALUE@START:STOP"


class _Text:
    """What was typed, so that a fault can point at its place."""

    def __init__(self, option: str, text: str) -> None:
        self.option, self.text = option, text

    def fault(self, found: str, piece: str, expected: str) -> ExperimentError:
        at = self.text.find(piece) if piece else len(self.text)
        marks = " " * max(at, 0) + "^" * max(len(piece), 1)
        return ExperimentError(f"{found}\n    {self.text}\n    {marks}", where=self.option, expected=expected)


def parse_dose(text: str) -> Bolus | Infusion:
    """Read a dose.

    Raises:
        ExperimentError: It cannot be read; the message points at the piece.

    Example:
        >>> parse_dose("gut=4.02@0x6/12")
        Bolus(target='gut', amount=4.02, time=0.0, every=12.0, count=6, unit=None)
    """
    whole = _Text("--dose", text)
    target, rest = _split_name(whole, DOSE_FORM)
    given, at, when = rest.rpartition("@")
    if not at:
        raise whole.fault("the dose has no time", "", f"{DOSE_FORM}; for instance {text}@0")
    amount, unit = _amount(whole, given)
    count, every = 1, None
    if repeated := _REPEAT.fullmatch(when):
        when = repeated["rest"]
        if not re.fullmatch(r"\s*\d+\s*", repeated["count"]):
            piece = repeated["count"] or "x"
            raise whole.fault(f"the number of doses is {repeated['count']!r}", piece, "a whole number, as in x6/12")
        count = int(repeated["count"])
        every = _value(whole, repeated["every"], "the interval between doses", "a time, as in x6/12")
    elif re.search(r"\dx\d", when):
        raise whole.fault("the doses are repeated without an interval", when, "xCOUNT/EVERY, as in x6/12")
    start, colon, duration = when.partition(":")
    time = _value(whole, start, "the time", DOSE_FORM)
    if not colon:
        return Bolus(target, amount, time, every, count, unit)
    length = _value(whole, duration, "the duration", "a time after the colon, as in @2:0.5")
    return Infusion(target, amount, time, length, every, count, unit)


def parse_change(text: str) -> Change:
    """Read a parameter change.

    Raises:
        ExperimentError: It cannot be read; the message points at the piece.

    Example:
        >>> parse_change("p=p*(1-0.9)@1.2:3.0")
        Change(target='p', value='p*(1-0.9)', start=1.2, stop=3.0)
    """
    whole = _Text("--change", text)
    target, rest = _split_name(whole, CHANGE_FORM)
    given, at, span = rest.partition("@")
    value = _value(whole, given, "the value", CHANGE_FORM)
    if not at:
        return Change(target, value)
    start, colon, stop = span.partition(":")
    if not colon or not (start.strip() or stop.strip()):
        raise whole.fault("the span has no start and stop", span, "@START:STOP, @START: (to the end) or @:STOP")
    return Change(
        target,
        value,
        _value(whole, start, "the start", CHANGE_FORM) if start.strip() else None,
        _value(whole, stop, "the stop", CHANGE_FORM) if stop.strip() else None,
    )


def parse_values(texts: Sequence[str], option: str) -> dict[str, Value]:
    """Read ``NAME=VALUE`` pairs, each a number or a formula; several may stand in one text, separated by commas.

    Raises:
        ExperimentError: One cannot be read, or a name occurs twice.
    """
    values: dict[str, Value] = {}
    for text in texts:
        for pair in _pairs(text):
            whole = _Text(option, pair)
            name, rest = _split_name(whole, "NAME=VALUE")
            if name in values:
                raise whole.fault(f"{name!r} is given twice", name, "each name once")
            values[name] = _value(whole, rest, "the value", "NAME=VALUE")
    return values


def parse_numbers(texts: Sequence[str], option: str) -> dict[str, float]:
    """Read ``NAME=NUMBER`` pairs.

    Raises:
        ExperimentError: A value is not a number, or a name occurs twice.
    """
    numbers: dict[str, float] = {}
    for name, value in parse_values(texts, option).items():
        if isinstance(value, str):
            raise _Text(option, f"{name}={value}").fault(f"the value of {name!r} is {value!r}", value, "a number")
        numbers[name] = float(value)
    return numbers


def parse_times(text: str) -> list[float]:
    """Read times separated by commas.

    Raises:
        ExperimentError: One is not a number.
    """
    whole = _Text("--times", text)
    times = []
    for piece in text.split(","):
        if not re.fullmatch(_NUMBER, piece.strip()):
            raise whole.fault(f"{piece.strip()!r} is not a time", piece.strip(), "numbers separated by commas: 0,1,2.5")
        times.append(float(piece))
    return times


def _pairs(text: str) -> list[str]:
    """``a=1,b=2`` is two pairs; the commas of ``a=max(b,c)`` separate none."""
    return [pair.strip() for pair in re.split(r",(?=\s*[A-Za-z_]\w*\s*=)", text)]


def _split_name(whole: _Text, form: str) -> tuple[str, str]:
    name, equals, rest = whole.text.partition("=")
    if not equals:
        raise whole.fault("there is no '='", whole.text, form)
    if not _NAME.fullmatch(name.strip()):
        raise whole.fault(f"{name.strip()!r} is not a name", name, form)
    return name.strip(), rest


def _amount(whole: _Text, text: str) -> tuple[Value, str | None]:
    """An amount and its unit, in brackets or after a number."""
    text = text.strip()
    # A number first: "1e3" is not 1 of the unit "e3".
    number = re.fullmatch(_NUMBER, text)
    if not number and (match := _WITH_UNIT.fullmatch(text) or _BRACKETED.fullmatch(text)):
        return _value(whole, match["amount"], "the amount", DOSE_FORM), match["unit"].strip()
    if "[" in text or "]" in text:
        raise whole.fault("the unit is not closed, or empty", text, "brackets around a unit, as in 320[mg/kg]")
    return _value(whole, text, "the amount", "a number, a number with a unit, or a formula of parameters"), None


def _value(whole: _Text, text: str, what: str, expected: str) -> Value:
    """A number, or a formula; whether its names are known is for the model to say."""
    text = text.strip()
    if not text:
        raise whole.fault(f"{what} is missing", "", expected)
    if re.fullmatch(_NUMBER, text) or re.fullmatch(r"[+-]?(?:nan|inf|infinity)", text, re.IGNORECASE):
        return float(text)
    if not re.search(r"[A-Za-z_]", text) and not re.fullmatch(r"[\d\s.+\-*/^()]+", text):
        raise whole.fault(f"{what} is {text!r}", text, "a number or a formula of parameters")
    return text
