"""Some of the cases of a suite: by name, by tag, or a fixed spread."""

from __future__ import annotations

from collections.abc import Sequence

from twin.conformance.suite import Case
from twin.errors import TwinError, suggestion


def select(
    cases: Sequence[Case], names: Sequence[str] = (), tags: Sequence[str] = (), sample: int | None = None
) -> list[Case]:
    """The cases that are named and have one of the tags, and of those so many, spread evenly.

    Args:
        cases: All cases.
        names: Their names; none means all.
        tags: One of these, or the beginning of one up to a colon (``comp`` is all ``comp:...``); none means all.
        sample: How many; the same for the same cases.

    Raises:
        TwinError: An unknown name or tag.
    """
    known = {case.name: case for case in cases}
    for name in names:
        if name not in known:
            raise TwinError(f"there is no case {name!r}", where="--cases", fix=suggestion(name, known))
    wanted = set(names)
    chosen = [case for case in cases if not wanted or case.name in wanted]
    if tags:
        present = {word for case in cases for tag in case.tags for word in (tag, tag.partition(":")[0])}
        for tag in tags:
            if tag not in present:
                raise TwinError(f"no case has the tag {tag!r}", where="--tags", fix=suggestion(tag, present))
        chosen = [c for c in chosen if any(tag in tags or tag.partition(":")[0] in tags for tag in c.tags)]
    return spread(chosen, sample) if sample is not None else chosen


def spread(cases: Sequence[Case], number: int) -> list[Case]:
    """So many of the cases, evenly spread: the same for the same cases."""
    if number >= len(cases):
        return list(cases)
    # Halves of the intervals, so that neither the first nor the last case is always among them.
    return [cases[int((place + 0.5) * len(cases) / number)] for place in range(number)]
