"""Broken tables: each complaint names file, row and column."""

from __future__ import annotations

import pytest
from petab_files import SBML, VERSION_1, VERSION_2, Rows, Writer

from calibration.petab import PetabError, UnsupportedPetabError, read_petab

P1, O1, C1, M1 = (VERSION_1[name] for name in ("parameters", "observables", "conditions", "measurements"))
P2, O2, M2 = (VERSION_2[name] for name in ("parameters", "observables", "measurements"))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"measurements": [*M1, "y c x 1"]}, "measurements.tsv, row 5, column 'time': 'x' is no number"),
        ({"measurements": [*M1, "y c -1 1"]}, "row 5, column 'time': the time is -1"),
        ({"measurements": [*M1, "y c 1 NaN"]}, "row 5, column 'measurement': the cell is empty"),
        ({"measurements": [*M1, "z c 1 1"]}, "row 5, column 'observableId': the observable 'z' is not described"),
        ({"measurements": [*M1, "y d 1 1"]}, "column 'simulationConditionId': the condition 'd' is not described"),
        ({"measurements": ["observableId time measurement", "y 0 1"]}, "the column 'simulationConditionId' is missing"),
        ({"measurements": [M1[0]]}, "there are no measurements"),
        ({"measurements": [*M1, "y c 1 1 9 9"]}, "row 5: the row has 6 cells"),
        ({"measurements": [M1[0] + " noiseParameters", "y c 0 1 sd"]}, "column 'noiseParameters': 1 values are given"),
        ({"parameters": [*P1, "k lin 0 1 0.5 1"]}, "parameters.tsv, row 4, column 'parameterId': 'k' is there twice"),
        ({"parameters": [P1[0], "k log10 0 10 0.5 1", P1[2]]}, "column 'lowerBound': the bound 0 has no logarithm"),
        ({"parameters": [P1[0], "k lin 1 1 1 1", P1[2]]}, "the bounds leave nothing between 1 and 1"),
        ({"parameters": [P1[0], "k ln 1 2 1 1", P1[2]]}, "column 'parameterScale': 'ln' is not known"),
        ({"parameters": [P1[0], "k lin 1 2 1 2", P1[2]]}, "column 'estimate': '2' stands there"),
        ({"parameters": [P1[0], "A lin 1 2 1 1", P1[2]]}, "'A' is computed by the model"),
        ({"parameters": [P1[0] + " " + P1[0].split()[0]]}, "the column 'parameterId' is there twice"),
        ({"observables": [O1[0], "y A*zz sd"]}, "column 'observableFormula': unknown name 'zz'"),
        ({"observables": [O1[0], "y A*( sd"]}, "observables.tsv, row 2, column 'observableFormula'"),
        ({"observables": [O1[0], "y A -1"]}, "column 'noiseFormula': the noise scale is -1"),
        ({"observables": [O1[0], "y A*observableParameter2_y sd"]}, "are numbered"),
        ({"conditions": ["conditionId z", "c 1"]}, "conditions.tsv, row 2, column 'z': a condition sets 'z'"),
        ({"conditions": ["conditionId k", "c 2*k"]}, "column 'k': '2\\*k' stands there"),
        ({"conditions": ["conditionId loss", "c 1"]}, "sets 'loss', which the model computes"),
    ],
)
def test_tables_of_version_1(version_1: Writer, tables: dict[str, Rows], message: str) -> None:
    with pytest.raises(PetabError, match=message):
        read_petab(version_1(**tables))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"measurements": [*M2, "y e 1 1"]}, "column 'experimentId': the experiment 'e' is not described"),
        ({"parameters": [P2[0], "k 0 1 0.5 1", P2[2]]}, "column 'estimate': '1' stands there"),
        ({"parameters": [P2[0], "k -inf inf 0.5 true", P2[2]]}, "the bounds are -inf and inf"),
        ({"parameters": [P2[0] + " priorDistribution", "k 0 1 0.5 true beta"]}, "'beta' is not known"),
        (
            {"parameters": [P2[0] + " priorDistribution priorParameters", "k 0 1 0.5 true normal 1"]},
            "1 arguments are given for 'normal'",
        ),
        (
            {"experiments": ["experimentId time conditionId", "e inf -"], "measurements": [M2[0], "y e 1 1"]},
            "experiments.tsv, row 2, column 'time': the time is inf",
        ),
        (
            {"experiments": ["experimentId time conditionId", "e 2 -"], "measurements": [M2[0], "y e 1 1"]},
            "column 'time': the time is 1",
        ),
        (
            {
                "conditions": ["conditionId targetId targetValue", "c k A"],
                "experiments": ["experimentId time conditionId", "e 0 -", "e 1 c"],
                "measurements": [M2[0], "y e 1 1"],
                "parameters": [P2[0], P2[2]],
            },
            "'k' is set to a value that depends on A",
        ),
    ],
)
def test_tables_of_version_2(version_2: Writer, tables: dict[str, Rows], message: str) -> None:
    with pytest.raises(PetabError, match=message):
        read_petab(version_2(**tables))


