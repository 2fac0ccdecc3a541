"""Readings drawn around what a twin predicts, for forecasts with measurement noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.assimilate.likelihood import KEYS, problem_with
from calibration.predict import predict_draws
from twin.errors import ProblemError
from twin.experiment import Experiment
from twin.live import Twin
from twin.precision import in_float64


@in_float64
def scatter_readings(
    twin: Twin, series: int, times: Float[np.ndarray, " time"], experiment: Experiment, seed: int
) -> dict[str, Float[np.ndarray, "draw time"]]:
    """New readings of each observable whose noise is known, one per particle and time; NaN where integration fails.

    Args:
        twin: The twin.
        series: Which of its series.
        times: Times of the readings.
        experiment: What is done.
        seed: Seed of the noise.

    Raises:
        ProblemError: the noise of an observable comes with each reading, and so is not known of readings to come.
    """
    basis = twin.basis
    for name, noise in basis.noise.items():
        if noise.scale is None:
            raise ProblemError(
                f"the noise of {name!r} comes with each reading",
                where="forecast",
                fix="ask without noise, or calibrate with a noise scale of the twin's own",
            )
    # The vector is laid out by all series, so all are there; only this one's experiment is another one, and only it has
    # rows at the times asked for.
    stand_in = {key: f"series {index}" for index, key in enumerate(basis.series)}
    rows = []
    for index, (name, subject) in enumerate(basis.series):
        own = times if index == series else [max(float(times[0]), float(basis.experiments[name].t0))]
        rows += [(stand_in[name, subject], subject, observable, t) for observable in basis.noise for t in own]
    table = pd.DataFrame(rows, columns=KEYS)
    experiments = {stand_in[key]: basis.experiments[key[0]] for key in basis.series}
    experiments[stand_in[basis.series[series]]] = experiment
    problem = problem_with(basis, table, experiments)
    assert len(problem.names) == len(twin.names)
    asked = (table["experiment"] == stand_in[basis.series[series]]).to_numpy()
    drawn = predict_draws(problem.with_rows(asked), twin.ensemble.theta, seed=seed)
    reading = np.where(drawn.ok, drawn.reading, np.nan)
    names = table.loc[asked, "observable"].to_numpy()
    return {name: reading[:, names == name] for name in basis.noise}
