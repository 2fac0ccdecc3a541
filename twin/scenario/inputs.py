"""What a cohort draws, sorted into groups that do not depend on each other, and samples for shares of variance.

Quantities that are correlated, or that one constraint names (through formulas, too), depend on each other: they are one
group. Groups are independent of each other: the normal scores of different groups are, and whether a subject fulfils
the constraints is a product over the groups. So a group is an input for which shares of variance are defined, even
where none is for its members. A constraint that excludes next to nobody makes no group; it is set aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import special
from scipy.stats import qmc

from twin.cohort.formulas import Columns, read_formula
from twin.cohort.sources import AbstractSource, Drawn
from twin.errors import ScenarioError

LEAST_PAIRS = 0.01
"""Share of pairs of candidates of which both must fulfil the constraints: below it drawing costs too much."""
LOOSE, PROBE = 1e-3, 2**14
"""A constraint that excludes at most this share of so many candidates is set aside. Distributions with and without it
then differ by no more than that share in the probability of anything."""
_HALF_STEP = 2.0**-31
"""SciPy's Sobol points are multiples of 2^-30, zero among them, whose normal score would be infinite."""

type Scores = Float[np.ndarray, "drawn subject"]


@dataclass(frozen=True)
class Group:
    """Inputs that depend on each other, and on no others; most often a single one.

    Args:
        members: Their names.
        reasons: Why they are together; empty for a single one.
    """

    members: tuple[str, ...]
    reasons: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its name in tables."""
        return " & ".join(self.members)


class Inputs:
    """The drawn quantities of a cohort.

    Args:
        source: Where its subjects come from.

    Raises:
        ScenarioError: They are rows of a table or draws of a posterior, or nothing is drawn.
    """

    def __init__(self, source: AbstractSource) -> None:
        if not isinstance(source, Drawn):
            raise ScenarioError(
                "the patients are rows of a table or of a posterior, whose columns depend on each other",
                where="cohort",
                expected="a cohort drawn from distributions, for which total indices are defined",
                fix="first-order indices are: run the scenario, then ask for the sensitivity of its folder",
            )
        if not source.drawn:
            raise ScenarioError("all patients are alike", where="cohort", expected="at least one distribution")
        self.source = source
        self.names = tuple(source.drawn)
        self.set_aside, self._binding = self._sorted_constraints()
        self.groups = self._groups()

    @property
    def dependent(self) -> tuple[Group, ...]:
        """Groups of more than one."""
        return tuple(group for group in self.groups if len(group.members) > 1)

    def pairs(self, samples: int, seed: int) -> tuple[Scores, Scores]:
        """Two independent samples of the cohort: the halves of the coordinates of one scrambled Sobol sequence.

        Of a constrained cohort, points are taken until so many fulfil the constraints in both halves.

        Args:
            samples: Number of subjects in each, a power of 2.
            seed: Seed of the scrambling.

        Raises:
            ScenarioError: Too few points fulfil the constraints.

        References:
            Saltelli et al. 2010, doi:10.1016/j.cpc.2009.09.018, section 3. Owen 1998, doi:10.1006/jcom.1998.0487.
        """
        count = len(self.names)
        sequence = qmc.Sobol(2 * count, scramble=True, rng=np.random.default_rng(seed))
        kept: list[np.ndarray] = []
        found = tried = 0
        while found < samples:
            if tried * LEAST_PAIRS >= samples:
                raise ScenarioError(
                    f"of {tried:,} pairs of candidates {found:,} fulfil the constraints",
                    where="cohort",
                    expected=f"at least {LEAST_PAIRS:.0%}",
                    fix="bring the distributions closer to what the constraints allow; or run the scenario, and ask "
                    "for the sensitivity of its folder: first-order indices",
                )
            scores = special.ndtri(sequence.random(samples).T + _HALF_STEP)
            if self._binding.any():
                scores = scores[:, self._fulfil(scores[:count]) & self._fulfil(scores[count:])]
            kept.append(scores)
            found, tried = found + scores.shape[1], tried + samples
        both = np.concatenate(kept, axis=1)[:, :samples]
        return both[:count], both[count:]

    def mixed(self, first: Scores, second: Scores, group: Group) -> Scores:
        """The first sample with a group's scores from the second."""
        rows = [self.names.index(name) for name in group.members]
        scores = first.copy()
        scores[rows] = second[rows]
        return scores

    def columns(self, scores: Scores) -> Columns:
        """The subjects with these scores."""
        return self.source.at(scores)

    def _fulfil(self, scores: Scores) -> np.ndarray:
        return self.source.constraints.hold(self.source.at(scores))[self._binding].all(axis=0)

    def _sorted_constraints(self) -> tuple[dict[str, int], np.ndarray]:
        """Constraints that are set aside, with the number of candidates that they exclude; and which are not."""
        texts = self.source.constraints.texts
        if not texts:
            return {}, np.zeros(0, dtype=bool)
        sequence = qmc.Sobol(len(self.names), scramble=True, rng=np.random.default_rng(0))
        candidates = self.source.at(special.ndtri(sequence.random(PROBE).T + _HALF_STEP))
        excluded = PROBE - self.source.constraints.hold(candidates).sum(axis=1)
        loose = excluded <= LOOSE * PROBE
        return {text: int(n) for text, n, is_loose in zip(texts, excluded, loose, strict=True) if is_loose}, ~loose

    def _groups(self) -> tuple[Group, ...]:
        source = self.source
        links = [
            (frozenset(pair), f"correlation of {pair[0]} and {pair[1]}")
            for pair, value in source.correlations.items()
            if value
        ]
        for text in (text for text in source.constraints.texts if text not in self.set_aside):
            links.append((_roots(text, source.spec, f"constraint {text!r}"), f"constraint {text}"))
        of = {name: {name} for name in self.names}
        for names, _ in links:
            together = set().union(*(of[name] for name in names)) if names else set()
            of |= dict.fromkeys(together, together)
        found: list[Group] = []
        for name in self.names:
            if any(name in group.members for group in found):
                continue
            members = tuple(other for other in self.names if other in of[name])
            reasons = tuple(why for names, why in links if len(names) > 1 and names <= of[name])
            found.append(Group(members, reasons if len(members) > 1 else ()))
        return tuple(found)


def _roots(text: str, spec: Mapping[str, object], where: str) -> frozenset[str]:
    """Drawn quantities that a formula of the cohort goes back to."""
    found: set[str] = set()
    for name in map(str, read_formula(text, spec, where).free_symbols):
        value = spec[name]
        if isinstance(value, str):
            found |= _roots(value, spec, f"cohort, {name!r}")
        elif not isinstance(value, (int, float)):
            found.add(name)
    return frozenset(found)
