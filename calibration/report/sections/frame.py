"""What all sections share: heading, the sentence that says how to read it, tables that fold when long."""

from __future__ import annotations

import pandas as pd

from calibration.report.tables import Column, folded, table
from twin.markup import Markup, tag

SHORT = 10  # tables up to this many rows stand open on the page
WIDTH, MOST_ROWS = 440, 40  # of figures with one row per name


def section(identifier: str, title: str, asks: str, *content: object) -> Markup:
    """A section with its heading and the sentence that says how to read it."""
    heading = tag("h2", title, id=f"{identifier}-title")
    return tag("section", heading, tag("p", asks), *content, id=identifier, aria_labelledby=f"{identifier}-title")


def nothing(what: str) -> Markup:
    return tag("p", f"This assessment has no {what}.", class_="small")


def open_if_short(rows: pd.DataFrame, columns: list[Column], caption: str) -> Markup:
    """A table that stands open if it is short and is folded if not."""
    made = table(rows, columns, caption)
    return made if len(rows) <= SHORT else folded(f"{caption} ({len(rows)} rows)", made)
