"""Identifiers of SBML to names of our formulas, and names that are still free."""

from __future__ import annotations

from collections.abc import Iterable

from twin.model.functions import RESERVED

_ANY_CASE = ("true", "false", "inf", "nan")


class Names:
    """Names of one model. An id that our grammar reserves, such as ``time`` or ``min``, gets an underscore.

    Args:
        ids: Every identifier that maths can use.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        ids = list(ids)
        self._taken = {identifier for identifier in ids if not _reserved(identifier)}
        self.of = {identifier: identifier for identifier in self._taken}
        for identifier in ids:
            if identifier not in self.of:
                self.of[identifier] = self.free(identifier)

    def free(self, wanted: str) -> str:
        """A name like `wanted` that nothing has yet; it is taken from now on."""
        while wanted in self._taken or _reserved(wanted):
            wanted += "_"
        self._taken.add(wanted)
        return wanted


def _reserved(identifier: str) -> bool:
    return identifier in RESERVED or identifier.lower() in _ANY_CASE