@pytest.mark.parametrize(
    "name", ["../outside.tsv", "/etc/hostname", "http://example.org/a.tsv", "absent.tsv", "", "a\\0b"]
)
def test_nothing_outside_the_folder_is_read(version_1: Writer, name: str) -> None:
    path = version_1()
    (path.parent.parent / "outside.tsv").write_text("parameterId\n")
    path.write_text(path.read_text().replace("parameter_file: parameters.tsv", f'parameter_file: "{name}"'))
    with pytest.raises(PetabError, match="problem.yaml, parameter_file"):
        read_petab(path)


def test_a_link_that_leaves_the_folder_is_not_followed(version_1: Writer) -> None:
    path = version_1()
    outside = path.parent.parent / "outside.tsv"
    outside.write_text((path.parent / "parameters.tsv").read_text())
    (path.parent / "parameters.tsv").unlink()
    (path.parent / "parameters.tsv").symlink_to(outside)
    with pytest.raises(PetabError, match="a file in the folder of the problem or below it"):
        read_petab(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file holds a NoneType"),
        ("- a", "the file holds a list"),
        ("a: [", "this is no YAML"),
        ("[" * 5000, "this is no YAML"),
        ("format_version: 3", "the format version is 3"),
        ("format_version: 1\nproblems: 4", "4 stands there"),
        ("format_version: 1\nproblems: [{}, {}]", "2 problems stand in one file"),
        ("!!python/object/apply:os.getcwd []", "this is no YAML"),
    ],
)
def test_yaml_that_describes_no_problem(version_1: Writer, text: str, message: str) -> None:
    path = version_1()
    path.write_text(text)
    with pytest.raises(PetabError, match=message):
        read_petab(path)


def test_required_extensions_and_several_models_are_refused_by_name(version_2: Writer) -> None:
    path = version_2(yaml="extensions:\n  sciml: {version: 1, required: true}\n")
    with pytest.raises(UnsupportedPetabError, match="requires the extension 'sciml'"):
        read_petab(path)
    path = version_2()
    path.write_text(path.read_text().replace("  m:\n", "  n: {location: model.xml, language: sbml}\n  m:\n"))
    with pytest.raises(UnsupportedPetabError, match="2 models are named"):
        read_petab(path)


INITIAL = """<listOfInitialAssignments><initialAssignment symbol="{symbol}">
<math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><cn>3</cn><ci>{of}</ci></apply></math>
</initialAssignment></listOfInitialAssignments><listOfReactions>"""


def test_condition_that_initial_assignments_would_have_to_follow(version_1: Writer) -> None:
    model = SBML.replace("<listOfReactions>", INITIAL.format(symbol="B", of="A"), 1)
    conditions = ["conditionId A", "c 5"]
    with pytest.raises(UnsupportedPetabError, match=r"set A, and the initial value of .B. is computed from it"):
        read_petab(version_1(model=model, conditions=conditions))


def test_table_counts_before_an_initial_assignment(version_1: Writer) -> None:
    model = SBML.replace("<listOfReactions>", INITIAL.format(symbol="k", of="inflow"), 1)
    assert "k" in read_petab(version_1(model=model)).names
