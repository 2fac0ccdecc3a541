"""`twin conformance`: verdicts, the table, resuming, the committed tables, and bad input."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats

from calibration.conformance.petab_case import judge
from calibration.conformance.petab_suite import find_cases
from calibration.petab import write_petab
from calibration.problem import Problem
from twin.cli import main
from twin.conformance.table import read_table
from twin.study import Estimate, Noise

MODEL = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="decay">
<listOfCompartments><compartment id="c" size="2" constant="true"/></listOfCompartments>
<listOfSpecies><species id="S" compartment="c" initialAmount="1" hasOnlySubstanceUnits="false"
 boundaryCondition="false" constant="false"/></listOfSpecies>
<listOfReactions><reaction id="r" reversible="false"{fast}><listOfReactants>
<speciesReference species="S" stoichiometry="1" constant="true"/></listOfReactants>
<kineticLaw><math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>c</ci><ci>S</ci></apply></math>
</kineticLaw></reaction></listOfReactions></model></sbml>
"""
SETTINGS = (
    "start: 0\nduration: 1\nsteps: 2\nvariables: S\nabsolute: 1e-6\nrelative: 1e-4\namount: {a}\nconcentration: {c}\n"
)


def write_case(folder: Path, name: str, start: float, *, amount: bool = True, model: str = MODEL) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "model.xml").write_text(model.replace("{fast}", ""))
    (folder / name / "settings.txt").write_text(SETTINGS.format(a="S" if amount else "", c="" if amount else "S"))
    rows = [f"{t},{start * math.exp(-t)}" for t in (0.0, 0.5, 1.0)]
    (folder / name / "results.csv").write_text("\n".join(["time,S", *rows]) + "\n")


