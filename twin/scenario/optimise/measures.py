"""What a treatment is judged by: a formula over endpoints and factors, summed up over the patients in one number."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real

import jax.numpy as jnp
import sympy as sp
from jax import lax
from jaxtyping import Array, Bool, Float

from twin.cohort.formulas import read_formula
from twin.compile.evaluate import compile_expressions
from twin.errors import ScenarioError

NAMED = {"mean": None, "median": 0.5}
"""Statistics by name; a number is the level of a quantile."""


@dataclass(frozen=True)
class Measure:
    """A formula, and how it is summed up over the patients.

    Args:
        of: Formula over endpoints, derived endpoints, criteria (1 for a patient who responds, 0 for one who does not)
            and factors.
        statistic: "mean" (of a criterion: the share of responders), "median", or the level of a quantile, such as 0.9.
    """

    of: str
    statistic: str | float = "mean"

    @property
    def level(self) -> float | None:
        """Level of the quantile; None for the mean."""
        return NAMED[self.statistic] if isinstance(self.statistic, str) else float(self.statistic)

    @property
    def said(self) -> str:
        """In words, for tables and pictures."""
        name = self.statistic if isinstance(self.statistic, str) else f"{100 * self.statistic:g} % quantile"
        return f"{name} of {self.of}"

    def check(self, where: str) -> None:
        """Refuse a statistic that there is not.

        Raises:
            ScenarioError: Neither a name nor a level between 0 and 1.
        """
        value = self.statistic
        if isinstance(value, str) and value in NAMED:
            return
        if not isinstance(value, Real) or isinstance(value, bool) or not 0.0 < value < 1.0:
            found = f"the statistic is {value!r}"
            raise ScenarioError(found, where=where, expected="mean, median, or a level between 0 and 1 such as 0.9")


@dataclass(frozen=True)
class Limit(Measure):
    """A measure that must not leave a range.

    Args:
        of: As for `Measure`.
        statistic: As for `Measure`; 0.95 with `at_most` says that 95 % of the patients lie below.
        at_most: Largest value.
        at_least: Least value.

    Example:
        >>> Limit("peak", 0.95, at_most=20.0).said
        '95 % quantile of peak <= 20'
    """

    at_most: float | None = None
    at_least: float | None = None

    @property
    def said(self) -> str:
        """In words."""
        low = "" if self.at_least is None else f"{self.at_least:g} <= "
        high = "" if self.at_most is None else f" <= {self.at_most:g}"
        return f"{low}{Measure(self.of, self.statistic).said}{high}"

    def check(self, where: str) -> None:
        """Refuse a limit without a bound, or with an impossible one.

        Raises:
            ScenarioError: No bound, one that is no finite number, or a lower one above the upper one.
        """
        super().check(where)
        bounds = {"at_most": self.at_most, "at_least": self.at_least}
        for name, value in bounds.items():
            if value is not None and (
                not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value)
            ):
                raise ScenarioError(f"{name} is {value!r}", where=where, expected="a finite number")
        if self.at_most is None and self.at_least is None:
            raise ScenarioError("it has no bound", where=where, fix="give at_most or at_least")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            found = f"nothing is at least {self.at_least:g} and at most {self.at_most:g}"
            raise ScenarioError(found, where=where, expected="at_least below at_most")

    def excess(self, value: float) -> float:
        """By how much a value lies outside; negative inside."""
        over = -math.inf if self.at_most is None else value - self.at_most
        under = -math.inf if self.at_least is None else self.at_least - value
        return max(over, under)

    def keeps(self, value: float) -> bool:
        """Whether a value lies inside, to the accuracy of a search: a millionth of the bound."""
        scale = max(abs(bound) for bound in (self.at_most, self.at_least) if bound is not None)
        return self.excess(value) <= 1e-6 * max(scale, 1e-12)


class Formulated:
    """A measure ready to compute.

    Args:
        measure: The measure.
        known: Formulas of derived endpoints and criteria by name, already in terms of endpoints.
        endpoints: Names of the endpoints.
        factors: Names of the factors.
        where: What it belongs to, for errors.

    Raises:
        UnknownSymbolError: A name that is none of these.
    """

    def __init__(
        self,
        measure: Measure,
        known: Mapping[str, sp.Expr],
        endpoints: Collection[str],
        factors: Collection[str],
        where: str,
    ) -> None:
        measure.check(where)
        names = [*endpoints, *known, *factors]
        written = read_formula(measure.of, names, where, "names of endpoints, criteria and factors")
        expression = written.subs({sp.Symbol(name, real=True): formula for name, formula in known.items()})
        self.level = measure.level
        self.expression = expression
        symbols = {str(symbol) for symbol in expression.free_symbols}
        self.endpoints = tuple(name for name in endpoints if name in symbols)
        self._run = compile_expressions([expression], frozenset())

    @property
    def jumps(self) -> bool:
        """Whether it has jumps, as shares of responders have, so that a derivative would mislead."""
        conditions = self.expression.atoms(sp.Piecewise)
        return any(all(branch.args[0].is_number for branch in item.args) for item in conditions)

    def __call__(
        self,
        values: Mapping[str, Float[Array, " patient"]],
        factors: Mapping[str, Float[Array, ""]],
        usable: Bool[Array, " patient"],
    ) -> Float[Array, ""]:
        """The measure over the patients that are usable and whose endpoints are numbers."""
        for name in self.endpoints:
            usable = usable & ~jnp.isnan(values[name])
        # What is not used is 1, so that its derivative is a number.
        env = {sp.Symbol(name, real=True): jnp.where(usable, values[name], 1.0) for name in self.endpoints}
        env |= {sp.Symbol(name, real=True): value for name, value in factors.items()}
        found = jnp.broadcast_to(self._run(env, env)[0], usable.shape)
        return mean(found, usable) if self.level is None else quantile(found, usable, self.level)


def mean(values: Float[Array, " patient"], usable: Bool[Array, " patient"]) -> Float[Array, ""]:
    """The mean of those that are usable; not a number where none is."""
    return jnp.sum(jnp.where(usable, values, 0.0)) / jnp.sum(usable)


def quantile(values: Float[Array, " patient"], usable: Bool[Array, " patient"], level: float) -> Float[Array, ""]:
    """The quantile of those that are usable, linear between neighbours as `numpy.quantile` has it.

    Its derivative is the mean of those of the patients near it in rank, because the derivative of a population's
    quantile is the expected one of whoever lies there; that of the one or two patients there would be chance.

    References:
        Hong 2009, doi:10.1287/opre.1080.0531 (quantile sensitivities as conditional expectations).
    """
    ordered = jnp.sort(jnp.where(usable, values, jnp.inf))
    last = jnp.sum(usable) - 1
    place = level * last
    below = jnp.clip(jnp.floor(place).astype(int), 0, None)
    above = jnp.minimum(below + 1, jnp.maximum(last, 0))
    low, high = ordered[below], ordered[above]
    share = place - below
    exact = jnp.where(share > 0, low + share * (jnp.where(share > 0, high, low) - low), low)
    ranks = jnp.arange(len(values))
    width = 1.0 + 0.5 * jnp.sqrt(last + 1.0)
    weights = jnp.where(
        (ranks <= last) & jnp.isfinite(ordered), jnp.maximum(1.0 - jnp.abs(ranks - place) / width, 0.0), 0.0
    )
    near = jnp.sum(jnp.where(weights > 0, weights * ordered, 0.0)) / jnp.maximum(jnp.sum(weights), 1e-300)
    found = lax.stop_gradient(exact) + near - lax.stop_gradient(near)
    return jnp.where(last < 0, jnp.nan, jnp.where(jnp.isfinite(exact), found, exact))
