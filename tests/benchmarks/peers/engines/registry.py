"""All engines that can be measured: module, options of the task, distribution, and how to install it."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Engine:
    """One engine in one mode.

    Attributes:
        module: Its module in this package.
        distribution: Name of the distribution that has to be installed.
        options: What the mode adds to a task.
        debian: Debian packages that it needs besides.
    """

    module: str
    distribution: str
    options: dict[str, Any] = field(default_factory=dict)
    debian: str = ""


CPP = "swig libopenblas-dev libhdf5-serial-dev cmake g++"

ENGINES: dict[str, Engine] = {
    "cytotwin": Engine("cytotwin", "cytotwin", {"solver": "rodas5p"}),
    "cytotwin tsit5": Engine("cytotwin", "cytotwin", {"solver": "tsit5"}),
    "AMICI forward": Engine("amici_cpp", "amici", {"mode": "forward"}, CPP),
    "AMICI adjoint": Engine("amici_cpp", "amici", {"mode": "adjoint"}, CPP),
    "AMICI JAX": Engine("amici_jax", "amici", {}, CPP),
    "libRoadRunner": Engine("roadrunner_loop", "libroadrunner", {"stiff": True}),
    "libRoadRunner Adams": Engine("roadrunner_loop", "libroadrunner", {"stiff": False}),
    "diffrax Kvaerno5": Engine("diffrax_lanes", "diffrax", {"solver": "Kvaerno5"}),
    "diffrax Tsit5": Engine("diffrax_lanes", "diffrax", {"solver": "Tsit5"}),
    "SciPy LSODA": Engine("scipy_loop", "scipy", {"solver": "LSODA"}),
    "SciPy Radau": Engine("scipy_loop", "scipy", {"solver": "Radau"}),
}


def missing(engine: str) -> str:
    """Why the engine cannot be measured here and what to do about it, or nothing."""
    entry = ENGINES[engine]
    try:
        version(entry.distribution)
    except PackageNotFoundError:
        system = f"apt-get install {entry.debian}; " if entry.debian else ""
        return f"{entry.distribution} is not installed: {system}uv sync --group peers"
    return ""
