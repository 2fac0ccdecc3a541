"""Learners of binding: does a beta chain bind an epitope? Linear models of k-mers, trees, neighbours by a distance."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import sparse
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from calibration.receptors.alphabet import CHARGE, HYDROPATHY, encode
from calibration.receptors.binding import loop
from calibration.receptors.distance import cdr3_distances, with_v

BINS = 4096
NEIGHBOURS = 5
PLACES = 6


class Score(Protocol):
    """Scores of receptors; larger is more likely to bind."""

    def __call__(self, receptors: pd.DataFrame, /) -> Float[np.ndarray, " receptor"]: ...


type Features = Callable[[pd.DataFrame], sparse.csr_matrix | np.ndarray]
type Learner = Callable[[pd.DataFrame, Bool[np.ndarray, " receptor"], np.ndarray | None], Score]


def _hashed(words_of: Callable[[str, str, str], Sequence[str]]) -> Features:
    """Counts of words in bins; a stable hash, because Python's own differs from process to process."""
    bin_of: dict[str, int] = {}

    def place(word: str) -> int:
        if word not in bin_of:
            bin_of[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "big") % BINS
        return bin_of[word]

    def features(receptors: pd.DataFrame) -> sparse.csr_matrix:
        rows, columns = [], []
        for row, (cdr3, v, j) in enumerate(zip(receptors["cdr3"], receptors["v"], receptors["j"], strict=True)):
            words = words_of(cdr3, v, j)
            rows += [row] * len(words)
            columns += [place(word) for word in words]
        return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(receptors), BINS))

    return features


def kmers(cdr3: str, k: int = 3) -> list[str]:
    """Words of k residues of the loop and its flanks."""
    inner = cdr3[3:-2]
    return [inner[i : i + k] for i in range(len(inner) - k + 1)]


def gapped(cdr3: str) -> list[str]:
    """3-mers, and 4-mers of which one inner residue is any."""
    fours = kmers(cdr3, 4)
    return [*kmers(cdr3), *(w[0] + "." + w[2:] for w in fours), *(w[:2] + "." + w[3] for w in fours)]


def _genes(v: str, j: str) -> list[str]:
    return [f"V={v}", f"V={v.split('-')[0]}", f"J={j}"]


def composition(receptors: pd.DataFrame) -> Float[np.ndarray, "receptor feature"]:
    """Length, counts of amino acids in the loop, hydropathy and charge at places from both ends of it."""
    rows = []
    for cdr3 in receptors["cdr3"]:
        inner = encode(loop(cdr3))
        counts = np.bincount(inner, minlength=20)
        places = [p for i in range(PLACES // 2) for p in (i, -1 - i)]
        at = [inner[p] if -len(inner) <= p < len(inner) else None for p in places]
        local = [x for a in at for x in ((0.0, 0.0) if a is None else (HYDROPATHY[a], CHARGE[a]))]
        rows.append([len(cdr3), *counts, *local])
    return np.array(rows, dtype=float)


def _fitted(features: Features, make: Callable[[], object]) -> Learner:
    def train(receptors: pd.DataFrame, binds: np.ndarray, weight: np.ndarray | None = None) -> Score:
        learner = make()
        learner.fit(features(receptors), binds, sample_weight=weight)
        return lambda asked: learner.predict_proba(features(asked))[:, 1]

    return train


def _neighbours(genes: bool) -> Learner:
    """Mean distance to the nearest binders minus that to the nearest others; weights are not used."""

    def train(receptors: pd.DataFrame, binds: np.ndarray, weight: np.ndarray | None = None) -> Score:
        def score(asked: pd.DataFrame) -> np.ndarray:
            distance = cdr3_distances(list(asked["cdr3"]), list(receptors["cdr3"]))
            if genes:
                distance = with_v(distance, list(asked["v"]), list(receptors["v"]))
            sides = []
            for side in (binds, ~binds):
                there = distance[:, side]
                k = min(NEIGHBOURS, there.shape[1])
                sides.append(np.partition(there, k - 1, axis=1)[:, :k].mean(axis=1))
            return sides[1] - sides[0]

        return score

    return train


def _logistic() -> LogisticRegression:
    return LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000)


LEARNERS: dict[str, Learner] = {
    "3-mers, logistic": _fitted(_hashed(lambda c, v, j: kmers(c)), _logistic),
    "gapped k-mers, logistic": _fitted(_hashed(lambda c, v, j: gapped(c)), _logistic),
    "k-mers and genes, logistic": _fitted(_hashed(lambda c, v, j: [*kmers(c), *_genes(v, j)]), _logistic),
    "genes, logistic": _fitted(_hashed(lambda c, v, j: _genes(v, j)), _logistic),
    "3-mers, naive Bayes": _fitted(_hashed(lambda c, v, j: kmers(c)), MultinomialNB),
    "2-mers, logistic": _fitted(_hashed(lambda c, v, j: kmers(c, 2)), _logistic),
    "gradient boosting": _fitted(
        composition,
        lambda: GradientBoostingClassifier(n_estimators=60, subsample=0.5, max_features="sqrt", random_state=0),
    ),
    "extra trees": _fitted(
        composition,
        lambda: ExtraTreesClassifier(100, min_samples_leaf=2, class_weight="balanced", random_state=0),
    ),
    "nearest CDR3": _neighbours(genes=False),
    "nearest CDR3 and V": _neighbours(genes=True),
}
"""Settings are fixed beforehand; nothing is tuned on test receptors."""
