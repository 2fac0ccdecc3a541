"""Benchmarks run only when asked for (``-m benchmark``), one after the other and alone on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

ASKED = "benchmark"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """No workers side by side: they would measure each other."""
    if config.option.markexpr == ASKED and hasattr(config.option, "numprocesses"):
        config.option.numprocesses = 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves benchmarks out unless they are asked for by name of their marker."""
    if config.option.markexpr == ASKED:
        return
    left_out = [item for item in items if item.get_closest_marker(ASKED) is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def nothing_cached() -> Iterator[None]:
    """Programs compiled earlier are not read from disk; afterwards they are again."""
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", before)
    compilation_cache.reset_cache()
