"""Which receptors bind an antigen, by rule: motifs, position weight matrices with a gap, contact energies.

Rules look at the loop: CDR3 without the residues that V and J genes fix (`STEM` at the beginning, `TAIL` at the end).
Each gives a score; the strongest share of unselected receptors counts as binding, so that precursors are as rare as
asked for. One receptor may bind several antigens: rules are scored independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float

from calibration.receptors.alphabet import AMINO_ACIDS, CHARGE, HYDROPATHY, INDEX, encode
from twin.errors import ProblemError

STEM, TAIL = 4, 3
PSEUDO = 0.5
"""Pseudocount of position weight matrices, per amino acid."""
BELOW = -20.0
"""Score of a loop that is too short for a rule."""


def loop(cdr3: str) -> str:
    """The part of a CDR3 that may touch the peptide."""
    return cdr3[STEM : len(cdr3) - TAIL]


class Rule(Protocol):
    """What binds an antigen."""

    def score(self, cdr3: Sequence[str]) -> Float[np.ndarray, " receptor"]:
        """Larger is stronger."""
        ...


@dataclass(frozen=True)
class Motif:
    """Residues in a row somewhere in the loop; "." is any.

    The score is the largest share of residues that match.
    """

    text: str

    def __post_init__(self) -> None:
        unknown = set(self.text) - set(AMINO_ACIDS) - {"."}
        if unknown or not set(self.text) - {"."}:
            raise ProblemError(f"the motif is {self.text!r}", where="Motif", expected="amino acids and dots")

    def score(self, cdr3: Sequence[str]) -> Float[np.ndarray, " receptor"]:
        """Share of residues that match at the best place."""
        fixed = sum(letter != "." for letter in self.text)

        def best(text: str) -> float:
            places = range(len(text) - len(self.text) + 1)
            hits = [sum(a == b for a, b in zip(text[i:], self.text, strict=False)) for i in places]
            return max(hits, default=0) / fixed

        return np.array([best(loop(each)) for each in cdr3])


@dataclass(frozen=True)
class WeightMatrix:
    """Log-odds per position, against a background; one residue may be skipped at a cost (a bulge).

    Args:
        weights: Log-odds [nat].
        gap: Cost of the skipped residue.
    """

    weights: Float[np.ndarray, "position 20"]
    gap: float = 2.0

    @classmethod
    def from_loops(
        cls, loops: Sequence[str], width: int, background: Float[np.ndarray, " 20"], gap: float = 2.0
    ) -> WeightMatrix:
        """The matrix of loops, centred, with a pseudocount per amino acid that follows the background."""
        counts = np.zeros((width, 20))
        for text in loops:
            start = (len(text) - width) // 2
            for position in range(width):
                if 0 <= start + position < len(text):
                    counts[position, INDEX[text[start + position]]] += 1
        smooth = counts + 20 * PSEUDO * background
        return cls(np.log(smooth / smooth.sum(axis=1, keepdims=True) / background), gap)

    def score(self, cdr3: Sequence[str]) -> Float[np.ndarray, " receptor"]:
        """Best sum of log-odds over places and skips."""
        return np.array([self._best(encode(loop(each))) for each in cdr3])

    def _best(self, residues: np.ndarray) -> float:
        width = len(self.weights)
        position = np.arange(width)
        best = BELOW
        for start in range(len(residues) - width + 1):
            best = max(best, float(self.weights[position, residues[start : start + width]].sum()))
            if start + width < len(residues):
                skipped = [
                    self.weights[position, residues[start + position + (position >= cut)]].sum()
                    for cut in range(1, width)
                ]
                best = max(best, float(max(skipped)) - self.gap)
        return best


@dataclass(frozen=True)
class ContactEnergy:
    """Contacts of the loop with the middle of a peptide: unlike charges and greasy pairs attract.

    Coarse on purpose: no structure, one register per place. Energies are products of charges and of scaled
    hydropathies.
    """

    peptide: str
    middle: tuple[int, int] = (3, 8)
    energies: Float[np.ndarray, "20 20"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if set(self.peptide) - set(AMINO_ACIDS) or len(self.peptide) < self.middle[1]:
            raise ProblemError(
                f"the peptide is {self.peptide!r}", where="ContactEnergy", expected="at least 8 amino acids"
            )
        greasy = HYDROPATHY / 4.5
        object.__setattr__(self, "energies", np.outer(greasy, greasy) - 2.0 * np.outer(CHARGE, CHARGE))

    def score(self, cdr3: Sequence[str]) -> Float[np.ndarray, " receptor"]:
        """Attraction at the best place, dimensionless."""
        core = encode(self.peptide[slice(*self.middle)])

        def best(residues: np.ndarray) -> float:
            # The loop runs against the peptide or along it; both are tried.
            places = range(len(residues) - len(core) + 1)
            found = [
                self.energies[residues[i : i + len(core)], way].sum() for i in places for way in (core, core[::-1])
            ]
            return float(max(found, default=BELOW))

        return np.array([best(encode(loop(each))) for each in cdr3])


def implant(
    cdr3: Sequence[str], weights: WeightMatrix, background: Float[np.ndarray, " 20"], rng: np.random.Generator
) -> list[str]:
    """CDR3s whose middle is drawn anew from a weight matrix; those with too short a loop stay as they are."""
    chances = np.exp(weights.weights) * background
    chances /= chances.sum(axis=1, keepdims=True)
    width = len(chances)
    out = []
    for text in cdr3:
        start = STEM + (len(text) - STEM - TAIL - width) // 2
        if len(text) - STEM - TAIL < width:
            out.append(text)
            continue
        middle = "".join(AMINO_ACIDS[rng.choice(20, p=row)] for row in chances)
        out.append(text[:start] + middle + text[start + width :])
    return out


def frequencies(cdr3: Sequence[str]) -> Float[np.ndarray, " 20"]:
    """Share of each amino acid in loops, with one pseudocount each."""
    counts = np.ones(20)
    for text in cdr3:
        np.add.at(counts, encode(loop(text)), 1)
    return counts / counts.sum()
