"""The whole suites, as the command runs them; only on demand (``pytest -m conformance``)."""

from __future__ import annotations

import pytest
from committed import DOCS

from twin.cli import main

pytestmark = [pytest.mark.conformance, pytest.mark.slow, pytest.mark.xdist_group("whole suites")]


@pytest.mark.parametrize(
    ("suite", "folders"), [("sbml", ["sbml-semantic"]), ("petab", ["petab-testsuite", "petab-benchmarks"])]
)
def test_nothing_is_wrong_and_nothing_worse(suite: str, folders: list[str], suite_folder, tmp_path, capsys) -> None:
    places = [str(suite_folder(name)) for name in folders]
    status = main(["conformance", suite, *places, "--out", str(tmp_path / "table.tsv"), "--docs", str(DOCS)])
    assert status == 0, capsys.readouterr().out
