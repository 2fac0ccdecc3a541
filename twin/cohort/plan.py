"""What a run over a cohort will do, checked before the first subject is simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, cast

import jax
import numpy as np
import sympy as sp
from jaxtyping import Float

from twin.cohort.bands import Quantiles, memory
from twin.cohort.chunks import Program
from twin.cohort.cohort import Cohort
from twin.cohort.formulas import is_condition, read_formula
from twin.cohort.layout import SUBJECT, Field, Layout
from twin.cohort.summaries import AbstractAccumulator, Bands, Count, Counts, Summary
from twin.errors import ExperimentError, suggestion
from twin.model.identity import as_content, digest
from twin.model.model import Model
from twin.model.symbols import symbol
from twin.simulation import choose_for_draws, evenly, parameter_matrix, unit_of
from twin.solve import AUTO, Method, method_named
from twin.solve.nodes import OK, REASONS, Tolerance

RESERVED = frozenset({"time", "draw", SUBJECT, "quantile", "event", "condition", "reason", "status", "failures"})
MOST_MEMORY = 2**30
"""Bytes that a result in memory, or the ranks of the bands, may take."""


@dataclass(frozen=True)
class Plan:
    """Everything about a run but how far it is.

    Args:
        model: The mechanism.
        cohort: The subjects.
        parameters: Names that the cohort gives to the model.
        program: The simulation of a chunk.
        names: Variables.
        kept: Those whose trajectories are kept.
        by_subject: Whether parameters and status of each subject are kept.
        summaries: What else is kept.
        attrs: Provenance.
    """

    model: Model
    cohort: Cohort
    parameters: tuple[str, ...]
    program: Program
    names: tuple[str, ...]
    kept: tuple[str, ...]
    by_subject: bool
    summaries: tuple[Summary, ...]
    attrs: dict[str, Any]

    def values(self, columns: Mapping[str, np.ndarray]) -> Float[np.ndarray, "parameter subject"]:
        """All parameters of the model for some subjects."""
        return parameter_matrix(self.model, {name: columns[name] for name in self.parameters})[0]

    def with_method(self, recorded: str = "") -> Plan:
        """The plan with a method in the place of "auto": the one that a run was begun with, or else the faster one.

        Args:
            recorded: Name of the former; empty for a run that begins.
        """
        if self.attrs["solver"] != AUTO:
            return self
        method = method_named(recorded) if recorded else self._faster()
        attrs = {**self.attrs, "solver": method.name, "solver_chosen": AUTO}
        return replace(self, program=replace(self.program, method=method), attrs=attrs)

    def _faster(self) -> Method:
        program, subjects = self.program, evenly(self.cohort.size)
        p = self.values(self.cohort.rows_of(subjects))
        return choose_for_draws(program.system, program.tolerance, program.expressions, program.actions, p)

    def accumulators(self) -> list[AbstractAccumulator]:
        """The summaries, empty."""
        found: list[AbstractAccumulator] = []
        times = len(self.program.times)
        for bands in (item for item in self.summaries if isinstance(item, Bands)):
            chosen = self.names if bands.variables is None else bands.variables
            rows = [self.names.index(name) for name in chosen]
            found.append(Quantiles(bands, chosen, [unit_of(self.model, name) for name in chosen], rows, times))
        counts = [item for item in self.summaries if isinstance(item, Count)]
        if counts:
            rows = range(len(self.names), len(self.names) + len(counts))
            found.append(Counts(counts, rows, times))
        return found

    def layout(self, accumulators: Sequence[AbstractAccumulator]) -> Layout:
        """All variables of the result.

        Raises:
            ExperimentError: Two of them would have one name.
        """
        times = Field("time", ("time",), np.float64, {"units": self.model.time_unit}, self.program.times, True)
        reasons = Field("reason", ("reason",), str, {}, list(REASONS.values()), True)
        about = {"long_name": "number of subjects whose integration failed"}
        fields = [times, reasons, Field("failures", ("reason",), np.int64, about)]
        sizes = {"time": len(self.program.times), "reason": len(REASONS)}
        for accumulator in accumulators:
            for item in accumulator.fields():
                fields.append(item)
                sizes |= {item.dims[0]: len(item.values)} if item.values is not None and len(item.dims) == 1 else {}
        if self.by_subject:
            sizes[SUBJECT] = self.cohort.size
            fields += [self._subject(name) for name in self.columns if name not in self.names]
            meaning = "; ".join(f"{code}: {words}" for code, words in {OK: "simulated", **REASONS}.items())
            fields.append(Field("status", (SUBJECT,), np.int8, {"long_name": meaning}, is_coordinate=True))
            for name in self.kept:
                unit = unit_of(self.model, name)
                fields.append(Field(name, (SUBJECT, "time"), np.float64, {"units": unit} if unit else {}))
        _refuse_equal([item.name for item in fields])
        return Layout(sizes, tuple(fields), self.attrs)

    @property
    def columns(self) -> tuple[str, ...]:
        """What is kept of each subject: parameters and covariates."""
        return (*self.parameters, *self.cohort.covariate_names)

    def _subject(self, name: str) -> Field:
        unit = unit_of(self.model, name) if name in self.model.parts else ""
        return Field(name, (SUBJECT,), np.float64, {"units": unit} if unit else {}, is_coordinate=True)


def check_summaries(summaries: object, names: Sequence[str], times: int) -> tuple[Summary, ...]:
    """Summaries that fit the variables.

    Raises:
        ExperimentError: Something else, variables that are not simulated, or more than memory holds.
    """
    if isinstance(summaries, (Bands, Count)):
        summaries = (summaries,)
    if not isinstance(summaries, Sequence) or not all(isinstance(item, (Bands, Count)) for item in summaries):
        expected = "twin.Bands and twin.Count, in a sequence"
        raise ExperimentError(f"the summaries are {summaries!r:.80}", where="summaries", expected=expected)
    bands = [item for item in summaries if isinstance(item, Bands)]
    if len(bands) > 1:
        raise ExperimentError("there are several Bands", where="summaries", fix="put all levels into one")
    for item in bands:
        chosen = names if item.variables is None else item.variables
        for name in chosen:
            if name not in names:
                found = f"{name!r} is not among the variables"
                raise ExperimentError(found, where="Bands", fix=suggestion(str(name), names))
        if (needed := memory(item, len(chosen) * times)) > MOST_MEMORY:
            raise ExperimentError(
                f"the ranks of {len(chosen)} variables at {times} times take {needed / 2**30:.1f} GiB",
                where="Bands",
                expected=f"at most {MOST_MEMORY / 2**30:g} GiB",
                fix="name fewer variables, take fewer times, or a lower resolution",
            )
    labels = [str(item.name) for item in summaries if isinstance(item, Count)]
    if len(set(labels)) < len(labels):
        raise ExperimentError("two Counts have one name", where="summaries", fix="give them names of their own")
    return tuple(summaries)


def condition(model: Model, summary: Count) -> sp.Expr:
    """The expression that is 1 where the condition of a count holds; observables may be used.

    Raises:
        ExperimentError: It is no comparison.
        UnknownSymbolError: It uses a name that the model does not have.
    """
    where = f"count {summary.name!r}"
    known = model.formula_names.union(model.observable_names)
    names = "states, observables, assignments, reactions, inputs, parameters and time"
    expression = read_formula(summary.condition, known, where, names)
    if not is_condition(expression):
        expected = 'a condition such as "V > 1e4"'
        raise ExperimentError(f"{summary.condition!r} is no comparison", where=where, expected=expected)
    read = {symbol(name): formula for name, formula in model.observable_formulas.items()}
    return model.expand(cast("sp.Expr", expression.xreplace(read)))


def check_kept(keep: object, names: Sequence[str], wanted: bool) -> tuple[str, ...]:
    """Variables whose trajectories are kept.

    Args:
        keep: What the caller says: all (True), none (False), some by name, or nothing (None).
        names: All variables.
        wanted: Whether they are kept if nothing is said.
    """
    if keep is None or isinstance(keep, bool):
        return tuple(names) if (wanted if keep is None else keep) else ()
    if isinstance(keep, str) or not isinstance(keep, Sequence):
        found = f"keep is {keep!r:.80}"
        raise ExperimentError(found, where="keep", expected="True, False, or a sequence of variables")
    for name in keep:
        if name not in names:
            found = f"{name!r} is not among the variables"
            raise ExperimentError(found, where="keep", fix=suggestion(str(name), names))
    return tuple(keep)


def refuse_reserved(names: Sequence[str]) -> None:
    """Names that the result uses for something else."""
    for name in names:
        if name in RESERVED:
            raise ExperimentError(
                f"a variable is called {name!r}, as a part of the result is",
                where="variables",
                fix=f"ask for an expression of it, such as '1*{name}'",
            )
    _refuse_equal(names)


def _refuse_equal(names: Sequence[str]) -> None:
    for name in names:
        if list(names).count(name) > 1:
            raise ExperimentError(
                f"two parts of the result would be called {name!r}", where="variables", fix="ask for it once"
            )


def provenance(model: Model, cohort: Cohort, solver: str, tolerance: Tolerance) -> dict[str, Any]:
    """Attributes of the result."""
    return {
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "cohort_fingerprint": cohort.fingerprint,
        "subjects": cohort.size,
        "solver": solver,
        "rtol": tolerance.rtol,
        "atol": tolerance.atol,
        "max_steps": tolerance.max_steps,
        "precision": tolerance.precision,
        "cytotwin": version("cytotwin"),
        "jax": jax.__version__,
    }


def fingerprint(attrs: Mapping[str, Any], experiment: object, plan: Plan) -> str:
    """SHA-256 of all that decides the numbers of a run, in hexadecimal."""
    # Runs that were begun when there was one precision go on.
    left_out = {"jax": attrs["jax"], "precision": "float64"}
    content = {
        "attrs": {name: value for name, value in attrs.items() if left_out.get(name) != value},
        "experiment": plain(experiment),
        "times": [float(time) for time in plan.program.times],
        "names": list(plan.names),
        "kept": list(plan.kept),
        "parameters": list(plan.parameters),
        "by_subject": plan.by_subject,
        "summaries": [[type(item).__name__, plain(item)] for item in plan.summaries],
    }
    return digest(content)


def plain(value: Any) -> Any:
    """Content for a fingerprint: records with the names of their types, numbers of NumPy as Python's."""
    return _numbers(as_content(value))


def _numbers(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _numbers(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_numbers(value) for value in content]
    return content.item() if isinstance(content, np.generic) else content
