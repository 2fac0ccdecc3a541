"""`twin calibrate`, `assess`, `demo` and `benchmark`: files, tables, resuming, and bad input."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import calibration
from calibration.benchmark.record import COLUMNS
from twin.cli import main

_SYNTHETIC = Path(__file__).parent / "report" / "synthetic.py"
SHORT = ["--chains", "2", "--warmup", "30", "--draws", "20", "--starts", "3", "--quiet"]
DOSE, KA, CL, V, NOISE = 4.0, 1.6, 0.04, 0.463, 0.1


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def table(tmp_path) -> Path:
    """Readings of one oral dose after the closed form, with normal noise, in minutes and ug/mL."""
    hours = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0])
    ke = CL / V
    curve = DOSE * KA / (V * (KA - ke)) * (np.exp(-ke * hours) - np.exp(-KA * hours))
    values = curve + NOISE * np.random.default_rng(4).standard_normal(len(hours))
    path = tmp_path / "serum.csv"
    pd.DataFrame({"minutes_after": 60 * hours, "serum": values}).to_csv(path, index=False)
    return path


FITTED = ["fit.csv", "fit.nc", "parameters.png", "waterfall.png"]
PLAIN = [
    *("--model", "theophylline", "--data", "serum.csv", "--map", "time=minutes_after,value=serum"),
    *("--time-unit", "minute", "--value-unit", "microgram/mL", "--dose", f"gut={DOSE}@0"),
]


CONTEXT = """question: q
use: u
decision: d
model_influence: {level: low, why: w}
decision_consequence: {level: low, why: w}
fixed: 2026-01-31
split: time
thresholds: {L0: {gradient: passes}, L6: {discrepancy.*: passes}}
"""


@pytest.fixture
def synthetic(monkeypatch):
    """`calibration.assess` answers at once with a made-up assessment; the calls are recorded."""
    spec = importlib.util.spec_from_file_location("synthetic_assessments", _SYNTHETIC)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls = []

    def assess(problem, split="time", **settings):
        kind = split if isinstance(split, str) else split.name
        calls.append((problem.name, split if kind == "experiment" else kind, settings))
        return module.influenza("time" if kind == "time" else "subject")

    monkeypatch.setattr(calibration, "assess", assess, raising=False)
    return calls


@pytest.fixture
def no_pictures(monkeypatch):
    """Pages take seconds to draw and have tests of their own."""

    def write(assessment, path):
        path.write_text("page", encoding="utf-8")
        return path

    monkeypatch.setattr("calibration.sim2real.assessment.Assessment.to_html", write)


@pytest.mark.slow
@pytest.mark.usefixtures("table")
def test_calibrate_writes_fit_posterior_and_summary(capsys):
    assert main(["calibrate", *PLAIN, *SHORT, "--out", "results"]) == 0
    shown = capsys.readouterr()
    assert "estimating ka, CL, V" in shown.err
    assert "its scale sd_concentration is estimated" in shown.err
    assert "90 % interval" in shown.out
    assert "draws could not be integrated" in shown.out
    fit = pd.read_csv("results/fit.csv")
    assert len(fit) == 3
    assert fit["objective"].is_monotonic_increasing
    # Linear scale: the parameters that made the data, within a few standard errors of the noise put in.
    np.testing.assert_allclose(fit.loc[0, ["ka", "CL", "V"]].astype(float), [KA, CL, V], rtol=0.15)
    summary = pd.read_csv("results/summary.csv", index_col="parameter")
    assert {"median", "q05", "q95", "r_hat", "ess_bulk"} <= set(summary.columns)
    with xr.open_datatree("results/posterior.nc", engine="h5netcdf") as tree:
        assert {"posterior", "posterior_predictive", "sample_stats", "observed_data"} <= set(tree.children)
        assert tree["posterior"].sizes["draw"] == 20
        drawn = tree["posterior"]["ka"].to_numpy()
    assert summary.loc["ka", "median"] == pytest.approx(np.median(drawn))
    simulated = ["--draws", "results/posterior.nc", "--dose", "gut=4@0", "--times", "1,2", "--out", "bands.nc"]
    assert main(["simulate", "theophylline", *simulated]) == 0
    with xr.open_dataset("bands.nc", engine="h5netcdf") as ds:
        assert ds.sizes["draw"] == 40


def test_what_calibrate_offers_is_what_a_fit_takes():
    from calibration.commands.calibrate import DESIGNS, METHODS
    from calibration.optimise import starts
    from calibration.optimise.fit import METHODS as OF_FITS

    assert (METHODS, DESIGNS) == (OF_FITS, starts.SAMPLINGS)


@pytest.mark.usefixtures("table")
def test_a_fit_is_extended_and_one_that_was_killed_goes_on(monkeypatch):
    """The killed one has another seed, so that it is no extension of what is in the folder."""
    from calibration.optimise import checkpoint

    calls = ["calibrate", *PLAIN, *SHORT, "--no-sample", "--out", "results"]
    assert main(calls) == 0
    first = pd.read_csv("results/fit.csv")
    assert main([*calls, "--starts", "5", "--extend"]) == 0
    both = pd.read_csv("results/fit.csv")
    assert (len(first), len(both)) == (3, 5)
    assert set(first["objective"]) <= set(both["objective"])

    class Killed(BaseException):
        pass

    write, count = checkpoint.Checkpoint.write, []

    def write_and_die(self, now, *, force=False):
        write(self, now, force=True)
        count.append(now)
        if len(count) == 4:
            raise Killed

    again = ["calibrate", *PLAIN, *SHORT, "--seed", "7", "--no-sample", "--out", "killed"]
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.Checkpoint, "write", write_and_die)
        with pytest.raises(Killed):
            main(again)
    assert Path("killed/fit.checkpoint.nc").exists()
    assert main([*again[:-1], "whole"]) == 0
    assert main(again) == 0
    assert not Path("killed/fit.checkpoint.nc").exists()
    pd.testing.assert_frame_equal(pd.read_csv("killed/fit.csv"), pd.read_csv("whole/fit.csv"))


@pytest.mark.usefixtures("table")
def test_calibrate_without_sampling(capsys):
    options = ["--no-sample", "--estimate", "ka:0.1:20", "--fix", "CL=0.04,V=0.463", "--noise", f"normal:{NOISE}"]
    assert main(["calibrate", *PLAIN, *options, *SHORT, "--out", "results"]) == 0
    shown = capsys.readouterr()
    assert "best" in shown.out
    assert "estimating" not in shown.err
    assert sorted(path.name for path in Path("results").iterdir()) == FITTED
    assert pd.read_csv("results/fit.csv").loc[0, "ka"] == pytest.approx(KA, rel=0.1)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nobody said what to calibrate"),
        (["--model", "theophylline"], "there are no data"),
        (["theophylline", *PLAIN], "are both given"),
        (["--model", "theofylline", "--data", "serum.csv"], "did you mean 'theophylline'?"),
        (["theophyline"], "did you mean 'theophylline'?"),
        (["--model", "theophylline", "--data", "none.csv"], "there is no such file"),
        (["--model", "theophylline", "--data", "serum.csv"], "time"),
        ([*PLAIN, "--map", "colour=serum"], "neither a column nor an observable"),
        ([*PLAIN, "--map", "time"], "it is not a pair"),
        ([*PLAIN, "--map", "time=serum"], "'time' is given twice"),
        ([*PLAIN, "--value-unit", "second"], "cannot stand here"),
        ([*PLAIN, "--detection-limit", "low"], "'low' is not a number"),
        ([*PLAIN, "--estimate", "kA:1:2"], "nothing depends on it"),
        ([*PLAIN, "--estimate", "kA"], "is no parameter"),
        ([*PLAIN, "--estimate", "ka:1"], "it has 2 parts"),
        ([*PLAIN, "--estimate", "ka:low:2"], "the lower bound is 'low'"),
        ([*PLAIN, "--estimate", "ka:2:1"], "is not below the upper bound"),
        ([*PLAIN, "--estimate", "ka:5:9"], "lies outside the bounds"),
        ([*PLAIN, "--estimate", "ka:0:9"], "a positive bound"),
        ([*PLAIN, "--estimate", "ka:nan:9"], "finite bounds"),
        ([*PLAIN, "--estimate", "ka:1:9:log2"], "there is no scale 'log2'"),
        ([*PLAIN, "--estimate", "ka:1:9:log:person"], "there is no level 'person'"),
        ([*PLAIN, "--estimate", "ka:1:9", "--estimate", "ka:1:9"], "estimated twice"),
        ([*PLAIN, "--estimate", "ka:1:9", "--fix", "ka=2"], "both estimated and fixed"),
        ([*PLAIN, "--fix", "kA=2"], "'kA' is no parameter"),
        ([*PLAIN, "--fix", "ka=nan"], "a finite number"),
        ([*PLAIN, "--fix", "ka=1,CL=1,V=1"], "no parameter is left to estimate"),
        ([*PLAIN, "--noise", "gauss"], "there is no noise family 'gauss'"),
        ([*PLAIN, "--noise", "normal:-1"], "the scale is -1"),
        ([*PLAIN, "--noise", "normal:"], "the scale is missing"),
        ([*PLAIN, "--noise", "virus=normal"], "no observable 'virus'"),
        ([*PLAIN, "--noise", "normal:sd_add"], "uses sd_add"),
        ([*PLAIN, "--dose", "stomach=1@0"], "which is no state"),
        (["theophylline", "--dose", "gut=1@0"], "says what is done"),
        (["theophylline", "--time-unit", "hour"], "the data come from the library"),
        ([*PLAIN, "--starts", "0"], "whole number of at least 1"),
        ([*PLAIN, "--seed", "-1"], "whole number of at least 0"),
    ],
)
def test_calibrate_refuses_bad_input(arguments, said, capsys):
    assert main(["calibrate", *arguments, "--out", "results"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Traceback" not in shown
    assert not Path("results").exists()


def test_calibrate_refuses_a_file_as_folder(table, capsys):
    assert main(["calibrate", *PLAIN, "--out", str(table)]) == 2
    assert "is a file" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("table")
def test_assess_from_end_to_end(capsys):
    Path("context.yaml").write_text(CONTEXT, encoding="utf-8")
    assert main(["assess", *PLAIN, *SHORT, "--split", "time", "--context", "context.yaml", "--out", "results"]) == 0
    shown = capsys.readouterr().out
    for word in ("Held out: time >", "spline", "worst R-hat", "report.html", "discrepancy.*", "not tested: L1"):
        assert word in shown
    assert Path("results/report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert {"crps", "coverage_90", "floor"} <= set(pd.read_csv("results/scores.csv").columns)
    with xr.open_datatree("results/draws_1.nc", engine="h5netcdf") as tree:
        assert tree.attrs["held_out"].startswith("time >")


@pytest.mark.usefixtures("no_pictures")
def test_assess_takes_the_studys_first_split(synthetic, capsys):
    assert main(["assess", "timekill_regoes2004", "--out", "results", "--seed", "3", "--fraction", "0.5"]) == 0
    name, split, settings = synthetic[0]
    assert (name, split, settings["seed"], settings["fraction"]) == ("timekill_regoes2004", "time", 3, 0.5)
    shown = capsys.readouterr().out
    assert "CRPS" in shown
    assert sorted(path.name for path in Path("results").iterdir()) == ["draws_1.nc", "report.html", "scores.csv"]


@pytest.mark.usefixtures("no_pictures")
def test_assess_asks_for_a_discrepancy_and_shows_its_size(synthetic, monkeypatch, capsys):
    answer = calibration.assess
    size = pd.DataFrame([("y", 2.1, 1.2, 3.4, True)], columns=["observable", "size", "low", "high", "flagged"])
    monkeypatch.setattr(calibration, "assess", lambda *a, **b: dataclasses.replace(answer(*a, **b), discrepancy=size))
    assert main(["assess", "timekill_regoes2004", "--discrepancy", "own", "--out", "results"]) == 0
    assert synthetic[0][2]["discrepancy"] == "own"
    assert "1.2 to 3.4" in capsys.readouterr().out
    assert Path("results/discrepancy.csv").exists()


@pytest.mark.usefixtures("no_pictures")
def test_assess_holds_named_experiments_out(synthetic):
    given = ["--model", "ampicillin_timekill", "--data", "timekill_regoes2004", "--estimate", "zMIC"]
    held = ["--split", "experiment", "--hold-out", "ampicillin_24,ampicillin_256"]
    assert main(["assess", *given, *held, "--out", "results"]) == 0
    split = synthetic[0][1]
    assert split.folds[0].label == "experiments ampicillin_24, ampicillin_256"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["theophylline", "--split", "experiment"], "does not offer the split 'experiment'"),
        ([*PLAIN, "--split", "experiment"], "which experiments to hold out"),
        ([*PLAIN, "--split", "experiment", "--hold-out", "x"], "no experiment 'x'"),
        ([*PLAIN, "--hold-out", "x"], "add --split experiment"),
        ([*PLAIN, "--split", "subject"], "one subject only"),
        ([*PLAIN, "--fraction", "2"], "a number between 0 and 1"),
        ([*PLAIN, "--context", "none.yaml"], "cannot be read"),
        (["theophylline", "--split", "weather"], "invalid choice"),
    ],
)
def test_assess_refuses_bad_input(arguments, said, capsys):
    assert main(["assess", *arguments, "--out", "results"]) == 2
    assert said in capsys.readouterr().err


def test_demo_writes_a_page_and_prints_a_summary(synthetic, capsys):
    assert main(["demo", "--quick"]) == 0
    name, split, settings = synthetic[0]
    assert (name, split) == ("influenza_baccam2006", "time")
    assert settings["draws"] < 500
    shown = capsys.readouterr()
    for word in ("Influenza", "gap", "persistence", "published", "worst R-hat 1.004", "2 divergent", "report.html"):
        assert word in shown.out
    assert max(map(len, shown.out.replace(str(Path.cwd()), "").splitlines())) <= 120
    assert "a quick run" in shown.err
    assert {"report.html", "scores.csv", "draws_1.nc"} == {path.name for path in Path("demo").iterdir()}


OWN = ["--pooling", "own", "--out", "bench"]


@pytest.fixture
def in_process(monkeypatch):
    """Rows are made here, where what assesses can be replaced, and not in workers."""
    from calibration.benchmark.work import perform_in_worker
    from twin.conformance import pool

    def run_tasks(target, tasks, workers=None):
        assert target == "calibration.benchmark.work:perform_in_worker"
        for task in tasks:
            yield pool.Outcome(task, perform_in_worker(pickle.loads(pickle.dumps(task.argument))), "", "", 0.0)

    monkeypatch.setattr(pool, "run_tasks", run_tasks)


@pytest.mark.usefixtures("no_pictures", "in_process")
def test_benchmark_resumes_and_makes_one_table(synthetic, capsys):
    asked = ["benchmark", "--studies", "theophylline,stat5_boehm2014", *OWN]
    assert main(asked) == 0
    assert [(name, split) for name, split, _ in synthetic] == [
        ("theophylline", "time"),
        ("theophylline", "subject"),
        ("stat5_boehm2014", "time"),
    ]
    table = pd.read_csv("bench/benchmark.csv", keep_default_na=False)
    assert list(table.columns) == list(COLUMNS)
    assert table["study"].tolist() == ["theophylline", "theophylline", "stat5_boehm2014"]
    assert table["pooling"].tolist() == ["partial", "partial", ""]
    lines = Path("bench/benchmark.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    told = json.loads(Path("bench/benchmark.json").read_text(encoding="utf-8"))
    assert [row["study"] for row in told["rows"]] == table["study"].tolist()
    assert set(told["columns"]) == set(told["rows"][0]) == set(COLUMNS)
    assert told["rows"][0]["discrepancy"] is None
    assert "3 of 3 done" in capsys.readouterr().out

    assert main(asked) == 0
    assert len(synthetic) == 3
    assert capsys.readouterr().out.count("finished before") == 3
    pd.testing.assert_frame_equal(pd.read_csv("bench/benchmark.csv", keep_default_na=False), table)

    assert main([*asked, "--seed", "1"]) == 0
    assert len(synthetic) == 6


@pytest.mark.usefixtures("no_pictures", "in_process")
def test_benchmark_pools_subjects_in_three_ways(monkeypatch, synthetic):
    seen, working = [], calibration.assess

    def look(problem, split="time", **settings):
        seen.append((split.name, problem.names))
        return working(problem, split, **settings)

    monkeypatch.setattr(calibration, "assess", look)
    assert main(["benchmark", "--studies", "theophylline", "--out", "bench"]) == 0
    table = pd.read_csv("bench/benchmark.csv")
    assert table["pooling"].tolist() == ["partial", "none", "complete"] * 2
    partial, none, complete = (names for split, names in seen if split == "time")
    assert table["parameters"].tolist() == [len(partial), len(none), len(complete)] * 2
    assert "ka_between" in partial and "ka_between" not in none
    assert "ka[1]" in none and "ka[1]" not in complete and "ka" in complete
    assert len(complete) == 5


@pytest.mark.usefixtures("no_pictures", "in_process")
def test_a_quick_benchmark_takes_one_split_of_each_study(synthetic):
    assert main(["benchmark", "--studies", "theophylline,stat5_boehm2014", "--quick"]) == 0
    table = pd.read_csv("benchmark_quick/benchmark.csv", keep_default_na=False)
    assert list(zip(table["study"], table["split"], strict=True)) == [
        ("theophylline", "time"), ("stat5_boehm2014", "time")
    ]  # fmt: skip
    assert set(table["discrepancy_note"]) == {"not asked for"}
    assert main(["benchmark", "--quick", "--seed", "1"]) == 0
    studies = pd.read_csv("benchmark_quick/benchmark.csv")["study"]
    assert len(studies) == len(set(studies)) >= 10 and "hiv_actg315" not in set(studies)


@pytest.mark.usefixtures("no_pictures", "in_process")
def test_benchmark_goes_on_after_a_failure(synthetic, monkeypatch, capsys):
    working = calibration.assess

    def sometimes(problem, split="time", **settings):
        if problem.name == "theophylline":
            raise FloatingPointError("the pump\nleaks")
        return working(problem, split, **settings)

    monkeypatch.setattr(calibration, "assess", sometimes)
    asked = ["benchmark", "--studies", "theophylline,stat5_boehm2014", *OWN]
    assert main(asked) == 1
    shown = capsys.readouterr()
    assert "1 of 3 done, 2 failed" in shown.out
    assert "theophylline, time, partial pooling failed: FloatingPointError: the pump leaks" in shown.err
    saved = json.loads(Path("bench/rows/theophylline_time_partial.json").read_text(encoding="utf-8"))
    assert "FloatingPointError" in saved["traceback"]
    assert pd.read_csv("bench/benchmark.csv")["study"].tolist() == ["stat5_boehm2014"]

    # A failed row is tried again, a finished one is not.
    monkeypatch.setattr(calibration, "assess", working)
    assert main(asked) == 0
    assert [name for name, _, _ in synthetic] == ["stat5_boehm2014", "theophylline", "theophylline"]


@pytest.mark.usefixtures("no_pictures", "in_process")
def test_benchmark_keeps_finished_rows_when_interrupted(synthetic, monkeypatch, capsys):
    working = calibration.assess

    def interrupted(problem, split="time", **settings):
        if split.name == "subject":
            raise KeyboardInterrupt
        return working(problem, split, **settings)

    monkeypatch.setattr(calibration, "assess", interrupted)
    assert main(["benchmark", "--studies", "theophylline", *OWN]) == 130
    assert "theophylline_time_partial.json" in capsys.readouterr().err
    assert pd.read_csv("bench/benchmark.csv")["split"].tolist() == ["time"]


def test_benchmark_checks_and_makes_splits(capsys):
    assert main(["benchmark", "--check-splits", "--studies", "influenza_hayden1996"]) == 0
    shown = capsys.readouterr().out
    assert "influenza_hayden1996, experiment: 1 folds, 9 training and 18 test rows" in shown
    assert "another one today" not in shown
    assert main(["benchmark", "--write-splits"]) == 0
    assert "every split file is right already" in capsys.readouterr().out


def test_benchmark_refuses_an_unknown_study(synthetic, capsys):
    assert main(["benchmark", "--studies", "theophyline", "--out", "bench"]) == 2
    assert "did you mean 'theophylline'?" in capsys.readouterr().err
    assert main(["benchmark", "--studies", ",", "--out", "bench"]) == 2
    assert "no study is named" in capsys.readouterr().err
    assert not Path("bench").exists()
    assert synthetic == []
