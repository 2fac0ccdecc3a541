"""Files from strangers: each ends in a model or a typed error, and none reads outside its folder."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sbml_text import compartment, document, parameter, reaction, species

from twin.errors import ModelError, TwinError, UnsupportedModelError
from twin.exchange.sbml import read_sbml

COMP = "http://www.sbml.org/sbml/level3/version1/comp/version1"
FBC = "http://www.sbml.org/sbml/level3/version1/fbc/version2"


@pytest.mark.parametrize(
    "declaration",
    ['<!DOCTYPE sbml [<!ENTITY a "aaaaaaaa">]>', '<!DOCTYPE sbml SYSTEM "file:///etc/passwd">', "<!DOCTYPE sbml>"],
)
def test_document_types_are_refused(declaration):
    text = document(f"Parameters:{parameter('a', 1)}").replace("?>\n", f"?>\n{declaration}")
    with pytest.raises(ModelError, match=r"line \d+: the file declares a document type"):
        read_sbml(text)


def test_absurd_nesting_of_elements_is_refused():
    deep = "<notes>" + "<p>" * 5000 + "</p>" * 5000 + "</notes>"
    with pytest.raises(ModelError, match="nest more than"):
        read_sbml(document().replace("\n\n", deep))


@pytest.mark.parametrize("text", ["<sbml", "<a/>", "<sbml xmlns='x'/>", "\ufeff <sbml></sbml>", "<\0>"])
def test_what_is_no_sbml_is_refused(text):
    with pytest.raises(ModelError, match="SBML"):
        read_sbml(text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.xml: the file cannot be read"):
        read_sbml(tmp_path / "none.xml")


def test_a_byte_order_mark_and_encodings_are_read(tmp_path):
    text = document(f"Parameters:{parameter('a', 1)}").replace('id="a"', 'id="a" name="é"')
    for encoding, written in (("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("iso-8859-1", "ISO-8859-1")):
        path = tmp_path / f"{encoding}.xml"
        path.write_bytes(text.replace("UTF-8", written).encode(encoding))
        assert read_sbml(path).parameters[0].description == "é"
    assert read_sbml("\ufeff\n" + text).parameters[0].description == "é"


def with_external(source: str) -> str:
    definition = f'<comp:externalModelDefinition comp:id="E" comp:source="{source}"/>'
    submodel = '<comp:listOfSubmodels><comp:submodel comp:id="sub" comp:modelRef="E"/></comp:listOfSubmodels>'
    return (
        document(root=f'xmlns:comp="{COMP}" comp:required="true"', version=1)
        .replace('<model id="m" >', f'<model id="m">{submodel}')
        .replace(
            "</sbml>",
            f"<comp:listOfExternalModelDefinitions>{definition}</comp:listOfExternalModelDefinitions></sbml>",
        )
    )


def test_external_definitions_beside_the_model_are_put_in(tmp_path):
    (tmp_path / "part.xml").write_text(document(f"Parameters:{parameter('a', 1)}", version=1))
    (tmp_path / "model.xml").write_text(with_external("part.xml"))
    assert read_sbml(tmp_path / "model.xml").parameter_names == ("sub__a",)


@pytest.mark.parametrize(
    "source", ["../part.xml", "/{folder}/part.xml", "file:///{folder}/part.xml", "%2e%2e/part.xml"]
)
def test_external_definitions_elsewhere_are_refused(tmp_path: Path, source: str):
    (tmp_path / "part.xml").write_text(document(f"Parameters:{parameter('a', 1)}", version=1))
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "model.xml").write_text(with_external(source.format(folder=str(tmp_path).lstrip("/"))))
    with pytest.raises(ModelError, match="not in the folder of the model"):
        read_sbml(inner / "model.xml")


def test_external_definitions_of_a_text_are_refused():
    with pytest.raises(UnsupportedModelError, match="defined in another file"):
        read_sbml(with_external("part.xml"))


def test_flux_balance_is_refused_with_the_tool_that_does_it():
    objective = (
        '<fbc:listOfObjectives fbc:activeObjective="o"><fbc:objective fbc:id="o" fbc:type="maximize"/>'
        "</fbc:listOfObjectives>"
    )
    text = document(f"Parameters:{parameter('a', 1)}", root=f'xmlns:fbc="{FBC}" fbc:required="false"', version=1)
    text = text.replace('<model id="m" >', f'<model id="m" fbc:strict="false">{objective}')
    with pytest.raises(UnsupportedModelError, match=r"(?s)flux balance constraints.*COBRApy"):
        read_sbml(text)


def test_a_required_package_is_refused_by_name():
    qual = 'xmlns:qual="http://www.sbml.org/sbml/level3/version1/qual/version1" qual:required="true"'
    with pytest.raises(UnsupportedModelError, match="'qual'"):
        read_sbml(document(root=qual, version=1))
    arrays = 'xmlns:odd="http://www.sbml.org/sbml/level3/version1/odd/version1" odd:required="true"'
    with pytest.raises(ModelError, match="odd"):
        read_sbml(document(root=arrays, version=1))


VALID = document(
    f"Compartments:{compartment()}",
    f"Species:{species('S')}{species('T')}",
    f"Parameters:{parameter('k', 0.5)}",
    f"Reactions:{reaction('J', 'S', 'T', '<apply><times/><ci>k</ci><ci>S</ci></apply>')}",
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(VALID) - 1), st.integers(0, 40), st.text(alphabet='<>/="STkJC0129e.-x ', max_size=6))
def test_damaged_files_end_in_a_model_or_a_typed_error(start, length, inserted):
    with contextlib.suppress(TwinError):
        read_sbml(VALID[:start] + inserted + VALID[start + length :] if start else VALID)


@pytest.mark.parametrize(("level", "version"), [("3", "-1"), ("9", "2"), ("2", "2"), ("", "")])
def test_levels_that_do_not_exist_are_refused_before_libsbml_sees_them(level, version):
    text = document(f"Parameters:{parameter('a', 1)}").replace(
        'level="3" version="2"', f'level="{level}" version="{version}"'
    )
    with pytest.raises(ModelError, match=r"line \d+: level .* do not belong to the namespace"):
        read_sbml(text)


def test_prefixed_core_in_a_composition_is_refused() -> None:
    """libsbml would write beyond its memory."""
    core = "http://www.sbml.org/sbml/level3/version1/core"
    comp = "http://www.sbml.org/sbml/level3/version1/comp/version1"
    text = (
        f'<c:sbml xmlns:c="{core}" xmlns:m="{comp}" level="3" version="1" m:required="true"><c:model id="a"/></c:sbml>'
    )
    with pytest.raises(UnsupportedModelError, match="prefix 'c'"):
        read_sbml(text)
