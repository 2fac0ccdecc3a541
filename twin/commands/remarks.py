"""Warnings for people at a terminal: one short line each, once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from twin.errors import TwinWarning


def remark(text: str) -> None:
    """One line on standard error, so that it does not mix with results."""
    print(f"note: {' '.join(str(text).split())}", file=sys.stderr, flush=True)


@contextmanager
def warnings_as_remarks(debug: bool = False) -> Iterator[None]:
    """Inside the block a `TwinWarning` is shown as a remark, each text once.

    Warnings of other libraries speak to programmers; they are shown, as Python shows them, only with `debug`.
    """
    seen: set[str] = set()

    with warnings.catch_warnings():
        as_python = warnings.showwarning

        def show(message, category, filename, lineno, file=None, line=None) -> None:
            if not issubclass(category, TwinWarning):
                as_python(message, category, filename, lineno, file, line)
            elif str(message) not in seen:
                seen.add(str(message))
                remark(str(message))

        warnings.simplefilter("default" if debug else "ignore")
        warnings.simplefilter("always", TwinWarning)
        warnings.showwarning = show
        yield
