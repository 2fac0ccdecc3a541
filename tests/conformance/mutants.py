"""A mutant: an SBML file or a PEtab problem with one damaged file, and what comes of it."""

from __future__ import annotations

import shutil
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from mutations import mutate

from calibration.petab import read_petab
from twin.errors import TwinError
from twin.exchange import read_sbml
from twin.simulation import simulate

TIMES = (0.0, 1.0)

_UNREAD = ("solution", "simulat", "visuali")
"""Files of a PEtab problem that are not read."""


@dataclass(frozen=True)
class Mutant:
    """A mutant to be made.

    Args:
        number: Its number; with the seed it decides everything.
        seed: The seed.
        source: An SBML file, or the YAML file of a PEtab problem.
        compute: Whether it is simulated, too; else it is only read.
    """

    number: int
    seed: int
    source: Path
    compute: bool = True

    @property
    def is_petab(self) -> bool:
        return self.source.suffix.lower() in (".yaml", ".yml")


def run(mutant: Mutant) -> tuple[str, str]:
    """Makes a mutant in a folder of its own and reads it.

    Returns:
        What came of it, and details: ``("result", ...)``, ``("not finite", ...)``, ``("<class> (typed)", message)`` or
        ``("<class> (UNTYPED)", message and place)``.
    """
    random = Random(f"{mutant.seed}/{mutant.number}")
    with tempfile.TemporaryDirectory(prefix="mutant") as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place) / "case"
        shutil.copytree(mutant.source.parent, folder)
        files = [path for path in sorted(folder.iterdir()) if path.suffix in (".xml", ".tsv", ".yaml")]
        victims = files if mutant.is_petab else [folder / mutant.source.name]
        victim = random.choice([path for path in victims if not any(word in path.name for word in _UNREAD)])
        way, content = mutate(victim.read_bytes(), victim.name, random)
        victim.write_bytes(content)
        what = f"{mutant.source.parent.name}/{victim.name}, {way}"
        kind, details = outcome(lambda: _compute(folder / mutant.source.name, mutant))
    return kind, f"{what}: {details}" if details else what


def outcome(function: Callable[[], np.ndarray]) -> tuple[str, str]:
    """What a function ends in: numbers, a typed error or another."""
    try:
        values = function()
    except TwinError as error:
        return f"{type(error).__name__} (typed)", " ".join(str(error).split())[:200]
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        told = " ".join(str(error).split())[:200]
        return f"{type(error).__name__} (UNTYPED)", f"{told} [{Path(place.filename).name}:{place.lineno}]"
    return ("result" if np.isfinite(values).all() else "not finite"), ""


def _compute(path: Path, mutant: Mutant) -> np.ndarray:
    if mutant.is_petab:
        problem = read_petab(path)
        return np.atleast_1d(np.asarray(problem.log_likelihood(problem.nominal))) if mutant.compute else np.zeros(1)
    model = read_sbml(path)
    if not mutant.compute:
        return np.zeros(1)
    ds = simulate(model, TIMES)
    return np.concatenate([ds[name].to_numpy().ravel() for name in ds.data_vars] or [np.zeros(1)])
