"""Public suites beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the public suites."""
    return Path(os.environ.get("CYTOTWIN_SHARED", HERE.parents[1].parent / "shared"))


@pytest.fixture(scope="session")
def suite_folder(shared: Path):
    """Finds a suite in it, or skips the test."""

    def find(name: str) -> Path:
        if not (shared / name).is_dir():
            pytest.skip(f"the suite is not in {shared / name}; set CYTOTWIN_SHARED to the folder that holds {name}/")
        return shared / name

    return find


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whole suites run only when they are asked for: ``pytest -m conformance``."""
    if "conformance" in config.option.markexpr:
        return
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("conformance"):
            item.add_marker(pytest.mark.skip(reason="a whole suite; run with -m conformance"))
