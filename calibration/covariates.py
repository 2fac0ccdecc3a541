"""Numbers of subjects (weight, sex, genotype) and formulas of them that shift a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import pandas as pd
import sympy as sp
from jaxtyping import Float

from twin.compile.evaluate import compile_expressions
from twin.errors import ProblemError, suggestion
from twin.model.formula import parse
from twin.precision import float64

type CovariateTable = pd.DataFrame | Mapping[str, Mapping[str, float]]


class Covariates:
    """Covariates by subject.

    Args:
        given: A table with a row per subject, whose index holds their names (`twin.EventTable.covariates`), or a
            mapping of subjects to numbers by covariate.

    Raises:
        ProblemError: it is neither, or a subject stands in it twice.
    """

    def __init__(self, given: CovariateTable | None) -> None:
        if given is None:
            given = {}
        if isinstance(given, pd.DataFrame):
            subjects = [str(subject) for subject in given.index]
            if twice := [subject for subject in subjects if subjects.count(subject) > 1]:
                raise ProblemError(
                    f"subject {twice[0]!r} stands in two rows", where="covariates", expected="one row each"
                )
            rows = [{str(k): v for k, v in row.items()} for row in given.to_dict("records")]
            given = dict(zip(subjects, rows, strict=True))
        if not isinstance(given, Mapping) or not all(isinstance(row, Mapping) for row in given.values()):
            raise ProblemError(
                f"the covariates are a {type(given).__name__}",
                where="covariates",
                expected="a table with a row per subject, or a mapping of subjects to numbers by name",
            )
        self._of_subject = {str(subject): dict(row) for subject, row in given.items()}
        self.names = tuple(dict.fromkeys(name for row in self._of_subject.values() for name in row))

    @property
    def by_subject(self) -> dict[str, dict[str, float]]:
        """Numbers by name of every subject, as given."""
        return {subject: dict(row) for subject, row in self._of_subject.items()}

    def evaluate(self, formula: str, subjects: Sequence[str], where: str) -> Float[np.ndarray, " series"]:
        """A formula of the covariates for each of some subjects; a comparison in it counts as 1 or 0.

        Raises:
            FormulaError: it is no formula.
            ProblemError: a covariate that no subject has, one that a subject lacks, or a value that is not finite.
        """
        expression = parse(formula, where=where)
        names = sorted(str(symbol) for symbol in expression.free_symbols)
        if not names:
            raise ProblemError(f"no covariate stands in {formula!r}", where=where, expected="a formula of covariates")
        for name in names:
            if name not in self.names:
                raise ProblemError(
                    f"{name!r} is no covariate",
                    where=where,
                    expected=f"one of {', '.join(self.names)}" if self.names else "Problem(..., covariates=...)",
                    fix=suggestion(name, self.names),
                )
        distinct = list(dict.fromkeys(subjects))
        columns = {name: np.array([self._number(s, name, where) for s in distinct]) for name in names}
        with float64():
            env = {sp.Symbol(name, real=True): jnp.asarray(column) for name, column in columns.items()}
            (found,) = compile_expressions([expression], frozenset())(env, env)
        values = np.broadcast_to(np.asarray(found, dtype=float), (len(distinct),))
        if not np.isfinite(values).all():
            subject = distinct[int(np.argmin(np.isfinite(values)))]
            raise ProblemError(f"{formula!r} is not finite for subject {subject!r}", where=where, expected="a number")
        position = {subject: index for index, subject in enumerate(distinct)}
        return values[[position[subject] for subject in subjects]]

    def _number(self, subject: str, name: str, where: str) -> float:
        value = self._of_subject.get(subject, {}).get(name)
        number = float(value) if isinstance(value, int | float | np.number) else np.nan
        if not np.isfinite(number):
            found = "is missing" if value is None or value != value else f"is {value!r}"
            raise ProblemError(
                f"the covariate {name!r} of subject {subject!r} {found}",
                where=where,
                expected="a number for every subject that has readings",
                fix="give it, or leave the subject out; categories are numbers, compared as in 'sex == 1'",
            )
        return number
