"""Values and gradients at tight tolerances, by this package and by AMICI, and how far they are apart.

Two engines that share no code give the reference. The tightest tolerance at which an engine gets through counts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .channel import Channel
from .engines.registry import missing
from .engines.task import EngineError
from .rounds import Limits

TOLERANCES = (1e-12, 1e-11, 1e-10)
BY = {"cytotwin": "cytotwin", "amici": "AMICI forward"}
AGREED = 1e-4
"""Relative distance below which the two references count as one."""
MAX_STEPS = 100_000

Result = dict[str, Any]


def references(name: str, path: Path, out: Path, build: Path, limits: Limits) -> dict[str, Result]:
    """The two references of a problem at its nominal vector; kept in a file of `out`.

    Returns:
        By source: "value", "gradient" (by parameter) and "rtol", or "failed" with the reason.
    """
    file = out / "references" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Result] = json.loads(file.read_text()) if file.exists() else {}
    for source, engine in BY.items():
        if "gradient" not in found.get(source, {}) and not missing(engine):
            found[source] = _tightest(engine, path, build, out / "engines.log", limits)
            file.write_text(json.dumps(found, indent=1) + "\n")
    return found


def _tightest(engine: str, path: Path, build: Path, log: Path, limits: Limits) -> Result:
    reason = ""
    for tolerance in TOLERANCES:
        task = {"kind": "gradient", "path": str(path.resolve()), "build": str(build), "vectors": [{}]}
        task |= {"rtol": tolerance, "atol": tolerance, "max_steps": MAX_STEPS}
        try:
            with Channel(engine, log) as channel:
                channel.open(task, limits.compile)
                result = channel.answer()["results"][0]
        except EngineError as error:
            reason = str(error)
            continue
        if np.all(np.isfinite([result["value"], *result["gradient"].values()])):
            return {**result, "rtol": tolerance}
        reason = "a result that is not finite"
    return {"failed": reason}


def distance(gradient: dict[str, float], reference: Result | None) -> float:
    """Norm of the difference over the norm of the reference, over all parameters of the reference."""
    if not reference or "gradient" not in reference:
        return float("nan")
    names = sorted(set(gradient) | set(reference["gradient"]))
    # A parameter that an engine does not report does not act on the simulation: slope 0.
    first, second = (np.array([g.get(name, 0.0) for name in names]) for g in (gradient, reference["gradient"]))
    return float(np.linalg.norm(first - second) / np.linalg.norm(second))


def judged(result: Result, found: dict[str, Result]) -> dict[str, float]:
    """Errors of a result as columns of the table.

    "error" is the distance from the mean of both references where they agree, else from the nearer one.
    """
    both = [found.get(source) for source in BY]
    errors = [distance(result["gradient"], reference) for reference in both]
    gap = (
        distance(found["amici"]["gradient"], found.get("cytotwin")) if "gradient" in found.get("amici", {}) else np.nan
    )
    known = [entry for entry in both if entry and "gradient" in entry]
    if gap < AGREED:
        names = set(known[0]["gradient"]) | set(known[1]["gradient"])
        mean = {name: np.mean([entry["gradient"].get(name, 0.0) for entry in known]) for name in names}
        error = distance(result["gradient"], {"gradient": mean})
    else:
        error = float(np.nanmin(errors)) if known else float("nan")
    value = float(np.mean([entry["value"] for entry in known])) if known else float("nan")
    return {
        "error": error,
        "error_value": abs(result["value"] - value) / max(abs(value), 1.0),
        "error_to_cytotwin": errors[0],
        "error_to_amici": errors[1],
        "reference_gap": gap,
    }
