"""The verdict of a context of use: its thresholds against the checks of the layers, and what stands for credibility.

Three outcomes: met, not met, not tested. Not tested is what no check looked at, what has no number, what had no
power, and everything for which the context set no threshold.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import pandas as pd

from calibration.sim2real.context import LEVELS, ContextOfUse, Threshold

Outcome = Literal["met", "not met", "not tested"]
NO_THRESHOLD = "the context sets no threshold"


class Factor(NamedTuple):
    """One thing that the guidance asks for, and the checks that speak to it.

    Args:
        activity: Verification, calibration, validation, uncertainty or applicability.
        name: What is asked.
        checks: (layer, key) of the checks; a key that ends in ".*" stands for all that begin so.
        gap: What remains open however the checks come out.
    """

    activity: str
    name: str
    checks: tuple[tuple[str, str], ...]
    gap: str = ""


def _of(layer: str, *keys: str) -> tuple[tuple[str, str], ...]:
    return tuple((layer, key) for key in keys)


#: After the credibility factors of ASME V&V 40-2018 (verification, validation, applicability) and the categories of
#: evidence in the FDA's guidance of November 2023, Assessing the Credibility of Computational Modeling and Simulation
#: in Medical Device Submissions (calibration, plausibility, uncertainty). Wording and assignment of checks are ours.
FACTORS: tuple[Factor, ...] = (
    Factor(
        "verification", "software quality and code verification", (), "tests of the software are run apart from this"
    ),
    Factor("verification", "numerical error of the solver", _of("L0", "solver_tolerance")),
    Factor("verification", "derivatives", _of("L0", "gradient")),
    Factor("verification", "errors of use", (), "nobody else repeated the set-up"),
    Factor("calibration", "the best fit is found", _of("L0", "multi_start")),
    Factor("calibration", "the posterior is sampled", _of("L0", "r_hat", "ess_bulk", "divergent", "failed_draws")),
    Factor(
        "calibration",
        "the twin reproduces what it was calibrated to",
        _of("L1", "predictive_tests", "loo_pit", "loo_pit_ecdf", "loo_unreliable", "mmd", "c2st")
        + _of("L1", "sliced_wasserstein", "energy_train"),
        "agreement with training data is calibration, not validation",
    ),
    Factor("calibration", "data and prior knowledge agree", _of("L2", "prior_conflict")),
    Factor("validation", "the form of the model is plausible", _of("L2", "positive.*", "conserved.*", "rule.*")),
    Factor("validation", "inputs of the model agree with other sources", _of("L2", "published_inside")),
    Factor("validation", "quality of the measurements compared with", (), "readings are taken as they are"),
    Factor("validation", "predictions agree with held-out readings", _of("L4", "gap") + _of("L3", "crps", "elpd")),
    Factor("validation", "discrepancy between mechanism and data", _of("L6", "*")),
    Factor(
        "uncertainty", "intervals hold what they promise", _of("L3", "coverage_50", "coverage_90", "pit", "pit_ecdf")
    ),
    Factor("uncertainty", "sharpness of intervals", _of("L3", "interval_score") + _of("L1", "energy_held_out")),
    Factor("uncertainty", "sensitivity to inputs that are held fixed", (), "fixed parameters have no uncertainty here"),
    Factor("applicability", "held-out conditions near and far", _of("L4", "crps_ratio.*")),
    Factor("applicability", "synthetic data are of use on real ones", _of("L5", "*")),
    Factor("applicability", "conditions of use beyond those of the data", (), "no reading was taken there"),
)


@dataclass(frozen=True)
class Credibility:
    """What a context of use asked, and what an assessment has to say about it.

    Args:
        context: The context of use.
        judged: When it was judged [UTC].
        thresholds: One row per threshold and check: layer, key, asked, found, outcome, remark.
        layers: One row per layer: layer, outcome, met, not_met, not_tested (counts).
        factors: One row per factor of credibility: activity, factor, outcome, evidence.
    """

    context: ContextOfUse
    judged: datetime.datetime
    thresholds: pd.DataFrame
    layers: pd.DataFrame
    factors: pd.DataFrame

    @property
    def model_risk(self) -> str:
        """Influence and consequence as one grade; the scale is ours (V&V 40 leaves it to the user)."""
        levels = (self.context.model_influence.level, self.context.decision_consequence.level)
        return f"{sum(LEVELS.index(level) for level in levels) + 1} of {2 * len(LEVELS) - 1}"

    def __str__(self) -> str:
        groups = [(word, self.layers.loc[self.layers["outcome"] == word, "layer"]) for word in OUTCOMES]
        said = "; ".join(f"{word}: {', '.join(names)}" for word, names in groups if len(names))
        return f"For this context of use (model risk {self.model_risk}): {said}."


OUTCOMES: tuple[Outcome, ...] = ("met", "not met", "not tested")


def judge_context(context: ContextOfUse, layers: Mapping[str, pd.DataFrame]) -> Credibility:
    """Put the thresholds of a context of use on the checks of an assessment.

    Args:
        context: The context of use.
        layers: Tables of checks by layer; names begin with the code of the layer ("L1 statistical").
    """
    rows = [row for threshold in context.thresholds for row in _judge(threshold, layers)]
    thresholds = pd.DataFrame(rows, columns=["layer", "key", "asked", "found", "outcome", "remark"])
    codes = dict.fromkeys([*(name[:2] for name in layers), *thresholds["layer"]])
    by_layer = []
    for code in sorted(codes):
        mine = list(thresholds.loc[thresholds["layer"] == code, "outcome"])
        by_layer.append((code, _joint(mine), *(mine.count(word) for word in OUTCOMES)))
    factors = [_factor(factor, thresholds, layers) for factor in FACTORS]
    if context.applicability:
        factors.append(("applicability", "as the context says", "not tested", context.applicability))
    return Credibility(
        context,
        datetime.datetime.now(datetime.UTC),
        thresholds,
        pd.DataFrame(by_layer, columns=["layer", "outcome", "met", "not_met", "not_tested"]),
        pd.DataFrame(factors, columns=["activity", "factor", "outcome", "evidence"]),
    )


def _judge(threshold: Threshold, layers: Mapping[str, pd.DataFrame]) -> list[tuple[str, ...]]:
    found = _checks(layers, threshold.layer, threshold.key)
    if found.empty:
        remark = "this assessment has no such check"
        return [(threshold.layer, threshold.key, str(threshold), "", "not tested", _with(remark, threshold.why))]
    rows = []
    for check in found.to_dict("records"):
        outcome, remark = _outcome(threshold, check)
        shown = _shown(check)
        rows.append((threshold.layer, check["key"], str(threshold), shown, outcome, _with(remark, threshold.why)))
    return rows


def _outcome(threshold: Threshold, check: Mapping) -> tuple[Outcome, str]:
    """A threshold that is missed counts always; one that is met counts only where the check could have failed."""
    if threshold.at_least is None and threshold.at_most is None:
        if check["passed"] is None:
            return "not tested", "no power" if check["powerless"] else "the check does not judge by itself"
        return ("met" if check["passed"] else "not met"), ""
    value = float(check["value"])
    if math.isnan(value):
        return "not tested", "the check has no number here"
    low, high = threshold.at_least, threshold.at_most
    if (low is not None and value < low) or (high is not None and value > high):
        return "not met", ""
    return ("not tested", "within the threshold, but the check had no power") if check["powerless"] else ("met", "")


def _factor(
    factor: Factor, thresholds: pd.DataFrame, layers: Mapping[str, pd.DataFrame]
) -> tuple[str, str, Outcome, str]:
    """A factor is met only by thresholds on its checks, and not beside a check that fails by its own judgement."""
    asked, silent, failed = [], [], []
    for layer, key in factor.checks:
        keep = [a == layer and _fits(key, b) for a, b in zip(thresholds["layer"], thresholds["key"], strict=True)]
        mine = thresholds[keep]
        asked += list(mine[["key", "outcome"]].itertuples(index=False, name=None))
        known = set(mine["key"])
        for check in _checks(layers, layer, key).to_dict("records"):
            if check["key"] not in known:
                silent.append(check["key"])
                failed += [check["key"]] if check["passed"] is not None and not check["passed"] else []
    parts = [f"{key} {outcome}" for key, outcome in asked]
    if silent:
        parts.append(f"{NO_THRESHOLD} on {', '.join(silent)}")
    if failed:
        parts.append(f"failed by their own judgement: {', '.join(failed)}")
    if not factor.checks or not (asked or silent):
        parts.append("no check of this here")
    if factor.gap:
        parts.append(factor.gap)
    outcome = _joint([outcome for _, outcome in asked])
    outcome = "not tested" if outcome == "met" and failed else outcome
    return factor.activity, factor.name, outcome, "; ".join(parts)


def _joint(outcomes: Iterable[str]) -> Outcome:
    """One missed threshold fails all; one that was not tested, or none at all, leaves it open."""
    outcomes = list(outcomes)
    if "not met" in outcomes:
        return "not met"
    return "met" if outcomes and "not tested" not in outcomes else "not tested"


def _checks(layers: Mapping[str, pd.DataFrame], layer: str, key: str) -> pd.DataFrame:
    tables = [table for name, table in layers.items() if name[:2] == layer and len(table)]
    rows = [table[[_fits(key, each) for each in table["key"]]] for table in tables]
    columns = ["key", "result", "value", "passed", "powerless"]
    return pd.concat([row[columns] for row in rows]) if rows else pd.DataFrame(columns=columns)


def _fits(pattern: str, key: str) -> bool:
    return key == pattern or (pattern.endswith("*") and key.startswith(pattern[:-1]))


def _shown(check: Mapping) -> str:
    result = check["result"]
    return f"{result:.4g}" if isinstance(result, float) else str(result)


def _with(remark: str, why: str) -> str:
    return "; ".join(text for text in (remark, why) if text)
