"""The vector of estimated numbers, and what each of its entries means for every series of readings.

A series is one subject in one experiment; its parameters are the model's, with the estimated ones replaced. A parameter
may be shared, differ freely between subjects or experiments, or differ around a typical value (``typical +
between * eta`` on the estimation scale, with standard normal ``eta``: the non-centred form, which samples well when
there are few readings per subject). A subject's value may in turn differ between its occasions, the experiments that it
took part in (``+ between_occasions * kappa`` with a ``kappa`` per series).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from calibration.covariates import Covariates
from calibration.deviations import LARGEST_CORRELATION, Block, Shift, Slot
from calibration.estimate_checks import check_kind, check_numbers, check_occasions
from calibration.scales import DOMAIN, from_scale, has_place, linear, to_scale
from twin.errors import ProblemError, suggestion
from twin.study import Estimate, Prior, Scale

ETA_BOUND = 6.0
LARGEST_BETWEEN = 5.0
"""The spread between subjects is bounded by this many scales of its half-normal prior."""
DEVIATIONS = ("eta", "kappa")
"""Roles of standardised deviations: entries of single subjects, experiments or occasions."""


@dataclass(frozen=True)
class Entry:
    """One number of the vector.

    Args:
        name: For instance ``"beta"``, ``"beta[3]"`` (subject 3), ``"beta_between"``, ``"beta_eta[3]"``,
            ``"beta_between_occasions"`` or ``"beta_kappa[3, fed]"`` (subject 3 in the experiment "fed").
        parameter: The parameter it belongs to.
        role: "value" (a parameter's value), "between" (a spread), "eta" (a standardised deviation), "occasions" (a
            spread between occasions), "kappa" (the standardised deviation of an occasion), "effect" (the
            coefficient of a covariate) or "correlation" (of two deviations; given those before them in the block).
        scale: Estimation scale.
        lower: Lower bound, estimation scale.
        upper: Upper bound, estimation scale.
        nominal: Reference value, estimation scale.
        prior: Prior, estimation scale.
    """

    name: str
    parameter: str
    role: str
    scale: Scale
    lower: float
    upper: float
    nominal: float
    prior: Prior

    @property
    def is_deviation(self) -> bool:
        """Whether it is a standardised deviation."""
        return self.role in DEVIATIONS


class ParameterVector:
    """Entries in order, and the map from the vector to parameter values per series.

    Args:
        estimates: What is to be estimated.
        series: (experiment, subject) of every series.
        defaults: Nominal values by name where an estimate gives none.
        covariates: Numbers of the subjects.

    Raises:
        ProblemError: bounds in the wrong order, a nominal value outside them, a logarithm of a bound that is
            not positive, a scale, level or spread that does not exist, a covariate that a subject lacks, a block of one
            parameter or of several levels, a spread between occasions where no subject has two, or two entries of one
            name.
    """

    def __init__(
        self,
        estimates: Sequence[Estimate],
        series: Sequence[tuple[str, str]],
        defaults: Mapping[str, float],
        covariates: Covariates | None = None,
    ) -> None:
        self.series = tuple(series)
        self.entries: list[Entry] = []
        self.slots: dict[str, Slot] = {}
        self.blocks: dict[str, Block] = {}
        self._covariates = covariates or Covariates(None)
        for estimate in estimates:
            if estimate.name in self.slots:
                raise ProblemError(f"{estimate.name!r} is to be estimated twice", where="estimates")
            check_kind(estimate)
            check_occasions(estimate, series)
            self._add(estimate, series, defaults)
        if lonely := [block.name for block in self.blocks.values() if len(block.members) == 1]:
            member = self.blocks[lonely[0]].members[0]
            raise ProblemError(
                f"the block {lonely[0]!r} has one parameter, {member!r}",
                where="estimates",
                expected="two or more estimates with this block=",
            )
        self.names = tuple(entry.name for entry in self.entries)
        if clash := [name for name in self.names if self.names.count(name) > 1]:
            raise ProblemError(
                f"two entries of the vector would be named {clash[0]!r}",
                where="estimates",
                fix="rename the estimate of that name",
            )
        self.lower = np.array([entry.lower for entry in self.entries])
        self.upper = np.array([entry.upper for entry in self.entries])
        self.nominal = np.array([entry.nominal for entry in self.entries])

    def with_nominal(self, values: Mapping[str, float]) -> ParameterVector:
        """The same vector with other reference values, linear scale; they may lie outside the bounds.

        Raises:
            ProblemError: a name that is no entry, or a value without a place on the estimation scale.
        """
        changed = copy.copy(self)
        changed.entries, changed.nominal = list(self.entries), self.nominal.copy()
        for name, value in values.items():
            if name not in self.names:
                raise ProblemError(f"{name!r} is no entry", where="nominal values", fix=suggestion(name, self.names))
            index = self.names.index(name)
            scale = self.entries[index].scale
            if not has_place(value, scale):
                raise ProblemError(
                    f"{name!r} is {value}", where="nominal values", expected=f"{DOMAIN[scale]}, for its {scale} scale"
                )
            changed.nominal[index] = to_scale(value, scale)
            changed.entries[index] = replace(self.entries[index], nominal=float(changed.nominal[index]))
        return changed

    def __len__(self) -> int:
        return len(self.entries)

    def _append(self, entry: Entry) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def _add(self, estimate: Estimate, series: Sequence[tuple[str, str]], defaults: Mapping[str, float]) -> None:
        lower, upper, nominal = check_numbers(estimate, defaults)

        def value(name: str) -> Entry:
            return Entry(name, estimate.name, "value", estimate.scale, lower, upper, nominal, estimate.prior)

        count = len(series)
        if estimate.per == "shared":
            index = np.full(count, self._append(value(estimate.name)))
            self.slots[estimate.name] = Slot(estimate.scale, index, shifts=self._shifts(estimate, series))
            return
        labels = [subject if estimate.per == "subject" else experiment for experiment, subject in series]
        groups = list(dict.fromkeys(labels))
        position = np.array([groups.index(label) for label in labels])
        if estimate.between is None:
            first = [self._append(value(f"{estimate.name}[{group}]")) for group in groups]
            self.slots[estimate.name] = Slot(estimate.scale, np.array(first)[position])
            return
        typical = np.full(count, self._append(value(estimate.name)))
        shifts = self._shifts(estimate, series)
        between: int | float
        if estimated := isinstance(estimate.between, Prior):
            between = self._append(_spread(f"{estimate.name}_between", estimate.name, "between", estimate.between))
        else:
            between = float(estimate.between)
        block, member, earlier = self._block(estimate)
        name = estimate.name
        etas = np.array([self._append(_deviation(f"{name}_eta[{group}]", name, "eta")) for group in groups])[position]
        mixed = () if block is None else (*earlier, etas)
        self.slots[estimate.name] = Slot(
            estimate.scale,
            typical,
            etas,
            between,
            estimated,
            shifts,
            block,
            member,
            mixed,
            *self._occasions(estimate, series),
        )

    def _occasions(
        self, estimate: Estimate, series: Sequence[tuple[str, str]]
    ) -> tuple[np.ndarray | None, int | float | None, bool]:
        """Deviations of every series from its subject, their spread and whether that is estimated; adds the entries."""
        name, spread = estimate.name, estimate.between_occasions
        if spread is None:
            return None, None, False
        if estimated := isinstance(spread, Prior):
            spread = self._append(_spread(f"{name}_between_occasions", name, "occasions", spread))
        kappa = [
            self._append(_deviation(f"{name}_kappa[{subject}, {experiment}]", name, "kappa"))
            for experiment, subject in series
        ]
        return np.array(kappa), spread, estimated

    def _shifts(self, estimate: Estimate, series: Sequence[tuple[str, str]]) -> tuple[Shift, ...]:
        """Effects of covariates, with an entry for each coefficient that is to be estimated."""
        found, subjects = [], [subject for _, subject in series]
        for effect in estimate.effects:
            where = f"effect {effect.formula!r} on {estimate.name!r}"
            values = self._covariates.evaluate(effect.formula, subjects, where)
            coefficient = effect.coefficient
            if estimated := isinstance(coefficient, str):
                numbers = (float(effect.lower), float(effect.upper), float(effect.nominal))
                coefficient = self._append(Entry(coefficient, estimate.name, "effect", "lin", *numbers, effect.prior))
            found.append(Shift(coefficient, values, estimated, effect.formula))
        return tuple(found)

    def _block(self, estimate: Estimate) -> tuple[Block | None, int, list[np.ndarray]]:
        """The block of an estimate, its place there, and the deviations of those before it; adds the correlations."""
        if not estimate.block:
            return None, 0, []
        block = self.blocks.setdefault(estimate.block, Block(estimate.block, estimate.per))
        if block.level != estimate.per:
            raise ProblemError(
                f"the block {block.name!r} has parameters per {block.level} and per {estimate.per}",
                where=f"estimate {estimate.name!r}",
                expected="one level in a block",
            )
        earlier = list(block.members)
        kinds = ["correlation" if index == 0 else "partial" for index in range(len(earlier))]
        entries = [self._append(_correlation(a, estimate.name, kind)) for a, kind in zip(earlier, kinds, strict=True)]
        block.members.append(estimate.name)
        block.partial.append(entries)
        return block, len(earlier), [self.slots[name].eta for name in earlier]  # type: ignore[misc]

    def values(
        self, theta: Float[Array, "parameter draw"], series: Int[np.ndarray, " chosen"]
    ) -> dict[str, Float[Array, "chosen draw"]]:
        """Value of each estimated parameter in some of the series, linear scale."""
        result = {}
        plain: dict[Scale, list[str]] = {}
        for name, slot in self.slots.items():
            if slot.plain:
                plain.setdefault(slot.scale, []).append(name)
                continue
            result[name] = from_scale(slot.at(theta, series), slot.scale)
        for scale, names in plain.items():  # all of a scale at once, not name by name: there may be hundreds
            rows = np.concatenate([self.slots[name].value[series] for name in names])
            of_names = jnp.split(from_scale(theta[rows], scale), len(names))
            result |= dict(zip(names, of_names, strict=True))
        return {name: result[name] for name in self.slots}

    def linear(self, theta: Float[np.ndarray, "*draw parameter"]) -> Float[np.ndarray, "*draw parameter"]:
        """A vector with every entry on its linear scale."""
        columns = [linear(theta[..., index], entry.scale) for index, entry in enumerate(self.entries)]
        return np.stack(columns, axis=-1)


def _spread(name: str, parameter: str, role: str, prior: Prior) -> Entry:
    upper = prior.location + LARGEST_BETWEEN * prior.scale
    return Entry(name, parameter, role, "lin", prior.location, upper, prior.location + 0.5 * prior.scale, prior)


def _deviation(name: str, parameter: str, role: str) -> Entry:
    return Entry(name, parameter, role, "lin", -ETA_BOUND, ETA_BOUND, 0.0, Prior("normal", 0.0, 1.0))


def _correlation(first: str, second: str, kind: str) -> Entry:
    """Uniform between its bounds as a correlation; searched on Fisher's scale, where it is far from any bound."""
    bound = float(to_scale(LARGEST_CORRELATION, "atanh"))
    prior = Prior("uniform", linear=True)
    return Entry(f"{first}_{second}_{kind}", second, "correlation", "atanh", -bound, bound, 0.0, prior)
