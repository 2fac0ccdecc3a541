"""Antimony, a language in which SBML models are typed, to a `twin.Model`."""

from __future__ import annotations

import re

from twin.errors import LibraryError, ModelError
from twin.exchange.sbml.reading import read_sbml
from twin.model.model import Model

_IMPORT = re.compile(r"\bimport\s*\"")
"""The library would read any path named there."""

MAX_LENGTH = 10_000_000
"""Longest text accepted, in characters."""


def read_antimony(text: str) -> Model:
    """Reads a model in Antimony; the last model of the text if it has several.

    Args:
        text: The model, for instance ``"A -> B; k*A; A = 1; k = 0.1"``.

    Raises:
        LibraryError: The package ``antimony`` is not installed.
        ModelError: The text is not Antimony, or what it says makes no sense.
        UnsupportedModelError: It uses a construct that is not simulated; see `read_sbml`.

    References:
        Smith et al. 2009, doi:10.1093/bioinformatics/btp401.

    Example:
        >>> read_antimony("A -> B; k*A; A = 1; B = 0; k = 0.1").state_names  # doctest: +SKIP
        ('A', 'B')
    """
    if not isinstance(text, str):
        raise ModelError(f"the model is a {type(text).__name__}", where="read_antimony", expected="text in Antimony")
    if _IMPORT.search(text):
        raise ModelError(
            "the text imports another file",
            where="Antimony text",
            expected="a model that stands by itself",
            fix="put the text of the other file in its place",
        )
    if len(text) > MAX_LENGTH:
        raise ModelError(f"the text has {len(text):,} characters", where="read_antimony", expected=f"{MAX_LENGTH:,}")
    try:
        import antimony
    except ImportError:
        raise LibraryError(
            "the package 'antimony' is not installed",
            where="read_antimony",
            expected="the extra 'antimony'",
            fix="pip install 'cytotwin[antimony]'",
        ) from None
    # What earlier calls loaded stays in the library otherwise.
    antimony.clearPreviousLoads()
    antimony.freeAll()
    if antimony.loadAntimonyString(text) < 0:
        raise ModelError(
            " ".join((antimony.getLastError() or "it cannot be read").split()),
            where="Antimony text",
            expected="a model in Antimony",
        )
    sbml = antimony.getSBMLString(antimony.getMainModuleName())
    if not sbml:
        raise ModelError("the text holds no model", where="Antimony text", expected="a model in Antimony")
    return read_sbml(sbml)
