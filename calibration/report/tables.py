"""Data frames and mappings as HTML tables; pass and fail as a sign and a word, never as a colour alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.report.formats import flatten, humanise, is_missing, number, show
from twin.markup import Markup, join, tag


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: Column of the data frame.
        title: Its heading.
        form: How a value is written.
        numeric: Whether it is set flush right.
    """

    name: str
    title: str
    form: Callable[[object], object] = show
    numeric: bool = False


def numeric(name: str, title: str, form: Callable[[object], object] = number) -> Column:
    """A column of numbers."""
    return Column(name, title, form, numeric=True)


def table(
    rows: pd.DataFrame,
    columns: Sequence[Column],
    caption: str,
    *,
    strong: Callable[[pd.Series], bool] | None = None,
    kind: str | None = None,
) -> Markup:
    """The rows as a table that scrolls sideways where the page is narrow.

    Args:
        rows: The rows.
        columns: What to show of them; columns that the frame lacks or that hold nothing at all are left out.
        caption: What the table is, for all readers.
        strong: Rows to emphasise.
        kind: Class of a table of known make-up; it keeps columns that hold nothing.
    """
    columns = [c for c in columns if c.name in rows and (kind or not all(is_missing(v) for v in rows[c.name]))]
    head = tag("tr", *(tag("th", c.title, scope="col", class_="num" if c.numeric else None) for c in columns))
    body = []
    for _, row in rows.iterrows():
        cells = [
            tag("th" if i == 0 else "td", c.form(row[c.name]), scope="row" if i == 0 else None,
                class_="num" if c.numeric else None)
            for i, c in enumerate(columns)
        ]  # fmt: skip
        body.append(tag("tr", *cells, class_="strong" if strong is not None and strong(row) else None))
    made = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body), class_=kind)
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def entries(values: Mapping[str, object], caption: str, title: str = "") -> Markup:
    """A mapping, nested or not, as a table of two columns."""
    rows = pd.DataFrame(
        [(humanise(key) if not title else key, show(value)) for key, value in flatten(values)],
        columns=["key", "value"],
    )
    return table(rows, [Column("key", title or "what"), Column("value", "value")], caption, kind="entries")


def truth(value: object) -> bool | None:
    """True, False or None, whichever of Python's, NumPy's and pandas' spellings a table holds."""
    if is_missing(value):
        return None
    if isinstance(value, bool | np.bool_ | int | float):
        return bool(value)
    return {"true": True, "false": False}.get(str(value).lower())


def numbers(rows: pd.DataFrame, name: str) -> Float[np.ndarray, " row"]:
    """A column as an array of numbers without the missing ones; empty where there is no such column."""
    if name not in rows:
        return np.empty(0)
    values = np.array([math.nan if is_missing(value) else float(value) for value in rows[name]])
    return values[np.isfinite(values)]


def mark(value: object, words: tuple[str, str, str] = ("pass", "fail", "not judged")) -> Markup:
    """A sign and a word for True, False and None."""
    known = truth(value)
    kind, sign, word = {
        True: ("pass", "✓", words[0]),
        False: ("fail", "✕", words[1]),
        None: ("open", "–", words[2]),
    }[known]
    return tag("span", tag("span", sign, aria_hidden="true"), " ", word, class_=f"mark {kind}")


def note(value: object) -> str:
    """A remark, where there is one; no remark is nothing to be missed."""
    return "" if is_missing(value) else show(value)


def as_is(value: object) -> object:
    """Markup that is ready for its cell."""
    return value


def inside(value: object) -> Markup:
    """Whether a published value lies in the interval."""
    return mark(value, ("inside", "outside", "not judged"))


def folded(summary: str, *content: object) -> Markup:
    """Content that opens on a click, and is open in print."""
    return tag("details", tag("summary", summary), join(*content))
