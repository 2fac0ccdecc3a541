"""How well learners find the binders of an epitope in a study that they have not seen: from real, synthetic, mixed
receptors.

An epitope's question is binary: its receptors against those of the other epitopes (nobody measured that these do not
bind it; few do). Studies are held out whole, so that nobody's repertoire is on both sides, and receptors that occur in
training do not count in the test.

Ways to train, with k real binders of the epitope: "real"; "untuned": synthetic chains that the contact-energy rule of
the peptide selects, which needs no receptor; "tuned": synthetic chains whose loops are drawn from a weight matrix of
the k, with their V genes; "mixed": the k and as many tuned ones again, up to `SYNTHETIC`; "weighted": mixed, with the
synthetic ones weighted by how real their features look. The others are real receptors of other epitopes in all ways but
"untuned" and "tuned", where they are synthetic chains without a rule, so that nothing real is needed there but the k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GroupKFold

from calibration.receptors.binding import ContactEnergy, WeightMatrix, frequencies, implant, loop
from calibration.receptors.learners import LEARNERS, Score, composition
from calibration.receptors.recombination import recombine
from calibration.synthetic.adapt import importance_weights
from twin.errors import MeasurementError

SYNTHETIC = 400
"""Synthetic binders, at most; and synthetic others."""
WIDTH = 6
SELECTED = 0.05
LEAST = 10
"""An epitope needs this many binders on both sides of a split."""


@dataclass(frozen=True)
class Fold:
    """An epitope and a split by study.

    Args:
        epitope: The peptide.
        binders: Training receptors of the epitope.
        others: Training receptors of other epitopes.
        test: Test receptors.
        binds: Which of them bind.
    """

    epitope: str
    binders: pd.DataFrame
    others: pd.DataFrame
    test: pd.DataFrame
    binds: Bool[np.ndarray, " test"]


def folds(
    receptors: pd.DataFrame, *, parts: int = 3, most: int = 400, seed: int = 0, epitopes: Sequence[str] | None = None
) -> list[Fold]:
    """Folds by study; epitopes are capped so that two do not drown the others.

    Args:
        receptors: From `read_receptors`.
        parts: Parts that studies are dealt into; each is held out once.
        most: Receptors per epitope, at most.
        seed: Seed of the choice among more.
        epitopes: Which; default all.

    Raises:
        MeasurementError: no epitope has enough receptors on both sides of a split.
    """
    shuffled = receptors.sample(frac=1.0, random_state=seed)
    table = shuffled.groupby("epitope", sort=False).head(most).sort_index().reset_index(drop=True)
    if len(set(table["study"])) < parts:
        raise MeasurementError(
            f"there are {len(set(table['study']))} studies", where="receptors", expected=f"at least {parts}"
        )
    found = []
    for train, test in GroupKFold(parts, shuffle=True, random_state=seed).split(table, groups=table["study"]):
        taught, asked = table.iloc[train], table.iloc[test]
        asked = asked[~asked["cdr3"].isin(set(taught["cdr3"]))].drop_duplicates("cdr3")
        for epitope in epitopes or sorted(set(table["epitope"])):
            binds = (asked["epitope"] == epitope).to_numpy()
            is_binder = taught["epitope"] == epitope
            if min(binds.sum(), (~binds).sum(), is_binder.sum(), (~is_binder).sum()) >= LEAST:
                found.append(Fold(epitope, taught[is_binder], taught[~is_binder], asked, binds))
    if not found:
        raise MeasurementError("no epitope has enough receptors on both sides of a split", where="receptors")
    return found


def measure(score: Score, fold: Fold) -> tuple[float, float]:
    """Area under the ROC curve, and average precision, on the held-out studies."""
    values = score(fold.test)
    return float(roc_auc_score(fold.binds, values)), float(average_precision_score(fold.binds, values))


def from_real(learner: str, fold: Fold, k: int | None = None, seed: int = 0) -> Score:
    """Train on k real binders (all by default) and the real receptors of other epitopes."""
    few = _few(fold, k, seed)
    return _train(learner, few, fold.others)


def from_untuned(learner: str, fold: Fold, background: pd.DataFrame, seed: int = 0) -> Score:
    """Train on synthetic chains that the contact-energy rule of the peptide selects, against the rest of them."""
    scores = ContactEnergy(fold.epitope).score(list(background["cdr3"]))
    order = np.argsort(-scores, kind="stable")
    count = min(SYNTHETIC, max(1, int(SELECTED * len(background))))
    rest = np.random.default_rng(seed).choice(order[count:], size=min(SYNTHETIC, len(order) - count), replace=False)
    return _train(learner, background.iloc[order[:count]], background.iloc[rest])


def tuned_binders(few: pd.DataFrame, background: pd.DataFrame, count: int, seed: int = 0) -> pd.DataFrame:
    """Synthetic binders after k real ones: their genes and lengths, loops drawn from a weight matrix of theirs."""
    rng = np.random.default_rng(seed)
    share = frequencies(list(background["cdr3"]))
    matrix = WeightMatrix.from_loops([loop(each) for each in few["cdr3"]], WIDTH, share)
    like = few.iloc[rng.integers(len(few), size=count)]
    lengths = background["cdr3"].str.len()
    chosen = []
    for length in like["cdr3"].str.len():
        near = np.flatnonzero(np.abs(lengths - length) == np.abs(lengths - length).min())
        chosen.append(int(near[rng.integers(len(near))]))
    chains = background.iloc[chosen].reset_index(drop=True)
    chains["cdr3"] = implant(list(chains["cdr3"]), matrix, share, rng)
    chains["v"], chains["j"] = like["v"].to_numpy(), like["j"].to_numpy()
    return chains


def from_tuned(learner: str, fold: Fold, background: pd.DataFrame, k: int, way: str = "tuned", seed: int = 0) -> Score:
    """Train on synthetic binders after k real ones ("tuned"), or beside them ("mixed", "weighted")."""
    few = _few(fold, k, seed)
    made = tuned_binders(few, background, SYNTHETIC if way == "tuned" else min(SYNTHETIC, max(k, 50)), seed)
    if way == "tuned":
        rest = background.sample(min(SYNTHETIC, len(background)), random_state=seed)
        return _train(learner, made, rest)
    weight = None
    if way == "weighted":
        real = composition(pd.concat([few, fold.others]))
        weight = np.concatenate(
            [np.ones(len(few)), importance_weights(composition(made), real)[1], np.ones(len(fold.others))]
        )
    return _train(learner, pd.concat([few, made]), fold.others, weight)


def background_chains(count: int = 4000, seed: int = 0, model: str = "coarse") -> pd.DataFrame:
    """Synthetic chains with the columns of receptors."""
    made = recombine(count, seed, model)
    return pd.DataFrame({"cdr3": made["junction_aa"], "v": made["v_call"], "j": made["j_call"]})


def synthetic_folds(count: int = 10, size: int = 300, seed: int = 0, model: str = "coarse") -> list[Fold]:
    """Folds with a known truth: binders by contact energy or by an implanted weight matrix, alternately.

    Weight matrices are of random motifs; peptides are random. Binders and others are as many as in a real question of
    nine epitopes.
    """
    rng = np.random.default_rng(seed)
    chains = background_chains(8 * size, seed, model)
    share = frequencies(list(chains["cdr3"]))
    letters = np.array(list("ARNDCQEGHILKMFPSTWYV"))
    found = []
    for index in range(count):
        others = chains.sample(frac=1.0, random_state=seed + index).reset_index(drop=True)
        peptide = "".join(rng.choice(letters, size=9))
        if index % 2:
            order = np.argsort(-ContactEnergy(peptide).score(list(others["cdr3"])), kind="stable")
            binders, others = others.iloc[order[:size]], others.iloc[order[size:]]
        else:
            motif = ["".join(rng.choice(letters, p=share, size=WIDTH))] * 6
            matrix = WeightMatrix.from_loops(motif, WIDTH, share)
            binders, others = others.iloc[:size].copy(), others.iloc[size:]
            binders["cdr3"] = implant(list(binders["cdr3"]), matrix, share, rng)
        binders, others = (part.sample(frac=1.0, random_state=index) for part in (binders, others))
        half, rest = size // 2, 4 * size
        test = pd.concat([binders.iloc[half:], others.iloc[rest:]])
        binds = np.arange(len(test)) < len(binders) - half
        found.append(Fold(f"synthetic {index}", binders.iloc[:half], others.iloc[:rest], test, binds))
    return found


def scores_of_learners(
    asked: Sequence[Fold], names: Sequence[str] | None = None
) -> Mapping[str, Float[np.ndarray, " epitope"]]:
    """AUROC of every learner trained on all binders of a fold; folds of one epitope are averaged."""
    epitopes = list(dict.fromkeys(fold.epitope for fold in asked))
    found = {}
    for name in names or LEARNERS:
        by_epitope: dict[str, list[float]] = {epitope: [] for epitope in epitopes}
        for fold in asked:
            by_epitope[fold.epitope].append(measure(from_real(name, fold), fold)[0])
        found[name] = np.array([np.mean(each) for each in by_epitope.values()])
    return found


def _few(fold: Fold, k: int | None, seed: int) -> pd.DataFrame:
    if k is None or k >= len(fold.binders):
        return fold.binders
    return fold.binders.sample(k, random_state=seed)


def _train(learner: str, binders: pd.DataFrame, others: pd.DataFrame, weight: np.ndarray | None = None) -> Score:
    receptors = pd.concat([binders[["cdr3", "v", "j"]], others[["cdr3", "v", "j"]]], ignore_index=True)
    binds = np.arange(len(receptors)) < len(binders)
    return LEARNERS[learner](receptors, binds, weight)
