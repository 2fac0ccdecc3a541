"""Fixtures that write tiny PEtab problems into a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from petab_files import SBML, VERSION_1, VERSION_2, Rows, Writer, write_tables


@pytest.fixture
def version_1(tmp_path: Path) -> Writer:
    """Writes a problem of version 1; tables given by name take the place of the usual ones."""

    def write(model: str = SBML, yaml: str | None = None, **tables: Rows) -> Path:
        write_tables(tmp_path, VERSION_1 | tables, model)
        text = """format_version: 1
parameter_file: parameters.tsv
problems:
- sbml_files: [model.xml]
  condition_files: [conditions.tsv]
  observable_files: [observables.tsv]
  measurement_files: [measurements.tsv]
"""
        (tmp_path / "problem.yaml").write_text(yaml or text)
        return tmp_path / "problem.yaml"

    return write


@pytest.fixture
def version_2(tmp_path: Path) -> Writer:
    """The same for version 2."""

    def write(model: str = SBML, yaml: str = "", **tables: Rows) -> Path:
        tables = VERSION_2 | tables
        write_tables(tmp_path, tables, model)
        files = "".join(f"{name.removesuffix('s')}_files: [{name}.tsv]\n" for name in tables if name != "mapping")
        files += "mapping_files: [mapping.tsv]\n" if "mapping" in tables else ""
        head = "format_version: 2.0.0\nmodel_files:\n  m:\n    location: model.xml\n    language: sbml\n"
        (tmp_path / "problem.yaml").write_text(head + files + yaml)
        return tmp_path / "problem.yaml"

    return write
