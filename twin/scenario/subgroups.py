"""Who responds, and who only does with the treatment: rules over patients' parameters, believed if others confirm them.

Of each criterion in each arm it is asked who responds; and, in arms other than the reference, who gains: responds there
and does not in the reference. Rules are learned from one half of the patients, and all that is reported of them is
counted in the other half. A tree is reported only if it tells yes from no in that half, and a rule of it only if the
share of yes among its patients differs from that among the others there; both at 5 % after Holm's adjustment for all
that was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool
from scipy import stats

from twin.errors import ScenarioError, suggestion
from twin.scenario.compare import wilson
from twin.scenario.discrimination import Discrimination, discrimination, holm
from twin.scenario.patients import Finished
from twin.scenario.rules import Columns, Rule, learned_rules
from twin.simulation import check_count

if TYPE_CHECKING:
    import pandas as pd

PATIENTS = 20_000
ALPHA = 0.05
FEWEST = 50
"""Yeses, and noes, in each half, without which nothing is asked."""
SHUFFLES = 10
RESPONDS, GAINS = "responds", "gains"


@dataclass(frozen=True)
class Subgroups:
    """Who responds.

    Args:
        questions: A row per criterion, arm and question ("responds"; "gains": responds, and does not in the reference):
            number of ``patients`` whose answer is known, ``unknown`` ones, ``share`` of yes, and in the other half
            ``tested`` patients, ``auc`` of the tree with the ends of its 95 % interval, its ``skill`` (the share of the
            variance of yes and no that it explains), ``p`` (Holm), and what was ``found``: "rules", "nothing", or "too
            few".
        rules: A row per confirmed rule: ``rule``, and in the other half the ``patients`` that it holds for, their
            ``share`` of yes with its 95 % interval (Wilson), that of the ``others``, ``p`` (Holm); and ``learned``, the
            share in the half that it was learned from.
        importance: A row per question with rules and parameter: by how much the skill ``drops`` when its values are
            shuffled among the patients of the other half, and the standard deviation ``sd`` of that over shuffles.
        name: Of the scenario.
        reference: The arm that gains are counted from.
        patients: Number of patients that were looked at.
        of: Number of patients in the run.
        map_of: For pictures: parameters of the other half, and who answers yes, by criterion, arm and question.
    """

    questions: pd.DataFrame
    rules: pd.DataFrame
    importance: pd.DataFrame
    name: str
    reference: str
    patients: int
    of: int
    map_of: dict[tuple[str, str, str], tuple[dict[str, np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class _Answer:
    """What became of one question."""

    about: dict[str, Any]
    rules: list[Rule]
    tested: Discrimination | None
    columns: dict[str, np.ndarray]
    answers: Bool[np.ndarray, " patient"]


def find_subgroups(
    folder: str | Path,
    *,
    criteria: Sequence[str] | None = None,
    arms: Sequence[str] | None = None,
    reference: str | None = None,
    parameters: Sequence[str] | None = None,
    patients: int = PATIENTS,
    seed: int = 0,
) -> Subgroups:
    """Which parameters and covariates make a responder.

    Args:
        folder: The folder of a finished run.
        criteria: Names of criteria; default all.
        arms: Names of arms; default all.
        reference: The arm that gains are counted from; default that of the scenario.
        parameters: Parameters and covariates that rules may use, such as those that can be measured; default all.
        patients: Take at most so many patients, drawn without replacement.
        seed: Of that draw, and of the halves.

    Raises:
        ScenarioError: The run is not complete, has no criteria, or has not what is named.
    """
    check_count(patients, "patients")
    finished = Finished(folder, patients, seed)
    if not finished.criteria:
        found = "the scenario has no criterion of response"
        raise ScenarioError(found, where=str(folder), fix='give responders, such as short: "shedding < 4", and run it')
    _check_names(criteria, finished.criteria, "criterion")
    _check_names(arms, finished.arms, "arm")
    _check_names(None if reference is None else [reference], finished.arms, "arm")
    _check_names(parameters, tuple(finished.parameters), "parameter that differs between patients")
    columns = {n: v for n, v in finished.parameters.items() if parameters is None or n in parameters}
    reference = reference or finished.reference
    learning = np.random.default_rng([seed, 1]).permutation(len(finished.chosen)) < len(finished.chosen) // 2
    found = []
    for criterion in (name for name in finished.criteria if criteria is None or name in criteria):
        for about, answers in _questions(finished, criterion, arms, reference):
            found.append(_answered(about, columns, answers, learning, seed))
    return _reported(found, finished, reference, seed)


def _check_names(asked: Sequence[str] | None, known: Sequence[str], what: str) -> None:
    for name in asked or ():
        if name not in known:
            raise ScenarioError(f"there is no {what} {name!r}", where=what, fix=suggestion(name, known))


def _questions(
    finished: Finished, criterion: str, arms: Sequence[str] | None, reference: str
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Answers of all patients: 1, 0, or NaN where it is unknown."""
    base = finished.values(criterion, finished.arms.index(reference))
    for place, arm in enumerate(finished.arms):
        if arms is not None and arm not in arms:
            continue
        answers = finished.values(criterion, place)
        about = {"criterion": criterion, "formula": finished.formulas[criterion], "arm": arm}
        yield {**about, "question": RESPONDS}, answers
        gains = np.where(np.isnan(base), np.nan, np.where(np.isnan(answers), np.nan, (answers == 1) & (base == 0)))
        # Where nobody responds in the reference the two questions are one.
        if arm != reference and not np.array_equal(gains, answers, equal_nan=True):
            yield {**about, "question": GAINS}, gains


