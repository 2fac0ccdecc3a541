"""Formulas over endpoints: derived endpoints, and whether a patient responds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Float, Int

from twin.cohort.formulas import is_condition, read_formula
from twin.compile.evaluate import compile_expressions
from twin.errors import ScenarioError
from twin.model.resolution import order
from twin.precision import float64

YES, NO, UNKNOWN = 1, 0, -1
"""Whether a patient responds, in stores."""

type Columns = dict[str, Float[np.ndarray, " patient"]]


class Formulas:
    """Derived endpoints and criteria of response.

    Args:
        endpoints: Names of the endpoints.
        derived: Formula by name, over endpoints and each other.
        responders: Comparison by name, over all of them.

    Raises:
        ScenarioError: A criterion is no comparison.
        UnknownSymbolError: A name that is no endpoint.
        CyclicAssignmentError: Derived endpoints that define each other.
    """

    def __init__(self, endpoints: Collection[str], derived: Mapping[str, str], responders: Mapping[str, str]) -> None:
        known = [*endpoints, *derived]
        parsed = {name: _read(text, known, f"derived.{name}") for name, text in derived.items()}
        self.derived = tuple(order(parsed, where="derived")) if parsed else ()
        conditions = {name: _read(text, known, f"responders.{name}") for name, text in responders.items()}
        for name, condition in conditions.items():
            if not is_condition(condition):
                found = f"{responders[name]!r} is no comparison"
                raise ScenarioError(found, where=f"responders.{name}", expected='a condition such as "peak < 1e4"')
        self._derived = {name: _Program(parsed[name]) for name in self.derived}
        self._responders = {name: _Program(condition) for name, condition in conditions.items()}

    def add_derived(self, columns: Columns) -> None:
        """Put derived endpoints beside the others."""
        for name, program in self._derived.items():
            columns[name] = program(columns)

    def responders(self, columns: Columns) -> Int[np.ndarray, "criterion patient"]:
        """`YES`, `NO` or, where an endpoint is not a number, `UNKNOWN`."""
        size = len(next(iter(columns.values())))
        found = np.full((len(self._responders), size), UNKNOWN, dtype=np.int8)
        for row, program in zip(found, self._responders.values(), strict=True):
            values = program(columns)
            row[...] = np.where(np.isnan(values), UNKNOWN, np.where(values > 0.5, YES, NO))
        return found


class _Program:
    """One formula; where something that it uses is not a number, neither is its value."""

    def __init__(self, expression: sp.Expr) -> None:
        self.names = sorted(str(item) for item in expression.free_symbols)
        self._run = compile_expressions([expression], frozenset())

    def __call__(self, columns: Columns) -> Float[np.ndarray, " patient"]:
        size = len(next(iter(columns.values())))
        with float64():
            env = {sp.Symbol(name, real=True): jnp.asarray(columns[name]) for name in self.names}
            values = np.broadcast_to(np.asarray(self._run(env, env)[0], dtype=float), (size,)).copy()
        for name in self.names:
            # A comparison with a number that is none is false, and would count a failed patient as "no".
            values[np.isnan(columns[name])] = np.nan
        return values


def _read(text: str, known: Collection[str], where: str) -> sp.Expr:
    return read_formula(text, known, where, "names of endpoints")
