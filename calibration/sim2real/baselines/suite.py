"""All baselines on the same training rows, with predictive draws for the test rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from calibration.sim2real.assay import AssayLimits, as_limits
from calibration.sim2real.baselines.gaussian_process import GaussianProcess
from calibration.sim2real.baselines.mean import mean_baseline
from calibration.sim2real.baselines.persistence import persistence_baseline
from calibration.sim2real.baselines.spline import spline_baseline
from calibration.sim2real.baselines.task import Baseline, Task, UndefinedBaselineError
from calibration.sim2real.scale import SERIES, require_columns, to_score_scale
from twin.errors import ProblemError

BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        "mean": mean_baseline,
        "persistence": persistence_baseline,
        "spline": spline_baseline,
        "gaussian process": GaussianProcess(),
    }
)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one baseline predicts for the test rows.

    Args:
        name: Name of the baseline.
        draws: Predictive draws on the score scale, noise included; None where the baseline is undefined.
        reason: Why it is undefined; empty if it is defined.
        notes: Choices the baseline made, by observable.
    """

    name: str
    draws: Float[np.ndarray, "draw reading"] | None
    reason: str = ""
    notes: tuple[str, ...] = ()


def predict_baselines(
    table: pd.DataFrame,
    train: Bool[np.ndarray, "reading"],
    test: Bool[np.ndarray, "reading"],
    *,
    scale: Mapping[str, str] | None = None,
    covariate: Mapping[str, float] | None = None,
    limits: AssayLimits | Float[np.ndarray, "reading"] | None = None,
    draws: int = 2000,
    seed: int = 0,
    baselines: Mapping[str, Baseline] | None = None,
) -> dict[str, Prediction]:
    """Fit every baseline per observable to the training rows and predict the test rows.

    Args:
        table: The full measurements table; values of test rows are never read.
        train: Rows to fit.
        test: Rows to predict.
        scale: Score scale by observable.
        covariate: A number per experiment (dose, start of treatment); a range of more than tenfold is
            taken on a logarithmic axis. Used only if it covers every experiment of the table.
        limits: Limits of every row of the table, natural scale; default those of the table.
        draws: Number of predictive draws.
        seed: Seed; each baseline and observable gets its own stream.
        baselines: Other baselines than the usual four, by name.

    Returns:
        A prediction by name; `draws` has one column per test row, in the order of the table, on the score
        scale. A baseline that is undefined for one observable is undefined, with its reason.

    Raises:
        MeasurementError: Not a measurements table.
        ProblemError: Masks that overlap, are empty or have the wrong length.
    """
    require_columns(table)
    train, test = np.asarray(train, dtype=bool), np.asarray(test, dtype=bool)
    if train.shape != (len(table),) or test.shape != (len(table),):
        raise ProblemError(
            f"the masks have shapes {train.shape} and {test.shape}",
            expected=f"one entry for each of {len(table)} rows",
        )
    if not train.any() or not test.any() or np.any(train & test):
        raise ProblemError(
            "training and test rows overlap or one of them is empty",
            expected="two disjoint, non-empty sets of rows",
        )
    limits = as_limits(limits, table)
    tasks = _tasks(table, train, test, scale, covariate, limits)
    chosen = BASELINES if baselines is None else baselines
    streams = np.random.default_rng(seed).spawn(len(chosen))
    made = {}
    for (name, baseline), stream in zip(chosen.items(), streams, strict=True):
        made[name] = _predict(name, baseline, tasks, int(test.sum()), draws, stream)
    return made


def _predict(
    name: str,
    baseline: Baseline,
    tasks: Mapping[str, tuple[Task, np.ndarray]],
    rows: int,
    draws: int,
    rng: np.random.Generator,
) -> Prediction:
    """Predictions of one baseline over all observables."""
    result, notes = np.full((draws, rows), np.nan), []
    for observable, (task, columns) in tasks.items():
        try:
            if task.train.empty:
                raise UndefinedBaselineError("there are no training readings")
            forecast = baseline(task, rng)
        except UndefinedBaselineError as error:
            return Prediction(name=name, draws=None, reason=f"{observable}: {error.found}")
        result[:, columns] = forecast.sample(draws, rng)
        notes.extend(f"{observable}: {note}" for note in forecast.notes)
    return Prediction(name=name, draws=result, notes=tuple(notes))


def _tasks(
    table: pd.DataFrame,
    train: Bool[np.ndarray, "reading"],
    test: Bool[np.ndarray, "reading"],
    scale: Mapping[str, str] | None,
    covariate: Mapping[str, float] | None,
    limits: AssayLimits,
) -> dict[str, tuple[Task, np.ndarray]]:
    """A task per held-out observable, with the positions of its rows among the test rows."""
    frame = pd.DataFrame(
        {
            "experiment": table["experiment"].astype(str).to_numpy(),
            "series": table[SERIES[0]].astype(str).to_numpy() + "\x1f" + table[SERIES[1]].astype(str).to_numpy(),
            "observable": table["observable"].astype(str).to_numpy(),
            "time": table["time"].to_numpy(dtype=float),
        }
    )
    # Test values are never read, not even to be transformed.
    frame["y"] = np.nan
    frame.loc[train, "y"] = to_score_scale(
        table["value"].to_numpy(dtype=float)[train], table.loc[train], scale, limits[train]
    )
    known = covariate_axis(covariate, list(frame["experiment"]))
    if known is not None:
        frame["covariate"] = known
    position = np.cumsum(test) - 1
    tasks = {}
    for observable in pd.unique(frame.loc[test, "observable"]):
        rows = (frame["observable"] == observable).to_numpy()
        fit = frame.loc[rows & train].reset_index(drop=True)
        task = Task(
            train=fit,
            test=frame.loc[rows & test].drop(columns="y").reset_index(drop=True),
            covariate=known is not None and len(np.unique(fit["covariate"])) >= 2,
        )
        tasks[observable] = (task, position[rows & test])
    return tasks


def covariate_axis(
    covariate: Mapping[str, float] | None, experiments: Sequence[str]
) -> Float[np.ndarray, "reading"] | None:
    """The covariate of each row on the axis the baselines use; None if it does not cover all experiments.

    Non-negative values that span more than a factor of ten (zero apart) are mapped to log10(1 + c /
    smallest), which keeps a control at zero. Others stay as they are.
    """
    if not covariate or not set(experiments) <= set(covariate):
        return None
    values = np.array([covariate[name] for name in experiments], dtype=float)
    positive = values[values > 0.0]
    if np.all(values >= 0.0) and positive.size and positive.max() > 10.0 * positive.min():
        return np.log10(1.0 + values / positive.min())
    return values
