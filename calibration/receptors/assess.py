"""`assess_learners`: learners on real receptors, what synthetic ones add, whether learners rank alike on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calibration.receptors.learners import LEARNERS
from calibration.receptors.study import (
    Fold,
    background_chains,
    folds,
    from_real,
    from_tuned,
    from_untuned,
    measure,
    scores_of_learners,
    synthetic_folds,
)
from calibration.synthetic.help import interval
from calibration.synthetic.ranking import Agreement, agreement
from twin.figure import INK, blank_figure, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNER = "k-mers and genes, logistic"
"""The learner of the ways to train, chosen before any was tested."""
KS = (2, 5, 10, 20, 50)
COMPARED = (("mixed", "real"), ("weighted", "real"), ("tuned", "real"))


@dataclass(frozen=True)
class ReceptorAssessment:
    """What was found.

    Args:
        epitopes: AUROC and average precision per learner and epitope, trained on all real binders; share of binders in
            the test, which is the average precision of a guess.
        ways: Mean AUROC over epitopes by way of training and number k of real binders, with 95 % intervals (bootstrap
            over epitopes).
        differences: AUROC of a way minus that of "real" with the same k, paired by epitope.
        ranks: Mean AUROC per learner on synthetic and on real receptors.
        agreement: Rank correlation of the learners.
        drop: AUROC on synthetic binders minus that on real ones, mean over learners.
    """

    epitopes: pd.DataFrame
    ways: pd.DataFrame
    differences: pd.DataFrame
    ranks: pd.DataFrame
    agreement: Agreement
    drop: float

    def plot(self) -> Figure:
        """AUROC against the number of real binders, by way of training."""
        figure = blank_figure(6.4, 4.2)
        panel = figure.add_subplot()
        looks = {"real": ("#333333", "o"), "tuned": ("#009e73", "^"), "mixed": ("#d55e00", "s"), "weighted": (
            "#1f5f8b", "D")}  # fmt: skip
        for place, (way, (colour, marker)) in enumerate(looks.items()):
            part = self.ways[self.ways["way"] == way]
            # Beside each other, so that intervals do not hide one another.
            at = part["k"] * 1.05 ** (place - 1.5)
            away = [part["auroc"] - part["low"], part["high"] - part["auroc"]]
            panel.errorbar(
                at, part["auroc"], away, fmt=f"{marker}-", color=colour, markersize=5, linewidth=1.2, elinewidth=0.8,
                label=way,
            )  # fmt: skip
        none = self.ways[self.ways["way"] == "untuned"]["auroc"].iloc[0]
        panel.axhline(float(none), color="#8a8a8a", linestyle="--", label="untuned (none)")
        panel.axhline(0.5, color=INK, linewidth=0.8)
        panel.set_xscale("log")
        panel.set_xticks(list(KS), [str(k) for k in KS])
        panel.minorticks_off()
        panel.set_xlabel("real binders trained on", fontsize=9, color=INK)
        panel.set_ylabel("AUROC on held-out studies", fontsize=9, color=INK)
        panel.legend(frameon=False, fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        dress(panel)
        return figure

    def __str__(self) -> str:
        mean = self.epitopes.groupby("learner", sort=False)[["auroc", "average_precision", "share"]].mean()
        count = self.epitopes["epitope"].nunique()
        numbers = {"index": False, "float_format": "{:.3f}".format}
        return "\n\n".join(
            [
                f"Trained on all real binders, studies held out (means over {count} epitopes)\n"
                + mean.to_string(float_format="{:.3f}".format),
                f"{LEARNER}: by epitope\n"
                + self.epitopes[self.epitopes["learner"] == LEARNER].drop(columns="learner").to_string(**numbers),
                f"{LEARNER}: AUROC by way of training\n" + self.ways.to_string(**numbers),
                "Differences in AUROC, paired by epitope\n" + self.differences.to_string(**numbers),
                f"Synthetic minus real AUROC, mean over learners: {self.drop:.3f}\n{self.agreement}\n"
                + self.ranks.to_string(float_format="{:.3f}".format),
            ]
        )


def assess_learners(
    receptors: pd.DataFrame,
    *,
    most: int = 200,
    model: str = "coarse",
    seed: int = 0,
    ks: Sequence[int] = KS,
    names: Sequence[str] | None = None,
    background: int = 4000,
) -> ReceptorAssessment:
    """Test learners on real receptors from studies they have not seen.

    Args:
        receptors: From `read_receptors`.
        most: Receptors per epitope, at most.
        model: Of recombination: "coarse" or "olga".
        seed: Seed of choices, chains and splits.
        ks: Numbers of real binders.
        names: Learners; default all of `LEARNERS`.
        background: Synthetic chains made.

    Raises:
        MeasurementError: no epitope has enough receptors on both sides of a split.
    """
    names = list(names or LEARNERS)
    real = folds(receptors, most=most, seed=seed)
    rows = []
    for name in names:
        for fold in real:
            rows.append((name, fold.epitope, *measure(from_real(name, fold), fold), fold.binds.mean()))
    columns = ["learner", "epitope", "auroc", "average_precision", "share"]
    by_epitope = pd.DataFrame(rows, columns=columns).groupby(["learner", "epitope"], sort=False).mean().reset_index()
    found = _ways(real, ks, background_chains(background, seed, model), seed)
    ways, differences = _tables(found, seed)
    on_real = {name: part["auroc"].to_numpy() for name, part in by_epitope.groupby("learner", sort=False)}
    on_synthetic = scores_of_learners(synthetic_folds(seed=seed, size=most, model=model), names)
    agreed = agreement(on_synthetic, on_real, seed=seed, score="AUROC")
    drop = float((agreed.scores["synthetic"] - agreed.scores["real"]).mean())
    return ReceptorAssessment(by_epitope, ways, differences, agreed.scores, agreed, drop)


def _ways(
    real: Sequence[Fold], ks: Sequence[int], background: pd.DataFrame, seed: int
) -> dict[tuple[str, int], dict[str, list[float]]]:
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    for fold in real:
        results = {("untuned", 0): from_untuned(LEARNER, fold, background, seed)}
        for k in ks:
            results[("real", k)] = from_real(LEARNER, fold, k, seed)
            for way in ("tuned", "mixed", "weighted"):
                results[(way, k)] = from_tuned(LEARNER, fold, background, k, way, seed)
        for key, score in results.items():
            found.setdefault(key, {}).setdefault(fold.epitope, []).append(measure(score, fold)[0])
    return found


def _tables(found: dict[tuple[str, int], dict[str, list[float]]], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    mean = {key: np.array([np.mean(each) for each in by.values()]) for key, by in found.items()}
    ways = [(*key, float(value.mean()), *interval(value, seed)) for key, value in mean.items()]
    rows = []
    for one, two in COMPARED:
        for k in sorted({k for way, k in mean if way == two}):
            paired = mean[(one, k)] - mean[(two, k)]
            rows.append((f"{one} - {two}", k, float(paired.mean()), *interval(paired, seed)))
    return (
        pd.DataFrame(ways, columns=["way", "k", "auroc", "low", "high"]).sort_values(["way", "k"], ignore_index=True),
        pd.DataFrame(rows, columns=["difference", "k", "auroc", "low", "high"]),
    )
