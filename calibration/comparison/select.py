"""`select`: a search through a space of models described in PEtab Select, each candidate fitted by `calibration.fit`.

The model space and the steps of the search are those of the library petab_select; what is ours is the calibration.

References:
    Pathirana et al., PLOS Computational Biology 21:e1013227 (2025), for PEtab Select.
"""

from __future__ import annotations

import math
import time
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from calibration.comparison.information_criteria import differences, information_criteria
from calibration.comparison.kept import Kept
from calibration.comparison.selection import Selection
from calibration.petab.read import read_petab
from calibration.prior_families import FLAT
from calibration.problem import Problem
from twin.errors import ProblemError, SimulationError, TwinError
from twin.precision import in_float64
from twin.progress import Progress, progress

STARTS = 50
METHODS = ("brute_force", "forward", "backward", "lateral")
CRITERIA = ("AIC", "AICc", "BIC", "NLLH")
WORSE = 0.1
"""Log units by which a model may fit worse than one that it contains before its fit counts as missed."""


@in_float64
def select(
    path: str | PathLike[str],
    *,
    folder: str | PathLike[str],
    starts: int = STARTS,
    seed: int = 0,
    quiet: bool = False,
) -> Selection:
    """Search a model space for the best model.

    Args:
        path: The YAML file of a PEtab Select problem; it names the method (brute_force, forward, backward or lateral)
            and the criterion (AIC, AICc, BIC or NLLH).
        folder: Where candidates, their PEtab problems and their fits are kept; the same call goes on from there after
            an interruption.
        starts: Starts of each fit.
        seed: Seed of the fits.
        quiet: Show no progress.

    Returns:
        All candidates that were fitted, and the best.

    Raises:
        TwinError: petab_select is not installed.
        ProblemError: the file cannot be read, asks for another method or criterion, or the folder holds something else.
        SimulationError: no candidate could be integrated.

    Example:
        >>> found = calibration.select("petab_select_problem.yaml", folder="selection")
        >>> found.best, found.problem().names
    """
    engine = _engine()
    path, folder = Path(path), Path(folder)
    described = _read(engine, path)
    method, criterion = described.method.value, described.criterion
    if method not in METHODS:
        raise ProblemError(f"the method is {method!r}", where=str(path), expected=", ".join(METHODS))
    if criterion.value not in CRITERIA:
        raise ProblemError(f"the criterion is {criterion.value!r}", where=str(path), expected=", ".join(CRITERIA))
    search = _Search(engine, criterion, folder, starts, seed, quiet)
    space, iteration = None, 0
    with progress(f"selecting by {criterion.value}", 1, quiet) as line:
        while True:
            iteration += 1
            step = engine.ui.start_iteration(problem=described, candidate_space=space)
            space = step[engine.constants.CANDIDATE_SPACE]
            fitted = engine.Models()
            for model in step[engine.constants.UNCALIBRATED_MODELS]:
                search.calibrate(model, iteration, line)
                fitted.append(model)
            ended = engine.ui.end_iteration(problem=described, candidate_space=space, calibrated_models=fitted)
            if ended[engine.constants.TERMINATE]:
                break
    return search.result(described, method)


