"""A population of virtual subjects: drawn from distributions, from a posterior, or read from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twin.cohort import posterior as posteriors
from twin.cohort import tables
from twin.cohort.distributions import AbstractDistribution
from twin.cohort.formulas import Columns
from twin.cohort.sources import AbstractSource, Drawn, Rows
from twin.errors import DuplicateNameError, ExperimentError, suggestion
from twin.model.identity import digest

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from jaxtyping import ArrayLike

    from twin.experiment.experiment import Experiment
    from twin.model.model import Model

type Value = float | str | AbstractDistribution


class Cohort:
    """Virtual subjects, each with parameter values of its own. Nothing is drawn until it is needed.

    Subject i is the same in every chunk, on every run, and in a larger cohort with the same seed; adding a parameter
    leaves the draws of the others alone. (Both as long as nothing is correlated with it or constrained by it.)

    Args:
        size: Number of subjects.
        parameters: For each parameter a distribution, a number that all subjects share, or a formula of other names of
            the cohort (``"CL": "3.1 * (weight / 70)^0.75"``). In the model's units.
        correlations: Correlation of the underlying standard normal scores (a Gaussian copula) by pair of names; for two
            log-normal parameters that is the correlation of their logarithms.
        constraints: Comparisons that each subject fulfils, in PEtab's grammar (``"p < 40*c"``); candidates that do not
            are drawn again. The distributions then are those of the candidates.
        covariates: Like `parameters`, of quantities that the model does not know and that formulas and constraints use.
        seed: Seed of all draws.

    Raises:
        ExperimentError: A value that is none, correlations that contradict each other (the pairs are named), or
            constraints that fewer than one in a thousand candidates fulfil.
        UnknownSymbolError: A formula uses a name that the cohort does not have.

    Example:
        >>> cohort = Cohort(1000, {"k": LogNormal(0.5, cv=0.3), "V": Normal(30.0, 4.0, lower=0.0)})
        >>> cohort.draw(0, 2)["k"].shape
        (2,)
    """

    def __init__(
        self,
        size: int,
        parameters: Mapping[str, Value],
        *,
        correlations: Mapping[tuple[str, str], float] | None = None,
        constraints: Sequence[str] = (),
        covariates: Mapping[str, Value] | None = None,
        seed: int = 0,
    ) -> None:
        covariates = {} if covariates is None else covariates
        spec: dict[str, Value] = {}
        for what, given in (("parameters", parameters), ("covariates", covariates)):
            if not isinstance(given, Mapping):
                found = f"the {what} are a {type(given).__name__}"
                raise ExperimentError(found, where="cohort", expected="a mapping of names to distributions")
            for name, value in given.items():
                if name in spec:
                    raise DuplicateNameError(f"{name!r} is both a parameter and a covariate", where="cohort")
                spec[name] = _value(name, value)
        if not parameters:
            raise ExperimentError("the cohort has no parameters", where="cohort", expected="at least one")
        source = Drawn(spec, {} if correlations is None else correlations, constraints, _seed(seed))
        self._set(_size(size), source, tuple(parameters), strict=True)

    @property
    def seed(self) -> int | None:
        """Seed of its draws; None where none are made, as for rows of a table taken in their order."""
        return self.source.seed

    def _set(self, size: int, source: AbstractSource, names: tuple[str, ...], strict: bool) -> None:
        self.size, self.source, self.names, self._strict = size, source, names, strict

    @classmethod
    def _of(cls, size: int, source: AbstractSource, names: tuple[str, ...], strict: bool) -> Cohort:
        cohort = cls.__new__(cls)
        cohort._set(size, source, names, strict)
        return cohort

    @classmethod
    def from_posterior(
        cls,
        posterior: xr.DataTree | xr.Dataset,
        size: int | None = None,
        *,
        names: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Cohort:
        """Subjects that are draws of a posterior, such as that of ``calibration.sample``.

        Args:
            posterior: A tree with a group "posterior", or that group, in ArviZ's schema.
            size: Number of subjects, drawn from all chains with replacement; None takes every draw once.
            names: Which variables; default: those with one value per draw. When the cohort is simulated, those that
                are no parameters of the model (the scale of the noise) are then left out.
            seed: Seed of drawing with replacement.

        Raises:
            ExperimentError: No posterior, no such variable, or values that are not finite.
        """
        columns = posteriors.columns(posterior, names)
        count = len(next(iter(columns.values())))
        source = Rows(columns) if size is None else Rows(columns, resample=_seed(seed))
        return cls._of(count if size is None else _size(size), source, source.names, strict=names is not None)

    @classmethod
    def from_table(
        cls,
        table: pd.DataFrame | Mapping[str, Any] | str | Path,
        *,
        covariates: Sequence[str] = (),
        ignore: Sequence[str] = (),
    ) -> Cohort:
        """Subjects that are the rows of a table, in their order.

        Args:
            table: A column per parameter, in the model's units: a data frame, or the path of a .csv or .tsv file
                (lines that begin with # are comments).
            covariates: Columns that the model does not know and that are kept with the subjects.
            ignore: Columns to leave out.

        Raises:
            ExperimentError: A table that cannot be read, is empty, names a column twice, or has cells that are not
                finite numbers (column and row are named).
        """
        columns = tables.columns(table, ignore)
        for name in covariates:
            if name not in columns:
                raise ExperimentError(f"there is no column {name!r}", where="table", fix=suggestion(name, columns))
        names = tuple(name for name in columns if name not in covariates)
        if not names:
            raise ExperimentError("no column is left for parameters", where="table", expected="at least one")
        return cls._of(len(columns[names[0]]), Rows(columns), names, strict=True)

    def resized(self, size: int) -> Cohort:
        """The first subjects of the same population; more of them where they are drawn, and not rows of a table.

        Raises:
            ExperimentError: No such number, or more than the table has.
        """
        source = self.source
        if isinstance(source, Rows) and source.seed is None and _size(size) > source.count:
            found = f"{size} subjects are asked for"
            raise ExperimentError(found, where="cohort", expected=f"at most the {source.count} of the table")
        return self._of(_size(size), source, self.names, self._strict)

    def draw(self, start: int = 0, stop: int | None = None) -> Columns:
        """Parameter values of the subjects from `start` to before `stop`.

        Returns:
            One array per parameter, which ``twin.simulate`` takes as it is.
        """
        columns = self.rows(start, stop)
        return {name: columns[name] for name in self.names}

    def table(self, start: int = 0, stop: int | None = None) -> pd.DataFrame:
        """The subjects from `start` to before `stop`, a row each, covariates included."""
        import pandas as pd

        columns = self.rows(start, stop)
        return pd.DataFrame(columns, index=pd.RangeIndex(start, start + len(columns[self.names[0]]), name="subject"))

    def rows(self, start: int = 0, stop: int | None = None) -> Columns:
        """Parameters and covariates of the subjects from `start` to before `stop`."""
        stop = self.size if stop is None else stop
        if not (isinstance(start, Integral) and isinstance(stop, Integral) and 0 <= start < stop <= self.size):
            raise ExperimentError(
                f"the subjects from {start!r} to {stop!r} are asked for",
                where="cohort",
                expected=f"0 <= start < stop <= {self.size}",
            )
        return self.source.rows(int(start), int(stop))

    def rows_of(self, subjects: np.ndarray) -> Columns:
        """Columns of some subjects, by number, ascending."""
        if subjects[-1] - subjects[0] == len(subjects) - 1:
            return self.rows(int(subjects[0]), int(subjects[-1]) + 1)
        parts = [self.rows(int(subject), int(subject) + 1) for subject in subjects]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def names_for(self, model: Model) -> tuple[str, ...]:
        """The names of the cohort that are parameters of a model.

        Raises:
            ExperimentError: A name is no parameter of it (unless it comes from a posterior: then none is).
        """
        found = tuple(name for name in self.names if name in model.parameter_names)
        missing = [name for name in self.names if name not in found]
        if missing and (self._strict or not found):
            raise ExperimentError(
                f"{missing[0]!r} is no parameter of the model {model.name!r}",
                where="cohort",
                fix=f"{suggestion(missing[0], model.parameter_names)} A quantity for formulas only is a covariate",
            )
        return found

    def simulate(
        self,
        model: Model,
        ts: ArrayLike,
        experiment: Experiment | None = None,
        variables: Sequence[str] | None = None,
        **options,
    ) -> xr.Dataset:
        """Simulates every subject; arguments and result are those of `twin.simulate_cohort`."""
        from twin.cohort.stream import simulate_cohort  # that module is built on this one

        return simulate_cohort(model, ts, self, experiment, variables, **options)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Names of what belongs to the subjects and not to the model."""
        return tuple(name for name in self.source.names if name not in self.names)

    @property
    def acceptance(self) -> float:
        """The share of candidates that fulfil the constraints, estimated."""
        return self.source.acceptance if isinstance(self.source, Drawn) else 1.0

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what decides who the subjects are, in hexadecimal."""
        return digest({"size": self.size, "names": list(self.names), "source": self.source.content()})

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"<Cohort: {self.size:,} subjects, {', '.join(self.names)}>"


def _value(name: object, value: Any) -> Value:
    if not isinstance(name, str) or not name.isidentifier():
        raise ExperimentError(f"a name is {name!r}", where="cohort", expected="names of parameters as text")
    if isinstance(value, (str, AbstractDistribution)):
        return value
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not np.isfinite(float(value)):
        raise ExperimentError(
            f"{name!r} is {value!r:.80}",
            where="cohort",
            expected="a distribution, a finite number, or a formula",
            fix="for one value per subject use Cohort.from_table" if np.ndim(value) else None,
        )
    return float(value)


def _size(size: object) -> int:
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise ExperimentError(f"the size is {size!r}", where="cohort", expected="a whole number of at least 1")
    return int(size)


def _seed(seed: object) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ExperimentError(f"the seed is {seed!r}", where="cohort", expected="a whole number of at least 0")
    return int(seed)
