"""A problem whose readings are the candidates; its vector has the entries of the original one and of new subjects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from calibration.experimental_design.candidates import Candidates
from calibration.kept_parts import contents
from calibration.problem import Problem
from twin.errors import ProblemError, TwinWarning
from twin.experiment import Experiment
from twin.measurements import COLUMNS, Measurements
from twin.study import Noise


@dataclass(frozen=True)
class Asked:
    """Candidates tied to a problem.

    Args:
        problem: Readings are the candidates, in their order.
        own: Where the entries of the original problem stand in its vector.
        limit: Detection limits; NaN for none.
    """

    problem: Problem
    own: Int[np.ndarray, " entry"]
    limit: Float[np.ndarray, " reading"]

    @property
    def added(self) -> Int[np.ndarray, " new"]:
        """Entries that the original problem has not: deviations of new subjects and occasions."""
        return np.setdiff1d(np.arange(len(self.problem.names)), self.own)

    def complete(
        self, thetas: Float[np.ndarray, "draw entry"], rng: np.random.Generator | None = None
    ) -> Float[np.ndarray, "draw parameter"]:
        """Vectors with the entries of new subjects: from their priors, or typical subjects without `rng`."""
        whole = np.tile(self.problem.nominal, (len(thetas), 1))
        if rng is not None and len(self.added):
            whole[:, self.added] = self.problem.prior.draw(rng, len(thetas))[:, self.added]
        whole[:, self.own] = thetas
        return whole


def ask(problem: Problem, of: Candidates) -> Asked:
    """Tie candidates to a problem.

    Raises:
        ProblemError: a new experiment or subject would need parameters that nobody has estimated, or readings of it
            values that nobody has given.
    """
    table = of.table
    rows = pd.DataFrame(
        {
            **{name: table[name].to_numpy() for name in ("experiment", "subject", "observable", "time")},
            # What is read is not known; all noise families accept a positive number.
            "value": 1.0,
            "noise": _noise(problem, of),
            "censoring": "",
        }
    )[list(COLUMNS)]
    limit = table["limit"].to_numpy()
    for name, noise in {**problem.noise, **of.noise}.items():
        low = limit[(table["observable"] == name).to_numpy()]
        if noise.family.startswith("log_") and (low <= 0).any():
            raise ProblemError(
                f"the detection limit of {name!r} is {np.nanmin(low):g}",
                where="candidates",
                expected=f"a positive number, since the noise is {noise.family}",
            )
    keys = set(zip(rows["experiment"], rows["subject"], strict=True))
    if keys <= set(problem.all_series) and set(rows["observable"]) <= set(problem.noise):
        return Asked(problem.at(rows), np.arange(len(problem.names)), limit)
    key = ("candidates", contents(rows), *(tuple(sorted(each.items())) for each in (of.experiments, of.noise)))
    whole = problem.parts.get(key, lambda: _extended(problem, rows, of.experiments, of.noise))
    unknown = [
        entry.name for entry in whole.parameters.entries if entry.name not in problem.names and not entry.is_deviation
    ]
    if unknown:
        raise ProblemError(
            f"the candidates would need {unknown[0]!r}, of which the problem knows nothing",
            where="candidates",
            expected="known subjects and experiments for parameters that belong to one",
            fix="let the estimate be shared, or spread around a typical value (between=...)",
        )
    own = np.array([whole.names.index(name) for name in problem.names])
    return Asked(whole, own, limit)


def _extended(
    problem: Problem, rows: pd.DataFrame, experiments: Mapping[str, Experiment], noise: Mapping[str, Noise]
) -> Problem:
    """The problem whose vector serves old and new series, restricted to the candidates."""
    by_reading = None
    if problem.by_reading is not None:
        by_reading = pd.concat([problem.by_reading, _own_values(problem, rows)], ignore_index=True)
    both = pd.concat([problem.measurements.table, rows], ignore_index=True)
    known = problem.measurements
    with warnings.catch_warnings():
        # The number of readings against that of estimates was remarked upon when the problem was made.
        warnings.simplefilter("ignore", TwinWarning)
        whole = problem.rebuilt(
            measurements=Measurements(both, source="candidates", time_unit=known.time_unit, units=known.units),
            noise={**problem.noise, **noise},
            experiments={**problem.experiments, **experiments},
            by_reading=by_reading,
        )
    return whole.with_rows(np.arange(len(both)) >= len(known.table))


def _own_values(problem: Problem, rows: pd.DataFrame) -> pd.DataFrame:
    """Values of parameters that readings have of their own, where all readings of an observable have the same."""
    assert problem.by_reading is not None
    of = problem.measurements.table["observable"].to_numpy()
    found = []
    for name in rows["observable"]:
        values = problem.by_reading.loc[of == name].drop_duplicates()
        if len(values) != 1:
            raise ProblemError(
                f"readings of {name!r} have {'different' if len(values) else 'no'} values of "
                f"{', '.join(map(str, problem.by_reading.columns))}",
                where="candidates",
                expected="one set of values for all readings of an observable that is to be read in a new series",
            )
        found.append(values.iloc[0])
    return pd.DataFrame(found).reset_index(drop=True)


def _noise(problem: Problem, of: Candidates) -> Float[np.ndarray, " reading"]:
    """Given standard deviations; where none is given, that of the reading of the series nearest in time."""
    noise = of.table["noise"].to_numpy().copy()
    known = problem.measurements.table
    models = {**problem.noise, **of.noise}
    for row, each in enumerate(of.table.itertuples(index=False)):
        if models[str(each.observable)].scale is not None or np.isfinite(noise[row]):
            continue
        same = known[known["observable"] == each.observable]
        here = same[(same["experiment"] == each.experiment) & (same["subject"] == each.subject)]
        if len(here):
            away = np.abs(here["time"].to_numpy() - float(each.time))
            noise[row] = here["noise"].to_numpy()[int(np.argmin(away))]
        elif len(np.unique(same["noise"].to_numpy())) == 1:
            noise[row] = same["noise"].to_numpy()[0]
        else:
            raise ProblemError(
                f"nobody says how exact a reading of {each.observable!r} in {each.experiment!r} would be",
                where="candidates",
                fix="give a column 'noise' with the standard deviation",
            )
    return noise
