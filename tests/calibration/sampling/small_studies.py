"""Studies of the library cut down to one subject, whose own parameters become shared ones."""

from __future__ import annotations

from dataclasses import replace

from calibration import Problem
from twin import library


def one_subject(study: str, subject: str | None = None) -> Problem:
    """The problem of one subject of a study; without a name, the study as it is with everything shared."""
    described = library.study(study)
    table = library.dataset(described.dataset).load()
    if subject is not None:
        table = table[table["subject"].astype(str) == subject].reset_index(drop=True)
    estimates = tuple(replace(estimate, per="shared", between=None) for estimate in described.estimates)
    return Problem(
        library.load_model(described.model),
        table,
        estimates,
        described.noise,
        experiments=described.experiments,
        fixed=described.fixed,
        name=f"{study}, subject {subject}" if subject else study,
    )