@pytest.fixture
def suite(tmp_path: Path, monkeypatch) -> Path:
    """Two cases that pass, one that is wrong, one that is no SBML."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "suite"
    write_case(folder, "00001", 1.0)
    write_case(folder, "00002", 0.5, amount=False)
    write_case(folder, "00003", 2.0)
    write_case(folder, "00004", 1.0, model="<sbml/>")
    rows = ["case\tlevel\ttestType\tpackages\tcomponentTags\ttestTags"]
    rows += [f"{n:05d}\tl3v2\tTimeCourse\t-\tSpecies\t{'Amount' if n != 2 else 'Concentration'}" for n in range(1, 5)]
    (folder / "index.tsv").write_text("\n".join(rows) + "\n")
    return folder


def test_verdicts_table_and_resuming(suite: Path, capsys) -> None:
    asked = ["conformance", "sbml", str(suite), "--out", "t.tsv", "--workers", "1", "--quiet"]
    assert main(asked) == 1
    said = capsys.readouterr()
    assert "4 cases: 2 passed, 1 refused, 1 wrong" in said.out
    assert "wrong: 00003: S at t = 0: 1 instead of 2" in said.out
    assert "nothing is compared" in said.err
    key, rows = read_table(Path("t.tsv"))
    assert {name: row.verdict.name for name, row in rows.items()} == {
        "00001": "passed",
        "00002": "passed",
        "00003": "wrong",
        "00004": "refused",
    }
    assert rows["00002"].tags == ("Species", "Concentration")
    # A run that was interrupted after two cases does the other two.
    lines = Path("t.tsv").read_text().splitlines(keepends=True)
    Path("t.tsv").write_text("".join(lines[:4]) + lines[4][:9])
    assert main(asked) == 1
    said = capsys.readouterr()
    assert "2 of 4 cases were finished before" in said.err
    assert "4 cases: 2 passed, 1 refused, 1 wrong" in said.out
    assert read_table(Path("t.tsv"))[0] == key


def test_the_committed_table_is_written_and_compared(suite: Path, capsys) -> None:
    Path("docs").mkdir()
    asked = ["conformance", "sbml", str(suite), "--workers", "1", "--quiet"]
    assert main([*asked, "--cases", "00001,00002,00004", "--write"]) == 0
    assert "| passed | 2 | 66.7% |" in Path("docs/conformance.md").read_text()
    # A case gets worse, another better.
    (suite / "00001" / "model.xml").write_text("<sbml/>")
    (suite / "00004" / "model.xml").write_text(MODEL.replace("{fast}", ""))
    capsys.readouterr()
    assert main([*asked, "--cases", "00001,00004"]) == 1
    said = capsys.readouterr().out
    assert "worse: 00001: passed -> refused" in said
    assert "better: 00004: refused -> passed" in said
    assert main([*asked, "--tags", "Concentration"]) == 0


def test_the_layout_of_the_published_suite(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_case(tmp_path / "semantic", "00001", 1.0)
    case = tmp_path / "semantic" / "00001"
    for name in ("settings.txt", "results.csv"):
        (case / name).rename(case / f"00001-{name}")
    (case / "model.xml").rename(case / "00001-sbml-l3v2.xml")
    (case / "00001-sbml-l2v1.xml").write_text("<sbml/>")
    (case / "00001-model.m").write_text("(*\ncomponentTags: Species\ntestTags: Amount\ntestType: TimeCourse\n*)\n")
    assert main(["conformance", "sbml", "semantic", "--tags", "Amount", "--workers", "1"]) == 0
    assert "1 case: 1 passed" in capsys.readouterr().out


def test_a_benchmark_problem_is_judged_by_its_reference(tmp_path: Path, decay, table_of_rows) -> None:
    rows = [("e", "1", "y", 0.0, 2.1), ("e", "1", "y", 1.0, 1.1), ("e", "1", "y", 2.0, 0.8)]
    problem = Problem(decay, table_of_rows(rows), [Estimate("k", 0.1, 10.0, nominal=0.5)], Noise("normal", 0.1))
    densities = stats.norm([2.0 * math.exp(-0.5 * t) for t in (0, 1, 2)], 0.1).logpdf([2.1, 1.1, 0.8])
    expected = float(densities.sum())
    folder = tmp_path / "own"
    folder.mkdir()
    write_petab(problem, folder)
    (written,) = folder.glob("*.yaml")
    written.rename(folder / "own.yaml")
    (case,) = find_cases(tmp_path)
    assert (case.name, case.kind, case.tags) == ("own", "benchmark", ("benchmark",))
    for value, name in ((1.0005 * expected, "passed"), (1.002 * expected, "wrong")):
        (tmp_path / "reference.tsv").write_text(f"problem\tlog_likelihood\nown\t{value!r}\n")
        assert judge(case).name == name
    # Without a reference the table of simulations is the bar; its rows may be in another order.
    (tmp_path / "reference.tsv").unlink()
    assert judge(case).reason.startswith("TwinError: there is no reference")
    simulated = [f"y\t{t}\t{2.0 * math.exp(-0.5 * t)!r}" for t in (2, 0, 1)]
    (folder / "simulatedData_own.tsv").write_text("\n".join(["observableId\ttime\tsimulation", *simulated, ""]))
    assert judge(case).name == "passed"


def test_cases_of_petab_have_names_that_do_not_depend_on_the_folder(tmp_path: Path) -> None:
    case = tmp_path / "v2.0.0" / "pysb" / "0001"
    case.mkdir(parents=True)
    (case / "_0001.yaml").write_text("format_version: 2.0.0\nmodel_files: {m: {location: m.py, language: pysb}}\n")
    (case / "_0001_solution.yaml").write_text("llh: 1.0\n")
    (tmp_path / "math_tests.yaml").write_text("cases:\n- {expression: '1', expected: 1.0}\n")
    assert [found.name for found in find_cases(tmp_path)] == ["maths-001", "v2-pysb-0001"]
    assert [found.name for found in find_cases(case)] == ["v2-pysb-0001"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sbml", "nowhere"], "there is no folder 'nowhere'"),
        (["sbml", "."], "there is no case of the SBML test suite"),
        (["petab", "suite"], "there is no case of PEtab's test suites"),
        (["sbml", "suite", "--cases", "1"], "there is no case '1'"),
        (["sbml", "suite", "--tags", "Amont"], "did you mean 'Amount'?"),
        (["sbml", "suite", "--cases", "00002", "--tags", "Amount"], "no case is left"),
        (["sbml", "suite", "suite"], "the case '00001' is in"),
        (["sbml", "suite", "--limit", "0"], "not a positive number of seconds"),
        (["sbml", "suite", "--write"], "there is no folder 'docs'"),
        (["sbml", "suite", "--out", "suite/00001/results.csv"], "expected: a name that ends in .tsv"),
        (["other", "suite"], "invalid choice"),
    ],
)
def test_bad_input_is_said(arguments: list[str], message: str, suite: Path, capsys) -> None:
    for case in suite.glob("*"):
        if case.name not in ("00001", "00002", "index.tsv"):
            for file in case.glob("*"):
                file.unlink()
            case.rmdir()
    assert main(["conformance", *arguments]) == 2
    assert message in capsys.readouterr().err