class _Search:
    """Candidates one after another.

    Args:
        engine: The package petab_select.
        criterion: Its criterion.
        folder: Where everything is kept.
        starts: Starts of each fit.
        seed: Seed of the fits.
        quiet: Show no progress.
    """

    def __init__(self, engine: Any, criterion: Any, folder: Path, starts: int, seed: int, quiet: bool) -> None:
        self.engine, self.criterion, self.folder = engine, criterion, folder
        self.starts, self.seed, self.quiet = starts, seed, quiet
        self.rows: dict[str, dict[str, Any]] = {}
        self.models: dict[str, Any] = {}
        self.notes: list[str] = []

    def calibrate(self, model: Any, iteration: int, line: Progress) -> None:
        """Fit a candidate and set its likelihood, its parameters and its criterion."""
        name = str(model.hash)
        line.update(0, f"{len(self.rows) + 1}: {name}")
        begin = time.perf_counter()
        petab = self.folder / "candidates" / name
        written = model.to_petab(output_path=petab, set_estimated_parameters=False)
        problem = read_petab(written[self.engine.constants.PETAB_YAML])
        nllh, estimates = self._fitted(name, problem)
        kind = self.engine.Criterion
        model.set_criterion(kind.NLLH, nllh)
        if estimates:
            model.set_estimated_parameters(estimates)
        size, count = len(problem.names), len(problem.measurements)
        values = information_criteria(nllh, size, count)
        deciding = {**values, "NLLH": nllh}[self.criterion.value]
        if self.criterion != kind.NLLH:
            # NaN, for AICc with as many parameters as readings, would compare as neither better nor worse.
            model.set_criterion(self.criterion, math.inf if math.isnan(deciding) else deciding)
        before = str(model.predecessor_model_hash)
        self._check_nested(name, before, problem.names, nllh)
        self.rows[name] = {
            "iteration": iteration,
            "predecessor": before if before in self.rows else "",
            "estimated": ", ".join(problem.names),
            "parameters": size,
            "readings": count,
            "nllh": nllh,
            **values,
            "seconds": time.perf_counter() - begin,
        }
        self.models[name] = model

    def _fitted(self, name: str, problem: Problem) -> tuple[float, dict[str, float]]:
        kept = Kept(self.folder / "fits", name, problem)
        try:
            found = kept.fit(starts=self.starts, seed=self.seed, quiet=self.quiet)
        except SimulationError as error:
            self.notes.append(f"{name}: it could not be fitted ({error.found})")
            return math.inf, {}
        if found.at_bound:
            self.notes.append(f"{name}: on a bound: {', '.join(found.at_bound)}")
        if any(entry.prior.family not in FLAT for entry in problem.parameters.entries):
            self.notes.append(f"{name}: it has informative priors; the likelihood is that at the posterior's mode")
        best = problem.parameters.linear(found.best).tolist()
        return float(found.nllh[0]), dict(zip(problem.names, best, strict=True))

    def _check_nested(self, name: str, before: str, names: tuple[str, ...], nllh: float) -> None:
        """A model that contains another one fits at least as well, or its optimum was missed."""
        row = self.rows.get(before)
        if row is None or not set(row["estimated"].split(", ")) <= set(names):
            return
        if nllh > row["nllh"] + WORSE:
            self.notes.append(f"{name} fits worse than {before}, which it contains: optimum missed; raise starts")

    def result(self, described: Any, method: str) -> Selection:
        """Everything found, best first; the list of models is also written in the format of PEtab Select."""
        if not any(math.isfinite(row["nllh"]) for row in self.rows.values()):
            raise SimulationError("no candidate could be fitted", where="select", fix="look at the notes of one alone")
        table = pd.DataFrame.from_dict(self.rows, orient="index")
        table.index.name = "model"
        column = "nllh" if self.criterion.value == "NLLH" else self.criterion.value
        table["difference"] = differences(table[column].to_numpy())
        table = table.sort_values("difference", kind="stable")
        models = self.engine.Models(list(self.models.values()))
        with warnings.catch_warnings():
            # Criteria that are not in the list of the format are left out by petab_select with a warning.
            warnings.simplefilter("ignore", UserWarning)
            models.to_yaml(self.folder / "models.yaml")
        return Selection(
            table=table,
            criterion=self.criterion.value,
            method=method,
            best=str(table.index[0]),
            folder=self.folder,
            estimates=dict(self.models[str(table.index[0])].estimated_parameters),
            notes=tuple(self.notes),
        )


def _engine() -> Any:
    try:
        import petab_select
    except ImportError as error:
        raise TwinError(
            "petab_select is not installed",
            where="select",
            fix="pip install 'cytotwin[select]'",
        ) from error
    return petab_select


def _read(engine: Any, path: Path) -> Any:
    if not path.is_file():
        raise ProblemError("there is no such file", where=str(path), expected="the YAML file of a PEtab Select problem")
    try:
        return engine.Problem.from_yaml(path)
    except (ValueError, KeyError, TypeError, OSError, AttributeError) as error:
        raise ProblemError(
            f"it is no PEtab Select problem ({type(error).__name__}: {error})",
            where=str(path),
            expected="format_version, criterion, method, model_space_files",
        ) from error
