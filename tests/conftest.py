"""What all tests share: frugal threads, a cache of compiled programs, a guard on JAX's precision switch.

And one line that says how many cases of public suites ran.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# Set before JAX and BLAS are loaded: pytest-xdist already uses every core.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# Tracing makes millions of small objects that live on: by default Python looks through all of them again and again.
gc.set_threshold(100_000, 20, 50)

LEVEL = "--xla_backend_optimization_level"

MAPPINGS, MOST_MAPPINGS, BETWEEN_LOOKS = Path("/proc/self/maps"), 40_000, 10.0
"""Mappings of memory of this process, how many it may have, and seconds between two looks at them."""

_looked_at = 0.0

JUDGED = ("test_sbml_cases.py", "test_petab_cases.py", "test_stochastic_cases.py")
"""Files whose tests are one case of a public suite each."""


def pytest_configure(config: pytest.Config) -> None:
    """Compile quickly, and keep compiled programs between runs (``--cache-clear`` removes them).

    The default tests are short, and half of their time was the optimisation of machine code that runs for milliseconds:
    they take what LLVM gives without it (level 0). The slow ones, which run for longer, take the first of its three
    levels, the cheapest in all (8 % less processor time than the third, which users have).

    Each xdist worker has its own folder: JAX does not write entries atomically, and a half-written one is a warning.
    """
    if "benchmark" not in config.option.markexpr and LEVEL not in os.environ["XLA_FLAGS"]:
        os.environ["XLA_FLAGS"] += f" {LEVEL}={0 if 'not slow' in config.option.markexpr else 1}"
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or not hasattr(config, "cache"):
        return
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    # The cache plugin's own folder; workers have no `config.cache` that may make directories.
    folder = Path(config.rootpath) / ".pytest_cache" / "d" / f"jax-{worker}"
    folder.mkdir(parents=True, exist_ok=True)
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file run in one process, unless they say otherwise: what they share is compiled once.

    Cases of the public suites share nothing, and go where there is room.
    """
    for item in items:
        if item.path.name not in JUDGED and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(item.config.rootpath).as_posix()))


@pytest.fixture(autouse=True)
def precision_switch_stays() -> Iterator[None]:
    """Fails a test that leaves JAX's global precision switch other than it found it."""

    def switch() -> bool:
        jax = sys.modules.get("jax")
        return bool(jax.config.jax_enable_x64) if jax is not None else False

    before = switch()
    yield
    assert switch() == before, "the test left jax_enable_x64 flipped"


@pytest.fixture(autouse=True)
def mappings_are_left() -> Iterator[None]:
    """Lets go of compiled programs before a process has as many mappings of memory as Linux allows (65,530).

    Every compiled program takes several, and JAX crashes where it gets no more.
    """
    yield
    global _looked_at
    if time.monotonic() - _looked_at < BETWEEN_LOOKS or not MAPPINGS.exists():
        return
    _looked_at = time.monotonic()
    with MAPPINGS.open() as file:
        many = sum(1 for _ in file) > MOST_MAPPINGS
    if many:
        import jax

        jax.clear_caches()
        gc.collect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many cases of the public suites were judged."""
    found = Counter(
        outcome
        for outcome in ("passed", "failed", "skipped")
        for report in terminalreporter.stats.get(outcome, ())
        if getattr(report, "nodeid", "").rpartition("::")[0].endswith(JUDGED)
    )
    if found:
        counts = ", ".join(f"{number} {outcome}" for outcome, number in found.items())
        terminalreporter.write_line(f"conformance: {sum(found.values())} cases of the public suites ({counts})")