def _answered(about: dict[str, Any], columns: Columns, answers: np.ndarray, learning: np.ndarray, seed: int) -> _Answer:
    known = ~np.isnan(answers)
    halves = [known & learning, known & ~learning]
    yes = [int((answers[half] == 1).sum()) for half in halves]
    about = about | {
        "patients": int(known.sum()),
        "unknown": int((~known).sum()),
        "share": float(np.mean(answers[known])) if known.any() else np.nan,
        "tested": int(halves[1].sum()),
    }
    other = {name: values[halves[1]] for name, values in columns.items()}
    truth = answers[halves[1]] == 1
    if any(min(count, int(half.sum()) - count) < FEWEST for count, half in zip(yes, halves, strict=True)):
        return _Answer(about, [], None, other, truth)
    rules = learned_rules({n: v[halves[0]] for n, v in columns.items()}, answers[halves[0]] == 1, seed)
    return _Answer(about, rules, discrimination(scores_of(rules, other), truth), other, truth)


def scores_of(rules: Sequence[Rule], columns: Columns) -> np.ndarray:
    """For each patient the share of yes that was learned with the rule that holds for them."""
    return np.select([rule.holds(columns) for rule in rules], [rule.share for rule in rules])


def _reported(found: list[_Answer], finished: Finished, reference: str, seed: int) -> Subgroups:
    import pandas as pd

    asked = [item for item in found if item.tested is not None]
    adjusted = holm([item.tested.p for item in asked if item.tested is not None])
    p_of = {id(item): p for item, p in zip(asked, adjusted, strict=True)}
    questions, importance, maps = [], [], {}
    candidates: list[dict[str, Any]] = []
    for item in found:
        p = p_of.get(id(item), np.nan)
        believed = p < ALPHA and len(item.rules) > 1
        said = "too few" if item.tested is None else "rules" if believed else "nothing"
        told = np.nan if item.tested is None else skill(scores_of(item.rules, item.columns), item.answers)
        area_of = item.tested or Discrimination(np.nan, np.nan, np.nan, np.nan)
        areas = {"auc": area_of.auc, "auc_low": area_of.low, "auc_high": area_of.high}
        questions.append({**item.about, **areas, "skill": told, "p": p, "found": said})
        if believed:
            named = {name: item.about[name] for name in ("criterion", "arm", "question")}
            candidates += [named | _counted(rule, item) for rule in item.rules]
            importance += [named | row for row in _importance(item, seed)]
            maps[tuple(named.values())] = (item.columns, item.answers)
    for row, p in zip(candidates, holm([row["p"] for row in candidates]), strict=True):
        row["p"] = p
    return Subgroups(
        pd.DataFrame(questions),
        pd.DataFrame([row for row in candidates if row["p"] < ALPHA], columns=_RULE_COLUMNS),
        pd.DataFrame(importance, columns=["criterion", "arm", "question", "parameter", "drops", "sd"]),
        finished.name,
        reference,
        len(finished.chosen),
        finished.patients,
        maps,
    )


_RULE_COLUMNS = [
    *("criterion", "arm", "question", "rule", "patients", "share", "low", "high"),
    *("others", "others_low", "others_high", "p", "learned"),
]


def _counted(rule: Rule, item: _Answer) -> dict[str, Any]:
    """A rule in the half that it was not learned from."""
    inside = rule.holds(item.columns)
    counts = [(int(item.answers[some].sum()), int(some.sum())) for some in (inside, ~inside)]
    table = [[yes, of - yes] for yes, of in counts]
    own, others = (wilson(*each) for each in counts)
    return {
        "rule": rule.text,
        "patients": counts[0][1],
        **dict(zip(("share", "low", "high"), own, strict=True)),
        **dict(zip(("others", "others_low", "others_high"), others, strict=True)),
        "p": float(stats.fisher_exact(table).pvalue),
        "learned": rule.share,
    }


def skill(scores: np.ndarray, answers: np.ndarray) -> float:
    """The share of the variance of yes (1) and no (0) that the scores explain: Brier's skill score."""
    return float(1 - np.mean((scores - answers) ** 2) / answers.var())


def _importance(item: _Answer, seed: int) -> Iterator[dict[str, Any]]:
    """By how much shuffling each parameter among the patients lowers the skill, largest first.

    Of the AUC, which knows ranks only, two rules of nearly the same share would decide by the order in which they are.
    """
    rng = np.random.default_rng([seed, 2])
    whole = skill(scores_of(item.rules, item.columns), item.answers)
    used = {name for rule in item.rules for name in rule.bounds}
    rows = []
    for name, values in item.columns.items():
        drops = np.zeros(SHUFFLES)
        if name in used:
            shuffled = [{**item.columns, name: rng.permutation(values)} for _ in range(SHUFFLES)]
            drops = np.array([whole - skill(scores_of(item.rules, each), item.answers) for each in shuffled])
        rows.append({"parameter": name, "drops": float(drops.mean()), "sd": float(drops.std(ddof=1))})
    yield from sorted(rows, key=lambda row: -row["drops"])
