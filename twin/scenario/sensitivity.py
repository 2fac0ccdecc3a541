"""Which of the quantities that differ between patients decide an endpoint: shares of its variance over the cohort.

From a scenario, by runs of a design (`sensitivity_of`): first-order and total indices of each group of inputs that is
independent of the others. From a store (`sensitivity_of_store`), or for the members of a group, by what is there:
first-order indices alone, which dependent inputs have, too.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.errors import ScenarioError, SimulationError, suggestion
from twin.progress import progress as progress_line
from twin.scenario.formulas import UNKNOWN
from twin.scenario.given_data import FEWEST, first_order
from twin.scenario.inputs import PROBE, Group, Inputs
from twin.scenario.kept_parts import KeptParts
from twin.scenario.patients import Finished
from twin.scenario.scenario import Scenario
from twin.scenario.variance_shares import Shares, shares_of_variance
from twin.scenario.work import Work
from twin.simulation import check_count
from twin.solve.nodes import OK

if TYPE_CHECKING:
    import pandas as pd

SAMPLES = 4096
RESAMPLES = 400
MOST_LEFT_OUT = 0.05
"""Share of the base samples that may be left out; with more, indices would speak of other patients than these."""
FEWEST_ANSWERS = 50
"""Yeses, and noes, without which a criterion gets no index: those of fewer would be indices of these few."""
_INDICES = ("first", "first_low", "first_high", "total", "total_low", "total_high")

type Row = dict[str, Any]
type Part = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Sensitivity:
    """Shares of variance.

    Args:
        table: A row per arm, endpoint and input: ``arm``, ``endpoint``, ``unit``, ``input``, ``kind`` ("independent";
            "group" of inputs that depend on each other; "member" of one; "given" for an input of a store, of which it
            is not known), ``first`` and ``total`` index with the ends of their 95 % intervals (``total`` is NaN for
            members and given inputs), ``samples`` behind them, the share ``left_out``, and a ``note`` where there is no
            index.
        name: Of the scenario.
        runs: Number of simulations, or of patients of a store in an arm.
        failed: How many of them failed, by arm.
        remarks: What a reader has to know, in sentences.
        against: The arm that the patients' differences are taken to; None if they are values.
    """

    table: pd.DataFrame
    name: str
    runs: int
    failed: Mapping[str, int]
    remarks: tuple[str, ...]
    against: str | None = None

    def strongest(self, most: int) -> list[str]:
        """The inputs of the largest influence on any endpoint, in the order of the table."""
        table = self.table
        influence = table[["first", "total"]].max(axis=1).groupby(table["input"]).max().fillna(-1.0)
        kept = set(influence.sort_values(ascending=False, kind="stable").index[:most])
        return [name for name in dict.fromkeys(table["input"]) if name in kept]


def sensitivity_of(
    scenario: Scenario,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    arms: Sequence[str] | None = None,
    against: str | None = None,
    resamples: int = RESAMPLES,
    progress: bool = True,
    keep: str | Path | None = None,
) -> Sensitivity:
    """First-order and total indices of every endpoint and criterion of each arm, over the cohort's distributions.

    ``samples * (groups + 2)`` simulations in each arm; the same patients in all arms. Correlated inputs, and those that
    one constraint names, have one index together, because no share of the variance belongs to one of them alone. Its
    members are listed below it with first-order indices from the two samples. A base sample in which a run failed, or
    an endpoint is infinite or not a number, is left out whole; above 5 % the endpoint gets no index but a note.

    Args:
        scenario: The scenario. The size of its cohort does not matter.
        samples: Base samples, a power of 2.
        seed: Of the design and of the bootstrap.
        arms: Names of arms; default all.
        against: An arm. The indices then are those of the patients' differences to it, endpoint by endpoint: which
            inputs decide how much a patient gains. Criteria are left out.
        resamples: Resamples of the bootstrap.
        progress: Show progress on standard error.
        keep: A folder for the runs that are done: the same call goes on from there after a kill, with the same result.
            It is emptied at the end.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
        ScenarioError: A cohort from a table or a posterior, or in which nothing varies; no such arm; a number of
            samples that is no power of 2.
        SimulationError: In an arm almost every run failed.
    """
    import pandas as pd

    _check_samples(samples)
    check_count(resamples, "resamples")
    places, base = _arm_places(arms, scenario.arm_names, against)
    inputs = Inputs(scenario.cohort.source)
    # One group of all inputs tells everything: its shares are 1, and no run is needed to know that.
    groups = () if len(inputs.groups) == 1 and inputs.dependent else inputs.groups
    first, second = inputs.pairs(samples, seed)
    patients = [inputs.columns(scores) for scores in (first, second)]
    patients += [inputs.columns(inputs.mixed(first, second, group)) for group in groups]
    work = Work(replace(scenario, cohort=scenario.cohort.resized(samples), bands=None))
    kept = None if keep is None else KeptParts(Path(keep), _key(scenario, samples, seed))
    rows: list[Row] = []
    failed: dict[str, int] = {}
    total = len(places) * len(patients)
    names = scenario.measure_names if against else (*scenario.measure_names, *scenario.responders)
    reference: list[np.ndarray] | None = None
    with progress_line(f"sensitivity of {scenario.name}", total, quiet=not progress) as line:
        for place in places:
            arm, parts = scenario.arm_names[place], []
            for index, columns in enumerate(patients):

                def evaluate(place: int = place, columns: Mapping[str, np.ndarray] = columns) -> Part:
                    return work.evaluate(place, columns)

                parts.append(evaluate() if kept is None else kept.get(f"{place}-{index}", evaluate))
                line.update(len(failed) * len(patients) + len(parts))
            failed[arm] = sum(int((status != OK).sum()) for _, _, status in parts)
            _refuse_failures(arm, failed[arm], len(parts) * samples)
            quantities = [np.concatenate([v, np.where(r == UNKNOWN, np.nan, r)]) for v, r, _ in parts]
            if place == base:  # comes first
                reference = quantities
                continue
            for index, endpoint in enumerate(names):
                about = {"arm": arm, "endpoint": endpoint, "unit": scenario.units.get(endpoint, "")}
                values = np.stack([part[index] for part in quantities])
                if reference is not None:
                    values = _difference(values, np.stack([part[index] for part in reference]))
                design = _Design(values, scenario.rtol, endpoint in scenario.responders, resamples, seed)
                rows += [about | row for row in design.rows(groups)]
                rows += [about | row for row in design.members(inputs.dependent, patients[:2])]
    said = _remarks(inputs, groups, against)
    if kept is not None:
        if kept.found:
            said = (*said, f"{kept.found} of {total} parts were kept from a run that had not come to its end")
        kept.clear()
    return Sensitivity(pd.DataFrame(rows), scenario.name, total * samples, failed, said, against)


def sensitivity_of_store(
    folder: str | Path,
    *,
    patients: int = 100_000,
    seed: int = 0,
    arms: Sequence[str] | None = None,
    against: str | None = None,
) -> Sensitivity:
    """First-order indices of every endpoint and criterion of each arm from a finished run, for any cohort.

    Args:
        folder: The folder of a run.
        patients: Take at most so many patients, drawn without replacement.
        seed: Of that draw.
        arms: Names of arms; default all.
        against: As for `sensitivity_of`.

    Raises:
        ScenarioError: The run is not complete, has no such arm, has fewer than 200 patients, or they do not differ.
    """
    import pandas as pd

    check_count(patients, "patients")
    finished = Finished(folder, patients, seed)
    if len(finished.chosen) < FEWEST:
        found = f"there are {len(finished.chosen)} patients"
        raise ScenarioError(found, where=str(folder), expected=f"at least {FEWEST}, to tell shares of variance")
    rows: list[Row] = []
    failed: dict[str, int] = {}
    places, base = _arm_places(arms, finished.arms, against)
    for place in places:
        arm = finished.arms[place]
        failed[arm] = int((finished.status(place) != OK).sum())
        if place == base:
            continue
        for endpoint in finished.endpoints if against else (*finished.endpoints, *finished.criteria):
            values = finished.values(endpoint, place)
            if base is not None:
                values = _difference(values, finished.values(endpoint, base))
            about = {"arm": arm, "endpoint": endpoint, "unit": finished.unit(endpoint)}
            design = _Design(values[None], finished.rtol, endpoint in finished.criteria)
            rows += [about | row for row in design.given(finished.parameters)]
    said = [
        "first-order indices from the patients that are there; inputs may depend on each other, and then share them"
    ]
    said += _said_of(against)
    if len(finished.chosen) < finished.patients:
        said.append(f"from {len(finished.chosen):,} of {finished.patients:,} patients, drawn with seed {seed}")
    return Sensitivity(pd.DataFrame(rows), finished.name, len(finished.chosen), failed, tuple(said), against)


class _Design:
    """One quantity at all runs of a design.

    Args:
        values: At the two samples, and at the first with each group's values from the second; or at a store's patients.
        rtol: Relative tolerance of the integration: what varies less is constant.
        answers: Whether it is a criterion, whose values are 1 and 0.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
    """

    def __init__(self, values: np.ndarray, rtol: float, answers: bool, resamples: int = 0, seed: int = 0) -> None:
        self.values, self.resamples, self.seed = values, resamples, seed
        self.known = np.isfinite(values)
        self.whole = self.known.all(axis=0)
        kept = values[:, self.whole]
        self.left_out = 1 - float(self.whole.mean())
        self.note = ""
        if self.left_out > MOST_LEFT_OUT:
            never = float((~self.known & ~np.isnan(values)).mean())
            why = 'infinite ("never") or not a number' if never else "not a number"
            self.note = f"no index: in {self.left_out:.1%} of the samples it is {why}"
        elif answers and min(yes := int(kept[:2].sum()), (of := kept[:2].size) - yes) < FEWEST_ANSWERS:
            self.note = f"no index: {yes:,} of {of:,} say yes"
        elif np.ptp(kept) <= rtol * np.abs(kept).max():
            self.note = "no index: it varies by less than the tolerance of the integration"

    def rows(self, groups: Sequence[Group]) -> Iterator[Row]:
        """First-order and total indices."""
        shares: Shares | None = None
        if groups and not self.note:
            a, b, *mixed = self.values[:, self.whole]
            shares = shares_of_variance(a, b, np.stack(mixed), resamples=self.resamples, seed=self.seed)
        for index, group in enumerate(groups):
            kind = "group" if len(group.members) > 1 else "independent"
            found = [math.nan] * 6 if shares is None else [float(getattr(shares, name)[index]) for name in _INDICES]
            yield self._row(group.label, kind, found, int(self.whole.sum()))

    def members(self, groups: Sequence[Group], patients: Sequence[Mapping[str, np.ndarray]]) -> Iterator[Row]:
        """First-order indices of the members of groups, from the two samples."""
        for name in (name for group in groups for name in group.members):
            x = np.concatenate([columns[name] for columns in patients])
            yield self._first(name, "member", x, np.concatenate(self.values[:2]))

    def given(self, inputs: Mapping[str, np.ndarray]) -> Iterator[Row]:
        """First-order indices of the parameters and covariates of a store."""
        for name, x in inputs.items():
            yield self._first(name, "given", x, self.values[0])

    def _first(self, name: str, kind: str, x: np.ndarray, y: np.ndarray) -> Row:
        known = np.isfinite(y)
        enough = not self.note and known.sum() >= FEWEST and np.ptp(x[known]) > 0
        found = first_order(x[known], y[known]) if enough else (math.nan,) * 3
        note = "" if enough or self.note else f"no index: fewer than {FEWEST} values, or the input does not vary"
        return self._row(name, kind, [*found, *(math.nan,) * 3], int(known.sum()), note)

    def _row(self, name: str, kind: str, found: Sequence[float], samples: int, note: str = "") -> Row:
        indices = dict(zip(_INDICES, found, strict=True))
        return {"input": name, "kind": kind, **indices, "samples": samples, "left_out": self.left_out,
                "note": self.note or note}  # fmt: skip


def _arm_places(asked: Sequence[str] | None, known: Sequence[str], against: str | None) -> tuple[list[int], int | None]:
    """Places of the arms, the one that others are set against first; and its place."""
    for name in (*(asked or ()), *([] if against is None else [against])):
        if name not in known:
            raise ScenarioError(f"there is no arm {name!r}", where="arms", fix=suggestion(name, known))
    chosen = [place for place, name in enumerate(known) if (asked is None or name in asked) and name != against]
    if against is None:
        return chosen, None
    if not chosen:
        raise ScenarioError("there is no other arm", where="against", expected="at least one arm that differs from it")
    return [known.index(against), *chosen], known.index(against)


def _key(scenario: Scenario, samples: int, seed: int) -> str:
    """What the runs of a design depend on, the versions of what integrates included."""
    versions = [version(package) for package in ("cytotwin", "jax", "jaxlib", "numpy")]
    return hashlib.sha256(repr((scenario.fingerprint, samples, seed, versions)).encode()).hexdigest()


def _difference(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinite in both arms: no difference is known
        return values - reference


def _said_of(against: str | None) -> list[str]:
    return [] if against is None else [f"of the patients' differences to the arm {against!r}"]


def _check_samples(samples: int) -> None:
    check_count(samples, "samples")
    if samples < FEWEST / 2 or samples & (samples - 1):
        raise ScenarioError(
            f"the number of samples is {samples}",
            where="samples",
            expected="a power of 2, for which the sequence is balanced, and at least 128",
            fix=f"{2 ** max(int(samples - 1).bit_length(), 7)}",
        )


def _refuse_failures(arm: str, failed: int, runs: int) -> None:
    if failed > runs / 2:
        raise SimulationError(
            f"{failed:,} of {runs:,} runs failed in the arm {arm!r}",
            where="sensitivity",
            expected="runs that end",
            fix="raise max_steps of the solver, or narrow the distributions of the cohort",
        )


def _remarks(inputs: Inputs, groups: Sequence[Group], against: str | None) -> tuple[str, ...]:
    said = _said_of(against)
    for group in inputs.dependent:
        why = "; ".join(group.reasons)
        said.append(
            f"{', '.join(group.members)} depend on each other ({why}): total indices of one alone are not defined; "
            "their first-order indices hold what each tells through the others, too, and may add up to more than 1"
        )
    for text, excluded in inputs.set_aside.items():
        said.append(f"the constraint {text} excludes {excluded} of {PROBE:,} candidates: it is set aside")
    if not groups:
        said.append("all inputs depend on each other: together they explain everything, and there are no total indices")
    return tuple(said)
