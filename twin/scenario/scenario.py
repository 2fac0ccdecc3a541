"""A scenario: an experiment with factors, applied to every patient of a cohort, and what is read off each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.cohort.cohort import Cohort
from twin.cohort.plan import check_summaries, plain, refuse_reserved
from twin.cohort.summaries import Bands
from twin.errors import ScenarioError, TwinError, suggestion
from twin.experiment.experiment import Experiment
from twin.model.functions import RESERVED
from twin.model.identity import digest
from twin.model.model import Model
from twin.scenario.endpoints import Endpoint
from twin.scenario.factors import Arm, Factor, check_factors, combinations, filled_in, names_in, sobol_points
from twin.scenario.formulas import Formulas
from twin.simulation import check_times, check_tolerance, expression_of, unit_of
from twin.solve import Tolerance

if TYPE_CHECKING:
    import xarray as xr
    from jaxtyping import ArrayLike, Float

    from twin.scenario.sensitivity import Sensitivity

NONE: Mapping[str, Any] = MappingProxyType({})
FORMAT = 1
"""Raised when stores come to be laid out differently."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """An experiment applied to a cohort; factors vary between arms; the same patients are in every arm.

    Args:
        model: The mechanism.
        cohort: The patients.
        times: Sample times [model time unit], ascending; times that endpoints name are added.
        endpoints: What is read off each patient, by name.
        name: Its name.
        experiment: What is done to each patient; formulas may use the names of factors and of parameters.
        factors: What varies: a `Factor`, or a list of levels. A factor that is no parameter stands for a number in the
            formulas of the experiment.
        sobol: Number of arms along a Sobol sequence over the bounds of the factors; default: all combinations.
        arms: Arms listed instead: for each the levels of factors by name. One that leaves a parameter out keeps the
            patients' own values.
        experiments: Arms (by name) that have an experiment of their own instead of `experiment`.
        derived: Formulas over endpoints: further endpoints.
        responders: Comparisons over endpoints: who responds.
        bands: Quantiles of trajectories over the patients of each arm; its `variables` default to those of endpoints.
        reference: The arm that others are compared with; default the first.
        seed: Seed of the Sobol sequence. That of the patients belongs to the cohort.
        solver: As for `twin.simulate`; "auto" is refused, because which method it takes depends on the machine.
        rtol: As for `twin.simulate`.
        atol: As for `twin.simulate`.
        max_steps: As for `twin.simulate`.
        precision: As for `twin.simulate`.

    Raises:
        ScenarioError: Something that makes no sense; the message says where.
        ModelError: A formula that cannot be read, or uses an unknown name.

    Example:
        >>> decay = Model("decay", [State("A", 1.0)], [Parameter("k", 1.0)], odes={"A": "-k*A"})
        >>> cohort = Cohort(100, {"k": LogNormal(1.0, cv=0.3)})
        >>> half = Endpoint("first_crossing", "A", threshold=0.5)
        >>> Scenario(decay, cohort, [0, 1, 2], {"half": half}, factors={"k": Factor([1, 2], multiply=True)}).arm_names
        ('k=1', 'k=2')
    """

    model: Model
    cohort: Cohort
    times: ArrayLike
    endpoints: Mapping[str, Endpoint]
    name: str = "scenario"
    experiment: Experiment = field(default_factory=Experiment)
    factors: Mapping[str, Factor | Sequence[float]] = field(default_factory=dict)
    sobol: int | None = None
    arms: Mapping[str, Mapping[str, float]] | None = None
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)
    responders: Mapping[str, str] = field(default_factory=dict)
    bands: Bands | None = None
    reference: str | None = None
    seed: int = 0
    solver: str = "rodas5p"
    rtol: float = 1e-8
    atol: float = 1e-12
    max_steps: int = 4096
    precision: str = "float64"

    def __post_init__(self) -> None:
        self._check_kinds()
        for name in ("endpoints", "experiments", "derived", "responders"):
            self._keep(name, MappingProxyType(dict(getattr(self, name))))
        factors = {k: v if isinstance(v, Factor) or np.ndim(v) != 1 else Factor(v) for k, v in self.factors.items()}
        self._keep("factors", MappingProxyType(factors))
        if self.arms is not None:
            self._keep("arms", MappingProxyType({k: MappingProxyType(dict(v)) for k, v in self.arms.items()}))
        self._check_numbers()
        self._check_endpoints()
        self._keep("times", self._sampled())
        self._check_experiments()
        _ = self.all_arms, self.formulas, self.cohort.names_for(self.model)
        if self.reference is not None and self.reference not in self.arm_names:
            found = f"there is no arm {self.reference!r}"
            raise ScenarioError(found, where="reference", fix=suggestion(self.reference, self.arm_names))
        if self.bands is not None:
            self._keep("bands", self._check_bands(self.bands))

    @property
    def tolerance(self) -> Tolerance:
        """How exactly patients are simulated."""
        return check_tolerance(self.rtol, self.atol, self.max_steps, self.precision)

    @property
    def sampled(self) -> Float[np.ndarray, " time"]:
        """All sample times."""
        return np.asarray(self.times, dtype=float)

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_kinds(self) -> None:
        kinds = (("model", Model), ("cohort", Cohort), ("experiment", Experiment))
        kinds += tuple((name, Mapping) for name in ("endpoints", "factors", "experiments", "derived", "responders"))
        for name, kind in kinds:
            if not isinstance(value := getattr(self, name), kind):
                raise ScenarioError(f"it is a {type(value).__name__}", where=name, expected=f"a {kind.__name__}")
        if self.arms is not None and not (
            isinstance(self.arms, Mapping) and self.arms and all(isinstance(x, Mapping) for x in self.arms.values())
        ):
            raise ScenarioError("no arms are listed", where="arms", expected="levels of factors by name of the arm")
        if self.bands is not None and not isinstance(self.bands, Bands):
            raise ScenarioError(f"it is a {type(self.bands).__name__}", where="bands", expected="twin.Bands")

    def _check_numbers(self) -> None:
        _ = self.tolerance
        if not isinstance(self.seed, Integral) or isinstance(self.seed, bool) or self.seed < 0:
            raise ScenarioError(f"it is {self.seed!r}", where="seed", expected="a whole number of at least 0")
        if self.solver not in ("rodas5p", "tsit5"):
            raise ScenarioError(f"it is {self.solver!r}", where="solver", expected="rodas5p or tsit5")
        if self.sobol is not None and self.arms is not None:
            raise ScenarioError("arms are listed, too", where="sobol", fix="leave one of the two out")

    def _check_endpoints(self) -> None:
        if not self.endpoints:
            raise ScenarioError("there are none", where="endpoints", expected="at least one")
        taken: dict[str, str] = {}
        for kind in ("endpoints", "derived", "responders"):
            for name, value in getattr(self, kind).items():
                where = f"{kind}.{name}"
                if not isinstance(name, str) or not name.isidentifier() or name in RESERVED:
                    raise ScenarioError(f"the name is {name!r}", where=where, expected="a name that formulas can use")
                if name in taken:
                    raise ScenarioError(f"{name!r} is among {taken[name]}, too", where=where, fix="rename one of them")
                if name in RESULT_NAMES or name in (*self.cohort.names, *self.cohort.covariate_names):
                    raise ScenarioError(f"{name!r} is another part of the result", where=where, fix="rename it")
                if kind == "endpoints" and not isinstance(value, Endpoint):
                    raise ScenarioError(f"it is a {type(value).__name__}", where=where, expected="a twin.Endpoint")
                taken[name] = kind
        for name, endpoint in self.endpoints.items():
            endpoint.check(f"endpoints.{name}")
            try:
                expression_of(self.model, endpoint.of)
            except TwinError as error:
                raise ScenarioError(
                    error.found, where=f"endpoints.{name}", expected=error.expected, fix=error.fix
                ) from error

    def _sampled(self) -> np.ndarray:
        """Sample times, those that endpoints name among them."""
        try:
            times = check_times(self.times)
        except TwinError as error:
            raise ScenarioError(error.found, where="times", expected=error.expected, fix=error.fix) from error
        for name, endpoint in self.endpoints.items():
            for moment in endpoint.moments:
                if not times[0] <= moment <= times[-1]:
                    found = f"the time {moment:g} lies outside the sample times, {times[0]:g} to {times[-1]:g}"
                    raise ScenarioError(found, where=f"endpoints.{name}", fix="move it, or extend times")
            if endpoint.kind not in ("value", "peak", "time_of_peak") and len(times) < 2:
                raise ScenarioError("there is one sample time", where="times", expected="at least two")
        return np.union1d(times, [x for endpoint in self.endpoints.values() for x in endpoint.moments])

    def _check_experiments(self) -> None:
        for name, experiment in self.experiments.items():
            if self.arms is None or name not in self.arms:
                raise ScenarioError(f"there is no arm {name!r}", where="experiments", fix="list it among the arms")
            if not isinstance(experiment, Experiment):
                raise ScenarioError(f"that of {name!r} is a {type(experiment).__name__}", where="experiments")
        for experiment in (self.experiment, *self.experiments.values()):
            if self.sampled[0] < experiment.t0:
                found = f"the first sample time is {self.sampled[0]:g}, before the start at {experiment.t0:g}"
                raise ScenarioError(found, where="times", fix="drop the early times or set t0 of the experiment")
            self._check_targets(experiment)

    def _check_targets(self, experiment: Experiment) -> None:
        model = self.model
        for what, things, known in (
            ("doses", experiment.doses, model.state_names),
            ("changes", experiment.changes, model.parameter_names),
            ("resets", experiment.resets, model.state_names),
        ):
            for index, thing in enumerate(things, start=1):
                if thing.target not in known:
                    raise ScenarioError(
                        f"it names {thing.target!r}, which the model {model.name!r} does not have there",
                        where=f"experiment.{what}[{index}]",
                        fix=suggestion(thing.target, known),
                    )

    def _check_bands(self, bands: Bands) -> Bands:
        if bands.variables is None:
            bands = replace(bands, variables=self.read_variables)
        for name in bands.variables or ():
            try:
                expression_of(self.model, name)
            except TwinError as error:
                raise ScenarioError(error.found, where="bands", expected=error.expected, fix=error.fix) from error
        refuse_reserved(tuple(bands.variables or ()))
        check_summaries(bands, tuple(bands.variables or ()), len(self.sampled))
        return bands

    @cached_property
    def read_variables(self) -> tuple[str, ...]:
        """Variables that endpoints are read off."""
        return tuple(dict.fromkeys(endpoint.of for endpoint in self.endpoints.values()))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Variables that are simulated: those of endpoints, then others that have bands."""
        bands = () if self.bands is None else self.bands.variables or ()
        return tuple(dict.fromkeys((*self.read_variables, *bands)))

    @cached_property
    def formulas(self) -> Formulas:
        """Derived endpoints and criteria, ready to compute."""
        return Formulas(self.endpoints, self.derived, self.responders)

    @property
    def measure_names(self) -> tuple[str, ...]:
        """Endpoints and derived endpoints."""
        return (*self.endpoints, *self.derived)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """What the cohort gives the model, and covariates."""
        return (*self.cohort.names_for(self.model), *self.cohort.covariate_names)

    @cached_property
    def units(self) -> dict[str, str]:
        """Unit of each endpoint, where it is known."""
        time = self.model.time_unit
        found = {name: item.unit(unit_of(self.model, item.of), time) for name, item in self.endpoints.items()}
        return {**found, **dict.fromkeys(self.derived, "")}

    @cached_property
    def all_arms(self) -> tuple[Arm, ...]:
        """The arms, each with its levels and its experiment."""
        by = "arms" if self.arms is not None else "range" if self.sobol is not None else "values"
        check_factors(self.factors, by)
        if self.arms is not None:
            levels = {name: {k: self._level(name, k, v) for k, v in item.items()} for name, item in self.arms.items()}
        elif self.sobol is not None:
            levels = sobol_points(self.factors, self.sobol, int(self.seed))
        else:
            levels = combinations(self.factors) if self.factors else {"base": {}}
        made = tuple(self._arm(name, item) for name, item in levels.items())
        self._check_effect(made)
        return made

    def _level(self, arm: str, name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
            raise ScenarioError(f"{name!r} is {value!r}", where=f"arms.{arm}", expected="finite numbers")
        return float(value)

    def _arm(self, name: str, levels: dict[str, float]) -> Arm:
        experiment = self.experiments.get(name, self.experiment)
        symbols = {key: value for key, value in levels.items() if key not in self.model.parameter_names}
        for key in symbols:
            if key in self.model.formula_names or key in RESERVED or not key.isidentifier():
                found = f"{key!r} means something else in the model {self.model.name!r}"
                raise ScenarioError(found, where=f"factors.{key}", expected="a parameter, or a name of your own")
        missing = names_in(experiment) - set(symbols) - set(self.model.formula_names)
        if missing:
            known = [*self.factors, *self.model.parameter_names]
            raise ScenarioError(
                f"a formula uses {sorted(missing)[0]!r}, which is no parameter, and no factor of the arm {name!r}",
                where="experiment",
                expected="parameters of the model and factors",
                fix=suggestion(sorted(missing)[0], known),
            )
        return Arm(name, MappingProxyType(levels), filled_in(experiment, symbols))

    def _check_effect(self, arms: Sequence[Arm]) -> None:
        """A factor that changes nothing is a typing error."""
        used = names_in(self.experiment).union(*map(names_in, self.experiments.values()))
        for name in dict.fromkeys(key for arm in arms for key in arm.levels):
            if name not in used and name not in self.model.parameter_names:
                raise ScenarioError(
                    f"the factor {name!r} changes nothing",
                    where=f"factors.{name}",
                    expected="a parameter of the model, or a name that a formula of the experiment uses",
                    fix=suggestion(name, [*self.model.parameter_names, *used]),
                )
            factor = self.factors.get(name)
            if isinstance(factor, Factor) and factor.multiply and name not in self.model.parameter_names:
                raise ScenarioError("it is no parameter, and multiplies", where=f"factors.{name}", fix="drop multiply")

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(arm.name for arm in self.all_arms)

    @property
    def reference_name(self) -> str:
        """The arm that others are compared with."""
        return self.reference or self.arm_names[0]

    def with_levels(self, columns: Mapping[str, np.ndarray], levels: Mapping[str, float]) -> dict[str, np.ndarray]:
        """Parameters of some patients whose factors have these levels."""
        own = {name: columns[name] for name in self.cohort.names_for(self.model)}
        size = len(next(iter(columns.values())))
        for name, level in levels.items():
            if name not in self.model.parameter_names:
                continue
            factor = self.factors.get(name)
            if isinstance(factor, Factor) and factor.multiply:
                own[name] = level * own.get(name, np.full(size, self.model.default_parameters[name]))
            else:
                own[name] = np.full(size, level)
        return own

    def read_off(self, outputs: Float[np.ndarray, "output time patient"]) -> dict[str, np.ndarray]:
        """All endpoints, derived ones among them, from the `variables` at the times that are sampled.

        Args:
            outputs: Rows in the order of `variables`; those that only bands need may be left out.
        """
        row = {name: place for place, name in enumerate(self.variables)}
        found = {name: item(self.sampled, outputs[row[item.of]]) for name, item in self.endpoints.items()}
        self.formulas.add_derived(found)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides the numbers, in hexadecimal."""
        solver = [self.solver, float(self.rtol), float(self.atol), int(self.max_steps)]
        if self.precision != "float64":
            solver.append(self.precision)
        return digest(
            {
                "format": FORMAT,
                "model": self.model.fingerprint,
                "cohort": self.cohort.fingerprint,
                "times": self.sampled.tolist(),
                "arms": [[arm.name, plain(dict(arm.levels)), plain(arm.experiment)] for arm in self.all_arms],
                "multiply": sorted(k for k, v in self.factors.items() if isinstance(v, Factor) and v.multiply),
                "endpoints": [[name, _finite(plain(item))] for name, item in self.endpoints.items()],
                "derived": list(map(list, self.derived.items())),
                "responders": list(map(list, self.responders.items())),
                "bands": plain(self.bands),
                "reference": self.reference_name,
                "solver": solver,
            }
        )

    def run(self, out: str | Path, **options: Any) -> xr.Dataset:
        """Run it, or go on with it; see `twin.scenario.run.run_scenario`."""
        from twin.scenario.run import run_scenario  # that module is built on this one

        return run_scenario(self, Path(out), **options)

    def sensitivity(self, **options: Any) -> Sensitivity:
        """Which inputs decide its endpoints; see `twin.scenario.sensitivity.sensitivity_of`."""
        from twin.scenario.sensitivity import sensitivity_of  # that module is built on this one

        return sensitivity_of(self, **options)

    def __repr__(self) -> str:
        arms, size = len(self.all_arms), self.cohort.size
        return f"<Scenario {self.name!r}: {self.model.name}, {size:,} patients in {arms} arms>"


RESULT_NAMES = frozenset(
    {"arm", "patient", "status", "factor", "level", "time", "quantile", "variable", "band", "band_rank_error"}
)
"""Names of what a result has anyway."""


def _finite(content: Any) -> Any:
    """Content for a fingerprint, which takes no infinite number."""
    return {k: repr(v) if isinstance(v, float) and math.isinf(v) else v for k, v in content.items()}
