"""The machine that the numbers are from, and the core that everything runs on."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DISTRIBUTIONS = ("cytotwin", "jax", "jaxlib", "amici", "libroadrunner", "diffrax", "scipy", "numpy", "petab")


def pin(core: int) -> None:
    """Keeps this process and those it starts on one core, if not negative; to be called before JAX is imported."""
    if core < 0:
        return
    if not hasattr(os, "sched_setaffinity"):
        print("this system cannot keep a process on a core; times are of all cores", file=sys.stderr)
        return
    os.sched_setaffinity(0, {core})


def write_description(path: Path) -> None:
    """Writes processor, operating system, versions and date."""
    path.write_text(json.dumps(description(), indent=2) + "\n")


def description() -> dict[str, object]:
    """Processor, operating system, versions and date."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "core used": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "any",
        "memory_GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": _system(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in DISTRIBUTIONS},
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
