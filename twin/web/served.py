"""What the page is about: a model, with the draws of a twin if there are some, and what the library knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from twin import library
from twin.errors import ExperimentError, LibraryError, TwinError
from twin.experiment.experiment import Experiment
from twin.web.people import DrawnPatients, SpreadPatients
from twin.web.posterior import Posterior, check_model, read_posterior
from twin.web.readings import COLUMNS, readings_of
from twin.web.settings import MOST_DOSES, TYPICAL, Dose, Settings, View, dose_of

if TYPE_CHECKING:
    from twin.model.model import Model
    from twin.study import Study

GIVEN = "as given"
"""Name of the experiment of the command line."""
PLAIN = ""
FIRST_SPREAD = 20.0
MOST_SHOWN = 4
MOST_COMPUTED = 24


@dataclass(frozen=True)
class Served:
    """A model or a twin with everything the page offers to set.

    Args:
        model: The mechanism.
        title: A line about it.
        until: Last time shown at first [model time unit].
        patients: Number of virtual patients.
        posterior: Draws, if it is a twin.
        studies: Studies of the library that use the model, by name.
        given: Experiment of the command line, if one was given.
        notes: What a reader should know before trusting the page.
    """

    model: Model
    title: str
    until: float
    patients: int
    posterior: Posterior | None
    studies: Mapping[str, Study]
    given: Experiment | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def study(self) -> Study | None:
        """The study that a twin was calibrated in, or the first of the model."""
        if self.posterior is not None:
            return self.studies.get(str(self.posterior.attrs.get("problem", "")))
        return next(iter(self.studies.values()), None)

    @cached_property
    def by_name(self) -> Mapping[str, Experiment]:
        """Experiments by name; of a model all that its studies have."""
        found: dict[str, Experiment] = {}
        if self.given is not None:
            found[GIVEN] = self.given
        studies = self.studies.values() if self.posterior is None else [self.study] if self.study else []
        for study in studies:
            for name, experiment in study.experiments.items():
                found.setdefault(name, experiment)
        return found or {PLAIN: Experiment()}

    @cached_property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments, the one to begin with first."""
        return tuple(self.by_name)

    @cached_property
    def drawn(self) -> DrawnPatients | None:
        """Patients of a twin."""
        if self.posterior is None:
            return None
        return DrawnPatients(self.posterior, self.model.parameter_names, self.study, self.patients)

    @cached_property
    def spread(self) -> SpreadPatients:
        """Patients of a model: those parameters differ that a study estimates, else all positive ones."""
        estimated = {e.name for study in self.studies.values() for e in study.estimates}
        positive = [name for name, value in self.model.default_parameters.items() if value > 0]
        varied = [name for name in positive if name in estimated] or positive
        return SpreadPatients(varied, self.patients)

    @cached_property
    def calibrated(self) -> tuple[str, ...]:
        """Parameters with draws."""
        return self.drawn.calibrated if self.drawn is not None else ()

    @cached_property
    def settable(self) -> tuple[str, ...]:
        """Parameters with a value that can be set."""
        return tuple(name for name in self.model.parameter_names if name not in self.calibrated)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """What can be dosed."""
        return self.model.state_names

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """What can be shown: observables first."""
        return (*self.model.observable_names, *self.model.state_names)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Of whom the page can speak."""
        return self.drawn.people if self.drawn is not None else (TYPICAL,)

    @cached_property
    def readings(self) -> pd.DataFrame:
        """Measurements in the model's units: those behind the draws, else those of the model's studies."""
        if self.posterior is not None and len(self.posterior.readings):
            return self.posterior.readings
        tables = [readings_of(study, self.model) for study in self.studies.values()]
        tables = [table for table in tables if len(table)]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({name: [] for name in COLUMNS})

    def start(self, experiment: str | None = None) -> Settings:
        """Settings as the page begins with them, for an experiment or the first."""
        name = self.experiments[0] if experiment is None else experiment
        values = {n: v for n, v in self._fixed.items() if n in self.settable}
        spread = FIRST_SPREAD if self.drawn is None else 0.0
        return Settings(name, self._doses(name), values, {}, spread, self.people[0])

    @cached_property
    def _fixed(self) -> dict[str, float]:
        return {**self.model.default_parameters, **(dict(self.study.fixed) if self.study is not None else {})}

    def first_view(self) -> View:
        """The view as the page begins."""
        shown = (self.model.observable_names or self.model.state_names)[:MOST_SHOWN]
        measured = [n for n in dict.fromkeys(self.readings["observable"]) if n in self.variables and n not in shown]
        shown = (*shown, *measured)[:MOST_SHOWN] if len(shown) < MOST_SHOWN else shown
        return View(self.start(), self.until, tuple(shown), shown[0])

    def _doses(self, name: str) -> tuple[Dose, ...]:
        doses = (dose_of(action) for action in self.by_name[name].doses)
        return tuple(dose for dose in doses if dose is not None)[:MOST_DOSES]

    def experiment(self, settings: Settings) -> Experiment:
        """What is done: the named experiment with the doses set; doses written as formulas stay as they are."""
        base = self.by_name[settings.experiment]
        kept = [action for action in base.doses if dose_of(action) is None]
        return replace(base, doses=(*kept, *(dose.action() for dose in settings.doses)))

    def bound(self, settings: Settings) -> frozenset[str]:
        """Parameters that the experiment itself sets, so that a slider would move nothing."""
        return frozenset(self.by_name[settings.experiment].parameters)


def serve_model(model: Model, *, until: float | None, patients: int, given: Experiment | None = None) -> Served:
    """A model, from the library or a file."""
    studies = _studies(model)
    served = Served(model, _title(model), 1.0, patients, None, studies, given, _notes(model))
    return replace(served, until=until if until is not None else _last(served))


def serve_posterior(
    path: Path, model: Model | None, *, until: float | None, patients: int, given: Experiment | None = None
) -> Served:
    """A calibrated twin.

    Args:
        path: The posterior file.
        model: Its model; None: the library's of the name in the file.
        until: Last time shown; None: that of the readings.
        patients: Most draws.
        given: Experiment of the command line.

    Raises:
        ExperimentError: The file cannot be used, or belongs to another model.
    """
    posterior = read_posterior(path)
    if model is None:
        try:
            model = library.load_model(posterior.model)
        except LibraryError as error:
            raise ExperimentError(
                f"it is of the model {posterior.model!r}, which the library does not have",
                where=path.name,
                fix="give the model's file with --model FILE.xml",
            ) from error
    check_model(posterior, model)
    studies = _studies(model)
    served = Served(model, _title(model), 1.0, patients, posterior, studies, given, _notes(model))
    if served.study is None and given is None:
        note = "The study of these draws is not in the library: nothing is dosed unless it is set here or with --dose."
        served = replace(served, notes=(*served.notes, note))
    return replace(served, until=until if until is not None else _last(served))


def _studies(model: Model) -> dict[str, Study]:
    found = {}
    for name in library.list_studies():
        study = library.study(name)
        if study.model == model.name and library.load_model(study.model).fingerprint == model.fingerprint:
            found[name] = study
    return found


def _title(model: Model) -> str:
    try:
        card = library.card(model.name)
    except LibraryError:
        return model.description
    return card.title if card.model.fingerprint == model.fingerprint else model.description


def _notes(model: Model) -> tuple[str, ...]:
    try:
        card = library.card(model.name)
    except LibraryError:
        return ()
    if card.model.fingerprint != model.fingerprint:
        return ()
    return (f"Valid range: {card.valid_range}",)


def _last(served: Served) -> float:
    """A quarter more than the last reading, else long enough for the last dose; refused if neither says."""
    times = served.readings["time"]
    times = times[times < float("inf")]
    begin = min(e.t0 for e in served.by_name.values())
    if len(times) and float(times.max()) > begin:
        return _round_up(float(times.max()) * 1.1)
    raise TwinError(
        f"nobody said how long {served.model.name!r} runs, and the library has no readings of it",
        where="twin serve",
        fix="give --until TIME",
    )


def _round_up(value: float) -> float:
    """The next number with two digits."""
    from math import ceil, floor, log10

    unit = 10.0 ** (floor(log10(value)) - 1)
    return round(ceil(value / unit - 1e-9) * unit, 12)
