"""What the repository promises about itself: versions that agree, the licence, commands in the README, entry points."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import date
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
#: Of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT: dict[str, Any] = tomllib.loads(read("pyproject.toml"))
ENTRIES = [
    EntryPoint(name, value, group) for group, entries in PROJECT["project"]["entry-points"].items()
    for name, value in entries.items()
] + [EntryPoint(name, value, "console_scripts") for name, value in PROJECT["project"]["scripts"].items()]  # fmt: skip


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    found = re.search(r"^## \[(?P<version>[^]]+)\] - (?P<date>\S+)$", read("CHANGELOG.md"), re.MULTILINE)
    assert found, "the changelog has no line '## [version] - date'"
    assert found["version"] == PROJECT["project"]["version"]
    assert found["date"] == "Unreleased" or date.fromisoformat(found["date"])


def test_the_citation_is_complete_and_of_this_version() -> None:
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert {"authors", "message", "title"} <= set(citation)  # what the format requires
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["authors"] == [{"name": author["name"]} for author in PROJECT["project"]["authors"]]


def test_the_licence_is_apache_2_word_for_word() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2


def test_the_python_version_is_one_that_the_project_supports() -> None:
    pinned = tuple(map(int, read(".python-version").split(".")))
    lowest = tuple(map(int, PROJECT["project"]["requires-python"].removeprefix(">=").split(".")))
    assert pinned[:2] >= lowest
    assert f"Programming Language :: Python :: {pinned[0]}.{pinned[1]}" in PROJECT["project"]["classifiers"]


def test_no_lock_file_is_tracked() -> None:
    assert "uv.lock" in read(".gitignore").split()
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files", "uv.lock"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert listed.stdout == ""


def test_constraints_name_versions_and_no_hosts() -> None:
    text = read("constraints.txt")
    assert "http" not in text
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[^\s;]+( *;.*)?", line), line


@pytest.mark.parametrize("command", ["uv run twin demo", "uv run pytest"])
def test_the_readme_has_the_two_commands(command: str) -> None:
    assert command in read("README.md")


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_in_the_index(name: str) -> None:
    assert f"examples/{name}" in read("docs/README.md")


def test_the_index_lists_every_page_and_nothing_else() -> None:
    linked = set(re.findall(r"\]\((?!https?:)([^)#]+)\)", read("docs/README.md")))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= linked
    for target in linked:
        assert (ROOT / "docs" / target).exists(), target


def test_every_hook_is_local() -> None:
    config = yaml.safe_load(read(".pre-commit-config.yaml"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    entries = " ".join(hook["entry"] for repo in config["repos"] for hook in repo["hooks"])
    for tool in ("ruff check", "ruff format", "pyright", "lint-imports"):
        assert f"uv run {tool}" in entries


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.group}:{entry.name}")
def test_entry_points_import(entry: EntryPoint) -> None:
    loaded = entry.load()
    assert callable(loaded) or loaded.name in (entry.name, "models")


def test_commands_load_without_jax() -> None:
    """``twin --help`` answers at once because no command imports anything heavy at the top."""
    code = (
        "import sys; from twin.commands.command import find_commands; found = find_commands(); "
        "assert not found.broken, found.broken; assert 'jax' not in sys.modules and 'pandas' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
