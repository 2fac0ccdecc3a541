"""What can be wrong with a PEtab problem: a file that breaks the format, or a part of it that we do not compute."""

from __future__ import annotations

from twin.errors import ProblemError


class PetabError(ProblemError):
    """A PEtab problem whose files break the format or do not fit together."""


class UnsupportedPetabError(PetabError, NotImplementedError):
    """A part of PEtab that is understood but not computed."""
