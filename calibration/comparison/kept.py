"""What was computed for each model, kept in a folder so that a killed comparison goes on where it was."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from calibration.optimise import Fit, fit
from calibration.optimise.archive import write_whole
from calibration.optimise.checkpoint import description
from calibration.problem import Problem
from twin.errors import ProblemError

type Part = dict[str, Any]


class Kept:
    """Fits and numbers of one model; without a folder nothing is kept.

    Args:
        folder: Where the files lie, or None.
        name: The model's name among the others.
        problem: The model with its readings.
    """

    def __init__(self, folder: Path | None, name: str, problem: Problem) -> None:
        self.problem = problem
        self._identity = description(problem)
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:40]
        self._stem = f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        self._folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ProblemError(
                    f"the folder cannot be made ({error.strerror or error})", where=str(folder), expected="a folder"
                ) from error

    def fit(self, *, starts: int, seed: int, quiet: bool) -> Fit:
        """The fit, from the folder if it is there; one that was cut short goes on.

        Raises:
            KeyboardInterrupt: the fit was interrupted; its state is kept.
            ProblemError: the folder holds the fit of another problem.
        """
        settings = {"starts": starts, "seed": seed}
        if self._folder is None:
            return _whole(fit(self.problem, starts, seed, quiet=quiet))
        path, running = self._folder / f"{self._stem}.fit.nc", self._folder / f"{self._stem}.running.nc"
        note = self._folder / f"{self._stem}.fit.json"
        if note.exists() and path.exists():
            self._read(note, settings)
            return Fit.load(path)
        found = _whole(fit(self.problem, starts, seed, quiet=quiet, checkpoint=running))
        found.save(path)
        self._write(note, settings, {"nllh": float(found.nllh[0])})
        running.unlink(missing_ok=True)
        return found

    def part(self, name: str, settings: Mapping[str, Any], compute: Callable[[], Part]) -> Part:
        """Numbers under a name: read if they are there, else computed and written.

        Args:
            name: What they are, such as "loo".
            settings: What they depend on beside the problem.
            compute: Makes them: numbers, texts, lists and dictionaries of such.

        Raises:
            ProblemError: the folder holds those of another problem or of other settings.
        """
        if self._folder is None:
            return compute()
        path = self._folder / f"{self._stem}.{name}.json"
        if path.exists():
            return self._read(path, settings)
        found = compute()
        self._write(path, settings, found)
        return found

    def _read(self, path: Path, settings: Mapping[str, Any]) -> Part:
        try:
            text = json.loads(path.read_text(encoding="utf-8"))
            had, found = dict(text["asked"]), dict(text["found"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ProblemError(
                f"it cannot be read ({error})", where=str(path), fix="remove the file; it is computed again"
            ) from error
        asked = self._asked(settings)
        if different := [key for key in {**had, **asked} if had.get(key) != asked.get(key)]:
            raise ProblemError(
                f"it holds numbers for something else: {different[0]} differs",
                where=str(path),
                fix="give the same models and arguments as before, or another folder",
            )
        return found

    def _write(self, path: Path, settings: Mapping[str, Any], found: Part) -> None:
        text = json.dumps({"asked": self._asked(settings), "found": found}, indent=1)
        write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))

    def _asked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        return json.loads(json.dumps({**self._identity, **settings}, default=str))


def _whole(found: Fit) -> Fit:
    if found.interrupted:
        raise KeyboardInterrupt
    return found
