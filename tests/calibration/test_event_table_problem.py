"""The library's theophylline as an event table: the same problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import twin
from calibration import Problem
from twin import library


def test_theophylline_as_an_event_table_is_the_same_problem(tmp_path: Path) -> None:
    study = library.study("theophylline")
    lines = ["ID,TIME,DV,AMT"]
    table = library.dataset("theophylline").load()
    for subject, rows in table.groupby("subject", sort=False):
        (dose,) = study.experiments[rows["experiment"].iloc[0]].doses
        lines.append(f"{subject},0,.,{dose.amount}")
        lines += [f"{subject},{row.time},{row.value},." for row in rows.itertuples()]
    path = tmp_path / "theophylline.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    model = library.load_model(study.model)
    events = twin.read_event_table(path, model, doses="gut", observables=table["observable"].iloc[0])
    assert len(events.experiments) == len(study.experiments)
    made = Problem(
        model, events.measurements, study.estimates, study.noise, experiments=events.experiments, fixed=study.fixed
    )
    published = Problem.from_study(study)
    assert float(made.log_likelihood(np.asarray(made.nominal))) == pytest.approx(
        float(published.log_likelihood(np.asarray(published.nominal))), rel=1e-12
    )
