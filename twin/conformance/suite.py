"""What a conformance suite is: cases in folders, and the function that judges one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One case of a suite.

    Args:
        name: Its name, unique within the suite and the same wherever the suite lies.
        path: Its folder, or the file that holds it.
        tags: What it is about, in the suite's own words.
        kind: What is asked, in the suite's own word.
        patience: By how much the limit on its time is longer than usual.
    """

    name: str
    path: Path
    tags: tuple[str, ...] = ()
    kind: str = ""
    patience: float = 1.0


@dataclass(frozen=True)
class Suite:
    """A suite.

    Args:
        name: Its name on the command line.
        find: The cases in a folder, in order.
        judge: Where the function is that takes a `Case` and returns a `Verdict`, as ``package.module:function``; worker
            processes import it.
        packages: Our packages that decide the result.
        requires: Distributions of others that decide it, too.
        title: Its name in the report.
        aside: Beginning of the tags of cases that are outside what we set out to do; the share of the others that
            pass is given, too. None if there are none.
    """

    name: str
    find: Callable[[Path], list[Case]]
    judge: str
    packages: tuple[str, ...]
    requires: tuple[str, ...]
    title: str
    aside: str | None = None
