"""Every error a user can meet: what was found, where, what was expected, and what to do.

    TwinError
    ├── ModelError                a mechanism that cannot be built
    │   ├── FormulaError          text that is not a formula
    │   ├── UnknownSymbolError    a name nobody declared
    │   ├── DuplicateNameError    a name declared twice
    │   ├── CyclicAssignmentError assignments that define each other
    │   └── UnsupportedModelError a construct we do not simulate
    ├── UnitError                 units that do not fit
    ├── ExperimentError           doses, phases or times that make no sense
    ├── MeasurementError          a table of readings that cannot be used
    ├── ProblemError              a calibration problem that is not well posed
    ├── ScenarioError             a scenario that makes no sense, or a store of another one
    ├── SimulationError           an integration that did not reach its end
    ├── StoreError                results that cannot be written or read
    └── LibraryError              a model or dataset that is not there

Each is also the built-in exception a Python programmer would expect (`ValueError`, `KeyError`,
`RuntimeError`), so existing handlers keep working.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TwinError(Exception):
    """Root of all errors raised on purpose by cytotwin.

    Args:
        found: What was found, in one sentence.
        where: Where it was found: a file, line, row, column or identifier.
        expected: What would have been accepted.
        fix: What the user can do about it.
    """

    def __init__(
        self,
        found: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.found, self.where, self.expected, self.fix = found, where, expected, fix
        lines = [f"{where}: {found}" if where else found]
        if expected:
            lines.append(f"  expected: {expected}")
        if fix:
            lines.append(f"  to fix:   {fix}")
        super().__init__("\n".join(lines))

    def __str__(self) -> str:
        # KeyError would otherwise show the repr of the message.
        return str(self.args[0])


class ModelError(TwinError, ValueError):
    """A mechanism that cannot be built as described."""


class FormulaError(ModelError):
    """Text that is not a formula of the supported grammar."""


class UnknownSymbolError(ModelError):
    """A formula uses a name that the model does not declare."""


class DuplicateNameError(ModelError):
    """Two parts of a model share a name."""


class CyclicAssignmentError(ModelError):
    """Assignments that define each other."""


class UnsupportedModelError(ModelError, NotImplementedError):
    """A construct that is understood but not simulated."""


class UnitError(TwinError, ValueError):
    """Units that are unknown or do not fit together."""


class ExperimentError(TwinError, ValueError):
    """A dose, phase, change or sample time that makes no sense."""


class MeasurementError(TwinError, ValueError):
    """A table of readings that cannot be used."""


class ProblemError(TwinError, ValueError):
    """A calibration problem that is not well posed."""


class ScenarioError(TwinError, ValueError):
    """A scenario that makes no sense, or a store that another scenario wrote."""


class SimulationError(TwinError, RuntimeError):
    """An integration that did not reach its end."""


class StoreError(TwinError, OSError):
    """Results that cannot be written or read: a full disk, a folder without rights, a damaged file."""


class LibraryError(TwinError, KeyError):
    """A model, dataset or study that no installed package offers."""


class TwinWarning(UserWarning):
    """Something that works but that the user should know."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, or None when nothing is close."""
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """A phrase for error messages: the nearest known name, or what there is."""
    known = sorted(known)
    if (match := nearest(name, known)) is not None:
        return f"did you mean {match!r}?"
    if not known:
        return "none is declared"
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"use one of: {listed}"
