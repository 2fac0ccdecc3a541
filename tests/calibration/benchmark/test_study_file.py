"""Studies from YAML files: the example is read, and what is wrong is named with its line and key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.benchmark.study_file import read_study
from calibration.benchmark.work import Task, perform, tasks_of
from twin.cli import main
from twin.errors import ProblemError
from twin.experiment.experiment import Bolus
from twin.located_yaml import LARGEST, read_located
from twin.study import Noise, Prior

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "own_benchmark.yaml"
TEXT = EXAMPLE.read_text(encoding="utf-8")


@pytest.fixture
def changed(tmp_path):
    """The example with a part of it replaced, in a folder of its own."""
    (tmp_path / "data").mkdir()
    table = EXAMPLE.parent / "data" / "own_benchmark.csv"
    (tmp_path / "data" / table.name).write_text(table.read_text(encoding="utf-8"), encoding="utf-8")

    def write(old: str, new: str) -> Path:
        assert old in TEXT
        path = tmp_path / "mine.yaml"
        path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
        return path

    return write


def test_the_example_is_a_study_in_the_models_units() -> None:
    own = read_study(EXAMPLE)
    assert own.study.experiments["default"].doses == (Bolus("gut", 5.0),)
    assert own.study.noise == {"concentration": Noise("log_normal", "sd_log")}
    assert own.study.estimates[0].between == Prior(
        "half_normal", scale=0.3, source="absorption differs by a factor of a few"
    )
    assert own.measurements.table["time"].max() == 24.0
    assert 2.0 < own.measurements.table["value"].max() < 12.0  # mg/L
    assert [(task.split, task.pooling) for task in tasks_of("", file=str(EXAMPLE))] == [
        (split, way) for split in ("time", "subject") for way in ("partial", "none", "complete")
    ]
    assert own.problem().study is own.study


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: my_drug", "nam: my_drug", r"line 4, key 'nam': there is no such key[\s\S]*did you mean 'name'"),
        ("name: my_drug", "name: ../drug", r"line 4, key 'name': here stands '../drug'"),
        ("name: my_drug\n", "", "the key 'name' is missing"),
        ("name: my_drug", "name: a\nname: b", r"line 5, key 'name': the key stands twice"),
        ("model: theophylline", "model: theofylline", r"line 5, key 'model': [\s\S]*did you mean 'theophylline'"),
        ("model: theophylline", "model: none.xml", r"line 5, key 'model': there is no file 'none.xml'"),
        ("data/own_benchmark.csv", "none.csv", r"line 6, key 'data': there is no file 'none.csv'"),
        ("gut=5@0", "gut=5", r"line 10, key 'experiments.default.doses\[1\]': the dose has no time"),
        ("lower: 0.1\n", "lower: low\n", r"line 13, key 'estimates\[1\].lower': here stands 'low'"),
        ("lower: 0.1\n", "lower: .nan\n", r"line 13, key 'estimates\[1\].lower': here stands '.nan'"),
        ("lower: 0.1\n", "lower: 20\n", r"the lower bound 20 is not below the upper bound 10"),
        ("per: subject", "per: person", r"line 15, key 'estimates\[1\].per': here stands 'person'"),
        ("half_normal", "halfnormal", r"key 'estimates\[1\].between.family': [\s\S]*did you mean 'half_normal'"),
        ("{ family: log_normal", "{ family: gauss", r"key 'noise.concentration.family': here stands 'gauss'"),
        ("noise:\n  concentration:", "noise:\n  -", r"key 'noise': here stands a list"),
        ("splits: [time, subject]", "splits: time", r"key 'splits': here stands 'time'[\s\S]*expected: a list"),
        ("splits: [time, subject]", "splits: [dose]", r"key 'splits\[1\]': here stands 'dose'"),
        ("splits: [time, subject]", "splits: [experiment]", "holds nothing out"),
        ("splits: [time, subject]", "splits: [time, sub", r"mine.yaml, line \d+: it is no YAML"),
        ("name: my_drug", "name: !!python/object/apply:os.getcwd []", r"key 'name': here stands a list"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_key(changed, old: str, new: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        read_study(changed(old, new))


def test_occasions_are_read(changed) -> None:
    visits = "per: subject\n    between_occasions: {}\n"
    for text, spread in (("0.2", 0.2), ("{ family: half_normal, scale: 0.1 }", Prior("half_normal", scale=0.1))):
        first, *others = read_study(changed("per: subject\n", visits.format(text))).study.estimates
        assert first.between_occasions == spread
        assert {e.between_occasions for e in others} == {None}


def test_files_that_are_no_description_are_refused(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    for content, said in ((b"", "the file is empty"), (b"\xff\xfe", "it is no YAML"), (b"a" * (LARGEST + 1), "bytes")):
        path.write_bytes(content)
        with pytest.raises(ProblemError, match=said):
            read_located(path)
    with pytest.raises(ProblemError, match="cannot be read"):
        read_located(tmp_path / "none.yaml")


def test_one_name_for_two_studies_is_refused(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["benchmark", "--study", str(EXAMPLE), "--study", str(EXAMPLE)]
    assert main(asked) == 2
    assert "two studies want the name 'my_drug_subject_complete'" in capsys.readouterr().err
    assert main([*asked[:2], "none.yaml"]) == 2
    assert "none.yaml: the file cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_the_example_becomes_a_row(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("calibration.sim2real.assessment.Assessment.to_html", lambda self, path: path.write_text("x"))
    for part in ("rows", "pages"):
        (tmp_path / part).mkdir()
    settings = {"seed": 0, "starts": 2, "chains": 2, "warmup": 50, "draws": 50}
    row, fresh = perform(Task("my_drug", "time", "complete", str(EXAMPLE)), settings, tmp_path, quiet=True)
    assert fresh and "error" not in row
    assert (row["dataset"], row["study"], row["parameters"], row["subjects"]) == ("own_benchmark", "my_drug", 4, 3)
    assert np.isfinite([row["gap"], row["crps"], row["elpd"], row["skill_spline"]]).all()
