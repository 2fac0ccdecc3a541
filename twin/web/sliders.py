"""The ranges of sliders: which quantity, from where to where, on which scale."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from twin.simulation import unit_of
from twin.units import pretty
from twin.web.settings import LARGEST_SPREAD, MOST_REPEATS, Dose, Settings, View

if TYPE_CHECKING:
    from twin.web.served import Served

REACH = 10.0
"""A logarithmic slider goes this factor down and up from where the page begins."""


@dataclass(frozen=True)
class Slider:
    """One quantity to set.

    Args:
        key: What it sets, in the words of a link.
        label: Its name.
        unit: Its unit, to be read.
        low: Lower end.
        high: Upper end.
        value: Where it stands.
        first: Where it stood when the page began.
        log: Whether it is logarithmic.
        step: Step of whole numbers; 0 for none.
        help: What the quantity is.
    """

    key: str
    label: str
    unit: str
    low: float
    high: float
    value: float
    first: float
    log: bool
    step: float = 0.0
    help: str = ""


def groups(served: Served, view: View) -> list[dict[str, Any]]:
    """Titled groups of sliders, ready to be sent to a browser."""
    settings = view.settings
    found = [
        {"title": _dose_title(dose), "dose": index, "open": True, "sliders": _dose(served, view, index, dose)}
        for index, dose in enumerate(settings.doses)
    ]
    key, rest = _parameters(served, settings)
    if served.calibrated:
        title = "What if a calibrated parameter were multiplied by"
        found.append({"title": title, "open": True, "sliders": [_factor(served, settings, n) for n in key]})
    elif key:
        found.append({"title": "Parameters", "open": True, "sliders": [_parameter(served, settings, n) for n in key]})
    if rest:
        title = "Parameters that are not calibrated" if served.calibrated else "More parameters"
        found.append({"title": title, "open": not key, "sliders": [_parameter(served, settings, n) for n in rest]})
    for group in found:
        group["sliders"] = [asdict(slider) for slider in group["sliders"]]
    return found


def general(served: Served, view: View) -> list[dict[str, Any]]:
    """The sliders that are no parameters: how patients vary, and how long."""
    first = served.first_view()
    begin = served.experiment(view.settings).t0
    found = []
    if served.drawn is None:
        now, then = view.settings.spread, first.settings.spread
        text = f"assumed, independent and log-normal, in {', '.join(served.spread.varied)}"
        found.append(
            Slider(
                "spread", "Variation between patients (CV)", "%", 0.0, LARGEST_SPREAD / 2, now, then, False, 1.0, text
            )
        )
    low, high = begin + (first.until - begin) / 20, begin + (first.until - begin) * 4
    unit = pretty(served.model.time_unit)
    found.append(Slider("until", "Last time shown", unit, low, high, view.until, first.until, False))
    return [asdict(slider) for slider in found]


def span(value: float, bounds: tuple[float, float] | None) -> tuple[float, float, bool]:
    """Ends and scale of a parameter's slider.

    Positive values have a logarithmic one, a factor of 10 down and up. A quantity that may be 0, as its bounds in a
    study say, has a linear one between these; without bounds 0 to 1, and for a negative value twice it to 0.
    """
    if bounds is not None and bounds[0] <= 0:
        return bounds[0], bounds[1], False
    if value > 0:
        return value / REACH, value * REACH, True
    return (2 * value, 0.0, False) if value < 0 else (0.0, 1.0, False)


def _parameters(served: Served, settings: Settings) -> tuple[list[str], list[str]]:
    """Parameters to be seen at once, and the others. What the experiment sets has no slider."""
    free = [name for name in served.settable if name not in served.bound(settings)]
    if served.calibrated:
        return [name for name in served.calibrated if name not in served.bound(settings)], free
    estimated = {e.name for study in served.studies.values() for e in study.estimates}
    key = [name for name in free if name in estimated]
    return (key, [name for name in free if name not in estimated]) if key else (free, [])


def _parameter(served: Served, settings: Settings, name: str) -> Slider:
    first = served.start(settings.experiment).values[name]
    bounds = None
    for study in served.studies.values():
        bounds = next(((e.lower, e.upper) for e in study.estimates if e.name == name and e.scale == "lin"), bounds)
    low, high, log = span(first, bounds)
    part = served.model.parts[name]
    now = settings.values.get(name, first)
    return Slider(f"p.{name}", name, pretty(part.unit), low, high, now, first, log, 0.0, part.description)


def _factor(served: Served, settings: Settings, name: str) -> Slider:
    assert served.drawn is not None  # there are calibrated parameters
    part = served.model.parts[name]
    median = served.drawn.median(name, settings)
    unit = pretty(part.unit)
    text = f"{part.description}; calibrated median {median:.3g}{f' {unit}' if unit else ''}".removeprefix("; ")
    return Slider(f"x.{name}", name, "×", 1 / REACH, REACH, settings.factors.get(name, 1.0), 1.0, True, 0.0, text)


def _dose_title(dose: Dose) -> str:
    kind = "Infusion" if dose.duration > 0 else "Dose"
    return f"{kind} into {dose.target}"


def _dose(served: Served, view: View, index: int, dose: Dose) -> list[Slider]:
    model = served.model
    firsts = served.start(view.settings.experiment).doses
    first = firsts[index] if index < len(firsts) and firsts[index].target == dose.target else dose
    scale = first.amount or 1.0
    time = pretty(model.time_unit)
    begin = served.experiment(view.settings).t0
    end = max(view.until, dose.time)
    key = f"dose.{index}"
    amount = Slider(
        f"{key}.amount", "amount", pretty(unit_of(model, dose.target)), scale / REACH, scale * REACH, dose.amount,
        first.amount, True, 0.0, model.parts[dose.target].description,
    )  # fmt: skip
    found = [amount, Slider(f"{key}.time", "time", time, begin, end, dose.time, first.time, False)]
    if dose.duration > 0:
        length = first.duration or 1.0
        found.append(
            Slider(f"{key}.duration", "duration", time, length / REACH, length * REACH, dose.duration, length, True)
        )
    found.append(
        Slider(f"{key}.count", "number of doses", "", 1, min(12, MOST_REPEATS), dose.count, first.count, False, 1.0)
    )
    if dose.count > 1:
        every = first.every or dose.every
        found.append(Slider(f"{key}.every", "interval", time, every / REACH, every * REACH, dose.every, every, True))
    return found
