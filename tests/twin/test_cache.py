"""Compiled programs are kept in the user's folder unless they say no, and a cache of theirs is left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache as programs

from twin.cache import cache_folder, keep_compiled_programs


def test_cache_folder_follows_the_platform(tmp_path: Path) -> None:
    home = Path.home()
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}, "linux").is_relative_to(tmp_path / "cytotwin")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}, "linux").is_relative_to(home / ".cache" / "cytotwin")
    assert cache_folder({}, "darwin").is_relative_to(home / "Library" / "Caches" / "cytotwin")
    assert cache_folder({"LOCALAPPDATA": str(tmp_path)}, "win32").is_relative_to(tmp_path / "cytotwin" / "Cache")
    assert cache_folder({}, "win32").is_relative_to(home / "AppData" / "Local" / "cytotwin")


@pytest.fixture
def _no_cache_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests have a cache of their own, which would be left as it is; and each process decides once."""
    names = ("dir", "max_size")
    settings = [f"jax_compilation_cache_{name}" for name in names] + ["jax_persistent_cache_min_compile_time_secs"]
    before = {name: getattr(jax.config, name) for name in settings}
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.delenv("CYTOTWIN_NO_CACHE", raising=False)
    keep_compiled_programs.cache_clear()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    keep_compiled_programs.cache_clear()
    programs.reset_cache()


@pytest.mark.usefixtures("_no_cache_of_the_tests")
def test_cache_is_switched_on_by_the_first_computation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = keep_compiled_programs()
    assert folder is not None
    assert folder.is_dir()
    assert jax.config.jax_compilation_cache_dir == str(folder)


@pytest.mark.usefixtures("_no_cache_of_the_tests")
def test_cache_of_the_user_is_left_alone(tmp_path: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    assert keep_compiled_programs() == tmp_path
    assert jax.config.jax_compilation_cache_dir == str(tmp_path)


@pytest.mark.usefixtures("_no_cache_of_the_tests")
def test_cache_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CYTOTWIN_NO_CACHE", "1")
    assert keep_compiled_programs() is None
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("_no_cache_of_the_tests")
def test_cache_that_cannot_be_created_is_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert keep_compiled_programs() is None
