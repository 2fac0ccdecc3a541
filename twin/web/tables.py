"""Tables of the page as HTML: endpoints, scenarios side by side, parameters with sources. Everything is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twin.units import pretty
from twin.web.compute import Result
from twin.web.endpoints import NAMES, SHARES
from twin.web.settings import NEW, TYPICAL, Dose, Settings

if TYPE_CHECKING:
    from twin.web.served import Served

type Kept = tuple[str, str, Settings, Result]
"""Title, colour, settings and result of a scenario; the first is that of now."""


def endpoint_table(result: Result) -> pd.DataFrame:
    """Quantiles over patients of every endpoint of every variable; the numbers behind the page."""
    rows = []
    for name, course in result.courses.items():
        for key in NAMES:
            values = getattr(course.endpoints, key)
            rows.append([name, key, *np.quantile(values, SHARES)])
    return pd.DataFrame(rows, columns=["variable", "endpoint", *(f"q{100 * share:02.0f}" for share in SHARES)])


def comparison(served: Served, variable: str, kept: Sequence[Kept]) -> str:
    """One row per scenario: how it differs from the start, and its endpoints as median (5 to 95 %)."""
    head = ["Scenario", "What is set", *NAMES.values()]
    rows = []
    for title, colour, settings, result in kept:
        swatch = f'<span class="swatch" style="background:{escape(colour)}"></span>'
        cells = [f"{swatch}{escape(title)}", escape(differences(served, settings))]
        course = result.courses.get(variable)
        for key in NAMES:
            cells.append(_spread(getattr(course.endpoints, key)) if course is not None else "–")
        rows.append(cells)
    unit, time = pretty(served_unit(served, variable)), pretty(served.model.time_unit)
    units = {"peak": unit, "time_of_peak": time, "area": "·".join(u for u in (unit, time) if u)}
    said = ", ".join(f"{NAMES[key].lower()} in {value}" for key, value in units.items() if value)
    caption = f"{variable}: median and middle 90 % over patients" + (f"; {said}" if said else "")
    return _table(head, rows, caption, ready=True)


def served_unit(served: Served, variable: str) -> str:
    """Unit of a variable of the page; empty where units are not checked."""
    from twin.simulation import unit_of

    return unit_of(served.model, variable)


def differences(served: Served, settings: Settings) -> str:
    """What is set otherwise than the page begins with, in words."""
    first = served.start(settings.experiment)
    said = [settings.experiment] if settings.experiment else []
    if settings.whom != first.whom:
        said.append({NEW: "new patients", TYPICAL: "typical patient"}.get(settings.whom, f"subject {settings.whom}"))
    if settings.doses != first.doses:
        said += [dose_words(dose, pretty(served.model.time_unit)) for dose in settings.doses] or ["no dose"]
    said += [f"{name} = {value:.4g}" for name, value in settings.values.items() if value != first.values.get(name)]
    said += [f"{name} × {value:.4g}" for name, value in settings.factors.items() if value != 1.0]
    if settings.spread != first.spread:
        said.append(f"CV {settings.spread:.3g} %")
    return ", ".join(said) or "as the page begins"


def dose_words(dose: Dose, time: str) -> str:
    """A dose in words."""
    over = f" over {dose.duration:.4g}" if dose.duration > 0 else ""
    again = f", {dose.count} times every {dose.every:.4g}" if dose.count > 1 else ""
    return f"{dose.target} {dose.amount:.4g} at {dose.time:.4g}{over}{again} {time}".rstrip()


def parameters_table(served: Served) -> str:
    """Every parameter with its value or draws, unit, meaning and source."""
    settings = served.start()
    rows = []
    for part in served.model.parameters:
        if served.drawn is not None and part.name in served.calibrated:
            values = served.drawn.columns(settings)[part.name]
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
            shown = f"{middle:.3g} ({low:.3g} to {high:.3g}), calibrated"
        else:
            shown = f"{settings.values.get(part.name, part.value):.4g}"
        rows.append((part.name, shown, pretty(part.unit), part.description, part.source))
    return _table(("Parameter", "Value", "Unit", "What it is", "Source"), rows, "")


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    if high - low <= 1e-9 * max(abs(high), abs(low)):
        return f"{middle:.4g}"
    return f"{middle:.4g} <small>({low:.3g} to {high:.3g})</small>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, *, ready: bool = False) -> str:
    def line(cells: Iterable[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        return "<tr>" + "".join(f"<{tag}{scope}>{c if ready else escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    top = "<tr>" + "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head) + "</tr>"
    return f'<div class="scroll" tabindex="0"><table>{words}<thead>{top}</thead><tbody>{body}</tbody></table></div>'
