"""The vector of estimated numbers, and what each of its entries means for every series of readings.

A series is one subject in one experiment; its parameters are the model's, with the estimated ones replaced. A parameter
may be shared, differ freely between subjects or experiments, or differ around a typical value (``typical +
between * eta`` on the estimation scale, with standard normal ``eta``: the non-centred form, which samples well when
there are few readings per subject).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from twin.errors import ProblemError, suggestion
from twin.study import Estimate, Prior, Scale

SCALES = ("lin", "log", "log10")
LEVELS = ("shared", "subject", "experiment")
ETA_BOUND = 6.0
LARGEST_BETWEEN = 5.0
"""The spread between subjects is bounded by this many scales of its half-normal prior."""


@dataclass(frozen=True)
class Entry:
    """One number of the vector.

    Args:
        name: For instance ``"beta"``, ``"beta[3]"`` (subject 3), ``"beta_between"`` or ``"beta_eta[3]"``.
        parameter: The parameter it belongs to.
        role: "value" (a parameter's value), "between" (a spread) or "eta" (a standardised deviation).
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


@dataclass(frozen=True)
class Slot:
    """Where a parameter's value comes from in every series: ``theta[value] + spread * theta[eta]``."""

    scale: Scale
    value: Int[np.ndarray, " series"]
    eta: Int[np.ndarray, " series"] | None = None
    between: int | float | None = None
    between_is_estimated: bool = False


def to_scale(value: float, scale: Scale) -> float:
    """A number on the estimation scale."""
    return {"lin": lambda x: x, "log": np.log, "log10": np.log10}[scale](value)


def from_scale(value: Array, scale: Scale) -> Array:
    """Numbers of the estimation scale on the linear scale."""
    if scale == "lin":
        return value
    return jnp.exp(value) if scale == "log" else jnp.exp(value * np.log(10.0))


class ParameterVector:
    """Entries in order, and the map from the vector to parameter values per series.

    Args:
        estimates: What is to be estimated.
        series: (experiment, subject) of every series.
        defaults: Nominal values by name where an estimate gives none.

    Raises:
        ProblemError: bounds in the wrong order, a nominal value outside them, a logarithm of a bound that is
            not positive, a scale, level or spread that does not exist, or two entries of one name.
    """

    def __init__(
        self,
        estimates: Sequence[Estimate],
        series: Sequence[tuple[str, str]],
        defaults: Mapping[str, float],
    ) -> None:
        self.series = tuple(series)
        self.entries: list[Entry] = []
        self.slots: dict[str, Slot] = {}
        for estimate in estimates:
            if estimate.name in self.slots:
                raise ProblemError(f"{estimate.name!r} is to be estimated twice", where="estimates")
            _check_kind(estimate)
            self._add(estimate, series, defaults)
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
            if not np.isfinite(value) or (scale != "lin" and value <= 0):
                raise ProblemError(
                    f"{name!r} is {value}", where="nominal values", expected=f"a finite number on a {scale} scale"
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
        lower, upper, nominal = _check(estimate, defaults)

        def value(name: str) -> Entry:
            return Entry(name, estimate.name, "value", estimate.scale, lower, upper, nominal, estimate.prior)

        count = len(series)
        if estimate.per == "shared":
            index = np.full(count, self._append(value(estimate.name)))
            self.slots[estimate.name] = Slot(estimate.scale, index)
            return
        labels = [subject if estimate.per == "subject" else experiment for experiment, subject in series]
        groups = list(dict.fromkeys(labels))
        position = np.array([groups.index(label) for label in labels])
        if estimate.between is None:
            first = [self._append(value(f"{estimate.name}[{group}]")) for group in groups]
            self.slots[estimate.name] = Slot(estimate.scale, np.array(first)[position])
            return
        typical = np.full(count, self._append(value(estimate.name)))
        between: int | float
        if estimated := isinstance(estimate.between, Prior):
            between = self._append(_spread(estimate.name, estimate.between))
        else:
            between = float(estimate.between)
        etas = [self._append(_eta(estimate.name, group)) for group in groups]
        self.slots[estimate.name] = Slot(estimate.scale, typical, np.array(etas)[position], between, estimated)

    def values(
        self, theta: Float[Array, "parameter draw"], series: Int[np.ndarray, " chosen"]
    ) -> dict[str, Float[Array, "chosen draw"]]:
        """Value of each estimated parameter in some of the series, linear scale."""
        result = {}
        plain: dict[Scale, list[str]] = {}
        for name, slot in self.slots.items():
            if slot.eta is None:
                plain.setdefault(slot.scale, []).append(name)
                continue
            assert slot.between is not None  # wherever there is an eta
            spread = theta[slot.between] if slot.between_is_estimated else slot.between
            value = theta[slot.value[series]] + spread * theta[slot.eta[series]]
            result[name] = from_scale(value, slot.scale)
        for scale, names in plain.items():  # all of a scale at once, not name by name: there may be hundreds
            rows = np.concatenate([self.slots[name].value[series] for name in names])
            of_names = jnp.split(from_scale(theta[rows], scale), len(names))
            result |= dict(zip(names, of_names, strict=True))
        return {name: result[name] for name in self.slots}

    def linear(self, theta: Float[np.ndarray, "*draw parameter"]) -> Float[np.ndarray, "*draw parameter"]:
        """A vector with every entry on its linear scale."""
        columns = []
        for index, entry in enumerate(self.entries):
            base = {"lin": None, "log": np.e, "log10": 10.0}[entry.scale]
            column = theta[..., index]
            columns.append(column if base is None else base**column)
        return np.stack(columns, axis=-1)


def _check_kind(estimate: Estimate) -> None:
    where = f"estimate {estimate.name!r}"
    for what, given, known in (("scale", estimate.scale, SCALES), ("level (per)", estimate.per, LEVELS)):
        if given not in known:
            raise ProblemError(f"the {what} is {given!r}", where=where, expected=f"one of {', '.join(known)}")
    if estimate.between is None:
        return
    if estimate.per == "shared":
        raise ProblemError(
            "there is a spread between subjects, but the parameter is shared",
            where=where,
            fix="give per='subject' or per='experiment', or leave out between",
        )
    if isinstance(estimate.between, Prior):
        _check_spread(estimate.between, where)
    elif not (np.isfinite(estimate.between) and estimate.between > 0):
        raise ProblemError(
            f"the spread between subjects is {estimate.between:g}",
            where=where,
            expected="a positive number, or a half-normal Prior",
        )


def _check_spread(prior: Prior, where: str) -> None:
    if prior.family != "half_normal":
        raise ProblemError(
            f"the spread between subjects has a {prior.family} prior", where=where, expected="half_normal"
        )
    if not (prior.location >= 0 and prior.scale > 0):
        raise ProblemError(
            f"the prior of the spread has location {prior.location:g} and scale {prior.scale:g}",
            where=where,
            expected="a location of at least 0 and a positive scale",
        )


def _check(estimate: Estimate, defaults: Mapping[str, float]) -> tuple[float, float, float]:
    where = f"estimate {estimate.name!r}"
    if not (np.isfinite(estimate.lower) and np.isfinite(estimate.upper)):
        raise ProblemError(
            f"the bounds are [{estimate.lower}, {estimate.upper}]", where=where, expected="finite bounds"
        )
    if estimate.lower >= estimate.upper:
        raise ProblemError(
            f"the lower bound {estimate.lower:g} is not below the upper bound {estimate.upper:g}", where=where
        )
    if estimate.scale != "lin" and estimate.lower <= 0:
        raise ProblemError(
            f"the lower bound is {estimate.lower:g} on a {estimate.scale} scale",
            where=where,
            expected="a positive bound",
            fix="raise the bound or use scale='lin'",
        )
    nominal = estimate.nominal if estimate.nominal is not None else defaults.get(estimate.name)
    if nominal is None:
        middle = 0.5 * (to_scale(estimate.lower, estimate.scale) + to_scale(estimate.upper, estimate.scale))
        return (
            float(to_scale(estimate.lower, estimate.scale)),
            float(to_scale(estimate.upper, estimate.scale)),
            float(middle),
        )
    if not estimate.lower <= nominal <= estimate.upper:
        raise ProblemError(
            f"the nominal value {nominal:g} lies outside the bounds [{estimate.lower:g}, {estimate.upper:g}]",
            where=where,
            fix="widen the bounds or change the nominal value",
        )
    lower, upper, at = (float(to_scale(x, estimate.scale)) for x in (estimate.lower, estimate.upper, nominal))
    return lower, upper, at


def _spread(name: str, prior: Prior) -> Entry:
    upper = prior.location + LARGEST_BETWEEN * prior.scale
    return Entry(
        f"{name}_between",
        name,
        "between",
        "lin",
        prior.location,
        upper,
        prior.location + 0.5 * prior.scale,
        prior,
    )


def _eta(name: str, group: str) -> Entry:
    return Entry(f"{name}_eta[{group}]", name, "eta", "lin", -ETA_BOUND, ETA_BOUND, 0.0, Prior("normal", 0.0, 1.0))
