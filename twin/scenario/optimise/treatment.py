"""A treatment to be found: what may be chosen, what it shall achieve, what it must not do, and in whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from twin.cohort.plan import plain
from twin.errors import ScenarioError, suggestion
from twin.experiment.experiment import Experiment
from twin.model.identity import digest
from twin.model.model import Model
from twin.model.parts import Parameter
from twin.scenario.factors import Factor, check_factors, filled_in, names_in
from twin.scenario.optimise.measures import Formulated, Limit, Measure
from twin.scenario.scenario import Scenario

if TYPE_CHECKING:
    from twin.scenario.optimise.optimum import Optimum

OPTIMUM = "optimum"
"""What is found stands beside the arms by this name."""
MOST_FACTORS = 12
"""More cannot be searched well by either method."""
PATIENTS = 512


@dataclass(frozen=True, eq=False)
class Treatment:
    """What a search for the best treatment chooses from, and what it is judged by.

    Args:
        scenario: Model, cohort, experiment, endpoints. Its arms are regimens that the optimum is compared with, and
            that the search begins from.
        factors: What is chosen: bounds of doses, times or parameters by name, as for a Sobol scenario. Others keep the
            levels that they have in `arm`.
        minimise: What shall become small: a `Measure`, or a formula, whose mean over the patients is meant.
        maximise: Or what shall become large.
        limits: What has to be kept, by name.
        arm: The arm whose levels hold for what is not chosen; default the reference.
        patients: Patients of the search, the first of the cohort; as many others check what was found.

    Raises:
        ScenarioError: Something that makes no sense; the message says where.
        UnknownSymbolError: A formula that uses an unknown name.

    Example:
        >>> import twin
        >>> decay = twin.Model("decay", [twin.State("A", 0.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
        >>> scenario = twin.Scenario(
        ...     decay,
        ...     twin.Cohort(64, {"k": twin.LogNormal(1.0, cv=0.3)}),
        ...     np.linspace(0, 2, 41),
        ...     {"end": twin.Endpoint("value", "A", time=2.0)},
        ...     experiment=twin.Experiment(doses=[twin.Bolus("A", "dose")]),
        ...     arms={"usual": {"dose": 2.0}},
        ... )
        >>> treatment = twin.Treatment(scenario, {"dose": twin.Factor(lower=0, upper=9)}, minimise="(end - 0.5)^2")
        >>> round(treatment.optimise().design["dose"], 2)
        3.69
    """

    scenario: Scenario
    factors: Mapping[str, Factor]
    minimise: Measure | str | None = None
    maximise: Measure | str | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    arm: str | None = None
    patients: int = PATIENTS

    def __post_init__(self) -> None:
        if not isinstance(self.scenario, Scenario):
            found = f"it is a {type(self.scenario).__name__}"
            raise ScenarioError(found, where="scenario", expected="a twin.Scenario")
        for name in ("factors", "limits"):
            if not isinstance(value := getattr(self, name), Mapping):
                raise ScenarioError(f"it is a {type(value).__name__}", where=name, expected="a mapping by name")
            object.__setattr__(self, name, MappingProxyType(dict(value)))
        if not self.factors:
            raise ScenarioError("nothing may be chosen", where="factors", fix="give factors with lower and upper")
        if len(self.factors) > MOST_FACTORS:
            found = f"there are {len(self.factors)}"
            raise ScenarioError(found, where="factors", expected=f"at most {MOST_FACTORS}")
        check_factors(self.factors, "range")
        for name, limit in self.limits.items():
            if not isinstance(limit, Limit):
                found = f"it is a {type(limit).__name__}"
                raise ScenarioError(found, where=f"limits.{name}", expected="a twin.Limit")
        if not isinstance(self.patients, int) or isinstance(self.patients, bool) or self.patients < 1:
            raise ScenarioError(f"it is {self.patients!r}", where="patients", expected="a whole number of at least 1")
        if self.arm is not None and self.arm not in self.scenario.arm_names:
            found = f"there is no arm {self.arm!r}"
            raise ScenarioError(found, where="arm", fix=suggestion(self.arm, self.scenario.arm_names))
        if OPTIMUM in self.scenario.arm_names:
            found = f"an arm is called {OPTIMUM!r}, which is the name of what is found"
            raise ScenarioError(found, where=f"arms.{OPTIMUM}", fix="rename the arm")
        self._check_names()
        _ = self.goal, self.formulated

    def _check_names(self) -> None:
        used = names_in(self._written)
        for name, factor in self.factors.items():
            where = f"factors.{name}"
            in_model = name in self.scenario.model.parameter_names
            if name in self.scenario.measure_names or name in self.scenario.responders:
                raise ScenarioError(f"{name!r} is an endpoint, too", where=where, fix="rename one of them")
            if not in_model and name in self.scenario.model.formula_names:
                found = f"{name!r} means something else in the model {self.scenario.model.name!r}"
                raise ScenarioError(found, where=where, expected="a parameter, or a name of your own")
            if not in_model and factor.multiply:
                raise ScenarioError("it is no parameter, and multiplies", where=where, fix="drop multiply")
            if not in_model and name not in used:
                raise ScenarioError(
                    f"the factor {name!r} changes nothing",
                    where=where,
                    expected="a parameter of the model, or a name that a formula of the experiment uses",
                    fix=suggestion(name, [*self.scenario.model.parameter_names, *used]),
                )

    @property
    def _base(self) -> str:
        return self.arm or self.scenario.reference_name

    @property
    def _written(self) -> Experiment:
        """The experiment with the names of factors."""
        return self.scenario.experiments.get(self._base, self.scenario.experiment)

    @cached_property
    def kept(self) -> Mapping[str, float]:
        """Levels of what is not chosen, from the arm."""
        arm = self.scenario.all_arms[self.scenario.arm_names.index(self._base)]
        return {name: level for name, level in arm.levels.items() if name not in self.factors}

    @cached_property
    def experiment(self) -> Experiment:
        """What is done, as formulas of what is chosen."""
        symbols = {k: v for k, v in self.kept.items() if k not in self.scenario.model.parameter_names}
        return filled_in(self._written, symbols)

    @cached_property
    def model(self) -> Model:
        """The model, with a parameter for each factor that is none: doses and times differ between lanes by it."""
        model = self.scenario.model
        own = tuple(
            Parameter(name, 0.5 * (float(item.lower or 0) + float(item.upper or 0)), description="Chosen by the search")
            for name, item in self.factors.items()
            if name not in model.parameter_names
        )
        return replace(model, parameters=(*model.parameters, *own))

    @cached_property
    def goal(self) -> Measure:
        """What is sought, to be made small or large."""
        given = [item for item in (self.minimise, self.maximise) if item is not None]
        if len(given) != 1:
            found = "both minimise and maximise are given" if given else "there is nothing to minimise or maximise"
            raise ScenarioError(found, where="minimise", fix="give one of the two")
        goal = Measure(given[0]) if isinstance(given[0], str) else given[0]
        if not isinstance(goal, Measure) or isinstance(goal, Limit):
            raise ScenarioError(f"it is a {type(goal).__name__}", where="minimise", expected="a formula or a Measure")
        return goal

    @property
    def sign(self) -> float:
        """1 to minimise, -1 to maximise."""
        return 1.0 if self.minimise is not None else -1.0

    @cached_property
    def formulated(self) -> tuple[Formulated, ...]:
        """The goal and the limits, ready to compute."""
        known = self._known()
        names = (self.scenario.endpoints, self.factors)
        key = "minimise" if self.minimise is not None else "maximise"
        goal = Formulated(self.goal, known, *names, key)
        return (goal, *(Formulated(limit, known, *names, f"limits.{name}") for name, limit in self.limits.items()))

    def _known(self) -> dict[str, sp.Expr]:
        """Derived endpoints and criteria in terms of endpoints alone."""
        from twin.model.formula import parse

        known: dict[str, sp.Expr] = {}
        formulas = {**self.scenario.derived, **self.scenario.responders}
        for name in (*self.scenario.formulas.derived, *self.scenario.responders):
            inner = {sp.Symbol(key, real=True): value for key, value in known.items()}
            known[name] = parse(formulas[name], where=name).subs(inner)
        return known

    @property
    def has_slopes(self) -> bool:
        """Whether a search by gradient can be trusted: no shares, no time of a peak."""
        endpoints = self.scenario.endpoints
        return not any(
            item.jumps or any(not endpoints[name].has_slopes for name in item.endpoints) for item in self.formulated
        )

    def levels(self, unit: Float[np.ndarray, "... factor"]) -> Float[np.ndarray, "... factor"]:
        """Levels of points of the unit cube."""
        columns = []
        for share, factor in zip(np.moveaxis(np.asarray(unit), -1, 0), self.factors.values(), strict=True):
            low, high = _bounds(factor)
            spread = low * (high / low) ** share if factor.scale == "log" else low + (high - low) * share
            columns.append(np.clip(spread, low, high))
        return np.stack(columns, axis=-1)

    def slopes(self, unit: Float[np.ndarray, " factor"]) -> Float[np.ndarray, " factor"]:
        """Derivative of each level in its coordinate of the unit cube."""
        levels, found = self.levels(unit), []
        for level, factor in zip(levels, self.factors.values(), strict=True):
            low, high = _bounds(factor)
            found.append(level * math.log(high / low) if factor.scale == "log" else high - low)
        return np.array(found)

    def units(self, levels: Float[np.ndarray, " factor"]) -> Float[np.ndarray, " factor"]:
        """The point of the unit cube for some levels, which may lie outside."""
        found = []
        for level, factor in zip(levels, self.factors.values(), strict=True):
            low, high = _bounds(factor)
            if factor.scale == "log":
                found.append(math.log(level / low) / math.log(high / low) if level > 0 else -math.inf)
            else:
                found.append((level - low) / (high - low))
        return np.array(found)

    @cached_property
    def regimens(self) -> dict[str, Float[np.ndarray, " factor"]]:
        """Arms that differ from the chosen one in factors only, and give a level to all: by name, their levels."""
        found = {}
        for arm in self.scenario.all_arms:
            others = {name: level for name, level in arm.levels.items() if name not in self.factors}
            same = self.scenario.experiments.get(arm.name, self.scenario.experiment) == self._written
            if same and others == self.kept and all(name in arm.levels for name in self.factors):
                found[arm.name] = np.array([arm.levels[name] for name in self.factors])
        return found

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides the numbers, in hexadecimal."""
        return digest(
            {
                "scenario": self.scenario.fingerprint,
                "experiment": plain(self.experiment),
                "kept": plain(dict(self.kept)),
                "factors": [[name, plain(item)] for name, item in self.factors.items()],
                "goal": [self.sign, plain(self.goal)],
                "limits": [[name, plain(item)] for name, item in self.limits.items()],
                "patients": int(self.patients),
            }
        )

    def optimise(self, out: str | Path | None = None, **options: Any) -> Optimum:
        """Search; see `twin.scenario.optimise.search.search`."""
        from twin.scenario.optimise.search import search  # that module is built on this one

        return search(self, None if out is None else Path(out), **options)

    def __repr__(self) -> str:
        verb = "minimise" if self.minimise is not None else "maximise"
        return f"<Treatment: {verb} {self.goal.said} by {', '.join(self.factors)} in {self.scenario.name!r}>"


def _bounds(factor: Factor) -> tuple[float, float]:
    assert factor.lower is not None and factor.upper is not None  # `check_factors` has seen to it
    return float(factor.lower), float(factor.upper)
