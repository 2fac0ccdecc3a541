"""Event tables of pharmacometrics: what each column means, in which order rows of one time act, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from twin.errors import MeasurementError, TwinError, UnitError
from twin.experiment import Bolus, Infusion
from twin.measurements import EventTable, read_event_table
from twin.model import Model, Observable, Parameter, State
from twin.simulation import simulate

ONE_DOSE = ["ID,TIME,DV,AMT,EVID", "1,0,.,320,1", "1,1,4.2,.,0", "2,0,.,160,1", "2,1,2.1,.,0"]


@pytest.fixture(scope="session")
def oral() -> Model:
    """Absorption from the gut at rate 1/h, elimination at 0.2/h; volume 32 l."""
    return Model(
        "oral",
        [State("gut", 0.0, "mg"), State("body", 0.0, "mg")],
        [Parameter("ka", 1.0, "1/hour"), Parameter("k", 0.2, "1/hour"), Parameter("V", 32.0, "l")],
        odes={"gut": "-ka * gut", "body": "ka * gut - k * body"},
        observables=[Observable("conc", "body / V", "mg/l"), Observable("left", "gut", "mg")],
        time_unit="hour",
    )


def read(folder: Path, model: Model, lines: list[str], **options) -> EventTable:
    """The table of these lines."""
    path = folder / "events.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_event_table(path, model, **({"doses": "gut", "observables": "conc"} | options))


def test_doses_and_readings_by_subject(oral: Model, tmp_path: Path) -> None:
    found = read(tmp_path, oral, ONE_DOSE)
    assert dict(found.measurements.table.groupby("experiment")["subject"].first()) == {"doses_1": "1", "doses_2": "2"}
    assert [e.doses for e in found.experiments.values()] == [(Bolus("gut", 320.0),), (Bolus("gut", 160.0),)]
    assert found.experiments["doses_1"].description == "320 into gut at 0"
    assert found.measurements.table["value"].tolist() == [4.2, 2.1]


def test_subjects_with_the_same_doses_share_an_experiment(oral: Model, tmp_path: Path) -> None:
    found = read(tmp_path, oral, [line.replace("160", "320") for line in ONE_DOSE])
    assert list(found.experiments) == ["doses_1"]
    assert found.measurements.series == [("doses_1", "1"), ("doses_1", "2")]


def test_events_need_no_evid(oral: Model, tmp_path: Path) -> None:
    with_evid = read(tmp_path, oral, ONE_DOSE)
    without = read(tmp_path, oral, [line.rpartition(",")[0] for line in ONE_DOSE])
    assert without.experiments == with_evid.experiments
    assert without.measurements.sha256 == with_evid.measurements.sha256


def test_infusions_repeats_targets_and_names(oral: Model, tmp_path: Path) -> None:
    found = read(
        tmp_path,
        oral,
        [
            "id\ttime\tdv\tamt\trate\taddl\tii\tcmt\tdvid\tevid",
            "1\t0\t.\t100\t0\t3\t12\t1\t.\t1",
            "1\t1\t.\t50\t25\t.\t.\t2\t.\t1",
            "1\t2\t4\t.\t.\t.\t.\t.\tcp\t0",
            "1\t3\t60\t.\t.\t.\t.\t.\tx\t0",
        ],
        doses={1: "gut", 2: "body"},
        observables={"cp": "conc", "x": "left"},
        delimiter="\t",
    )
    assert found.experiments["doses_1"].doses == (
        Bolus("gut", 100.0, every=12.0, count=4),
        Infusion("body", 50.0, 1.0, 2.0),
    )
    assert found.measurements.table["observable"].tolist() == ["conc", "left"]


def test_units_of_times_doses_and_values(oral: Model, tmp_path: Path) -> None:
    lines = ["ID,TIME,DV,AMT,DUR,ADDL,II", "1,0,.,0.32,30,1,720", "1,60,4200,.,.,.,."]
    units = {"time_unit": "minute", "dose_unit": "gram", "value_units": "microgram/l"}
    found = read(tmp_path, oral, lines, **units)
    assert found.experiments["doses_1"].doses == (Infusion("gut", 0.32, 0.0, 0.5, every=12.0, count=2, unit="gram"),)
    row = found.measurements.table.iloc[0]
    assert (row["time"], row["value"]) == pytest.approx((1.0, 4.2))
    with pytest.raises(UnitError, match="kilogram"):
        read(tmp_path, oral, lines, time_unit="kilogram")


def test_rows_of_one_time_act_in_their_order(oral: Model, tmp_path: Path) -> None:
    """Trough before the second dose, peak after it: 'left' of the gut is 100 e^-12, then 100 more."""
    lines = ["ID,TIME,DV,AMT", "1,0,0,.", "1,0,.,100", "1,12,1,.", "1,12,1,.", "1,12,.,100", "1,12,2,."]
    found = read(tmp_path, oral, lines, observables="left")
    times = found.measurements.table["time"].to_numpy()
    np.testing.assert_allclose(times, [0.0, 12.0, 12.0, 12.0], atol=2e-8)
    experiment = found.experiments["doses_1"]
    assert experiment.t0 <= times[0]
    seen = simulate(oral, np.unique(times), experiment=experiment, variables=["left"])["left"].to_numpy()
    trough = 100 * np.exp(-12.0)
    np.testing.assert_allclose(seen, [0.0, trough, 100 + trough], rtol=1e-5, atol=1e-6)


def test_a_reset_begins_an_occasion(oral: Model, tmp_path: Path) -> None:
    lines = ["ID,TIME,DV,AMT,EVID", "1,0,.,320,1", "1,24,1.5,.,0", "1,0,.,160,4", "1,2,2.0,.,0"]
    found = read(tmp_path, oral, lines)
    table = found.measurements.table
    assert table["experiment"].tolist() == ["doses_1", "doses_2"]
    assert set(table["subject"]) == {"1"}
    assert found.experiments["doses_2"].doses == (Bolus("gut", 160.0),)


def test_the_same_dose_on_two_occasions_is_two_experiments(oral: Model, tmp_path: Path) -> None:
    """Of one subject; subjects share what they have in common, the first and the second time."""
    once = ["{},0,.,320,{}", "{},2,4.0,.,0"]
    visits = [
        line.format(subject, event) for subject, event in ((1, 1), (1, 4), (2, 1), (2, 4), (3, 1)) for line in once
    ]
    found = read(tmp_path, oral, ["ID,TIME,DV,AMT,EVID", *visits])
    table = found.measurements.table
    assert table["experiment"].tolist() == ["doses_1", "doses_2", "doses_1", "doses_2", "doses_1"]
    assert found.experiments["doses_1"] == found.experiments["doses_2"]


def test_limits_other_rows_and_covariates(oral: Model, tmp_path: Path) -> None:
    lines = [
        "# a comment",
        "ID,TIME,DV,AMT,EVID,MDV,CENS,WT",
        "1,0,.,320,1,1,0,70",
        "1,1,0.5,.,0,0,1,70",
        "1,2,.,.,0,1,0,70",
        "1,3,.,.,2,1,0,70",
        "2,1,0.7,.,0,0,0,82.5",
        "2,2,9.5,.,0,0,-1,82.5",
    ]
    found = read(tmp_path, oral, lines, covariates=["WT"])
    assert found.measurements.table["censoring"].tolist() == ["left", "", "right"]
    assert found.others == 2
    assert found.covariates["WT"].to_dict() == {"1": 70.0, "2": 82.5}
    assert found.experiments["doses_2"].doses == ()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["ID,TIME,DV", "1,0,3"], "events.csv:1: there is no column AMT"),
        ([*ONE_DOSE, "1,2,3,.,0"], "events.csv:6, column 'ID': subject 1 stands in two places"),
        ([*ONE_DOSE, "2,0.5,3,.,0"], "events.csv:6, column 'TIME': the time 0.5 comes after 1"),
        ([*ONE_DOSE, "2,x,3,.,0"], "events.csv:6, column 'TIME': 'x' is not a number"),
        ([*ONE_DOSE, "2,.,3,.,0"], "events.csv:6, column 'TIME': the time is missing"),
        ([*ONE_DOSE, "2,2,.,.,0"], "events.csv:6, column 'DV': a reading has no value"),
        ([*ONE_DOSE, "2,2,.,-5,1"], "events.csv:6, column 'AMT': the dose is -5"),
        ([*ONE_DOSE, "2,2,.,.,1"], "events.csv:6, column 'AMT': the dose is 0"),
        ([*ONE_DOSE, "2,2,1,5,0"], "events.csv:6, column 'AMT': a reading has the amount 5"),
        ([*ONE_DOSE, "2,2,.,5,7"], "events.csv:6, column 'EVID': the event is 7"),
        ([*ONE_DOSE, ",2,.,5,1"], "events.csv:6, column 'ID': the cell is empty"),
        (["ID,TIME,DV,AMT,SS", "1,0,.,5,1", "1,1,2,.,0"], "events.csv:2, column 'SS': the dose is at steady state"),
        (["ID,TIME,DV,AMT,RATE", "1,0,.,5,-2", "1,1,2,.,0"], "column 'RATE': the rate is -2, to be estimated"),
        (["ID,TIME,DV,AMT,ADDL", "1,0,.,5,3", "1,1,2,.,0"], "column 'ADDL': 3 further doses without an interval"),
        (["ID,TIME,DV,AMT,CENS", "1,0,.,5,0", "1,1,2,.,3"], "column 'CENS': the censoring is 3"),
        (["ID,TIME,DV,AMT", "1,0,.,5"], "no row is a reading"),
    ],
)
def test_what_is_refused(oral: Model, tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(TwinError) as caught:
        read(tmp_path, oral, lines)
    assert message in str(caught.value)


def test_names_that_nobody_gave_and_covariates_that_change(oral: Model, tmp_path: Path) -> None:
    lines = ["ID,TIME,DV,AMT,CMT,WT", "1,0,.,5,1,70", "1,1,2,.,2,71"]
    with pytest.raises(MeasurementError, match=r"events.csv:2, column 'CMT': doses does not name '1'"):
        read(tmp_path, oral, lines, doses={3: "gut"})
    with pytest.raises(MeasurementError, match="there is no column CMT"):
        read(tmp_path, oral, ONE_DOSE, doses={1: "gut"})
    with pytest.raises(MeasurementError, match=r"events.csv:3.*the model has no observable 'cnoc'"):
        read(tmp_path, oral, lines, observables="cnoc")
    with pytest.raises(
        MeasurementError, match=r"events.csv:3, column 'WT': the covariate of subject 1 changes from 70"
    ):
        read(tmp_path, oral, lines, covariates=["WT"])
    with pytest.raises(MeasurementError, match="there is no column 'AGE'"):
        read(tmp_path, oral, lines, covariates=["AGE"])
