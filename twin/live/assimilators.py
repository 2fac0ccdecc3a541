"""How a twin finds what it cannot do itself: inference, which lives in packages above this one.

A package offers ways of taking readings in through the entry-point group ``twin.assimilators``, and one of them draws
readings around predictions (``twin.readings``):

    [project.entry-points."twin.assimilators"]
    reweight = "mylab.reweight:REWEIGHT"         # an `Assimilator`
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twin.errors import ProblemError, suggestion

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray

    from twin.live.ensemble import Ensemble, Twin

ASSIMILATORS, READINGS = "twin.assimilators", "twin.readings"
AUTO = "reweight"
"""What "auto" stands for: mechanisms are deterministic given their parameters, where reweighting is exact."""


@dataclass(frozen=True)
class Assimilated:
    """What came of taking readings in.

    Args:
        ensemble: The new ensemble.
        facts: What to remember of how it was done, in JSON's types: ESS, evaluations, failures.
        remarks: What the user should know, a sentence each.
    """

    ensemble: Ensemble
    facts: Mapping[str, Any]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assimilator:
    """A way of taking readings in.

    Args:
        name: What one gives as ``method``.
        summary: What it does, in one line.
        assimilate: From a twin, checked readings in the model's units and a seed (and options of its own).
    """

    name: str
    summary: str
    assimilate: Callable[..., Assimilated]


class Scatter:
    """Draws readings around what a twin predicts; the signature that an entry point of ``twin.readings`` has."""

    def __call__(
        self, twin: Twin, series: int, times: Float[ndarray, " time"], experiment: Any, seed: int
    ) -> dict[str, Float[ndarray, "draw time"]]:
        """New readings of each observable, one per particle and time."""
        raise NotImplementedError


def assimilator(method: str) -> Assimilator:
    """The way of that name.

    Raises:
        ProblemError: no installed package offers it.
    """
    found = {entry.name: entry for entry in importlib.metadata.entry_points(group=ASSIMILATORS)}
    name = AUTO if method == "auto" else method
    if name not in found:
        raise ProblemError(
            f"the method is {method!r}",
            where="update",
            expected=", ".join(["auto", *sorted(found)]),
            fix=suggestion(name, found) if found else "install cytotwin again: its entry points are missing",
        )
    made = found[name].load()
    if not isinstance(made, Assimilator):
        raise ProblemError(
            f"it is a {type(made).__name__}", where=f"entry point {found[name].value!r}", expected="an Assimilator"
        )
    return made


def check_options(way: Assimilator, options: Mapping[str, Any]) -> None:
    """See that a way knows the options it is given.

    Raises:
        ProblemError: it does not.
    """
    known = inspect.signature(way.assimilate).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in known):
        return
    names = [each.name for each in known if each.kind is each.KEYWORD_ONLY]
    for name in options:
        if name not in names:
            raise ProblemError(
                f"the option {name!r} is given",
                where=f"update by {way.name}",
                expected=", ".join(names) or "no options",
                fix=suggestion(name, names) if names else None,
            )


def scatter() -> Scatter:
    """What draws readings around predictions.

    Raises:
        ProblemError: no installed package offers it.
    """
    for entry in importlib.metadata.entry_points(group=READINGS):
        return entry.load()
    raise ProblemError(
        "no installed package knows how readings scatter",
        where=f"entry points {READINGS!r}",
        fix="install cytotwin again, or ask without noise",
    )
