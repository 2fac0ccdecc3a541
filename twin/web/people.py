"""Parameters of every patient on the page: an assumed spread around a model's values, or draws of a twin.

A model: ``p_i = p exp(s z_i)`` with standard normal ``z`` and ``s^2 = ln(1 + CV^2)``, so that the value set is the
median and CV the coefficient of variation. The ``z`` are drawn once, so that a moved slider moves every patient and
does not deal new ones.

A twin: one draw per lane. A parameter that differs between subjects is ``g(typical + between * eta)`` on its estimation
scale: eta is 0 for the typical patient, standard normal for new ones, and drawn with the rest for a calibrated subject.
One that differs between occasions, too, has ``+ between_occasions * kappa``: kappa is drawn with the rest where the
subject took part in the experiment that is shown, and standard normal where it is a further occasion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float

from twin.errors import ExperimentError
from twin.web.posterior import Posterior
from twin.web.settings import NEW, TYPICAL, Settings

if TYPE_CHECKING:
    from twin.study import Estimate, Study

type Columns = dict[str, Float[np.ndarray, " lane"]]
_SEED = 20_261


class SpreadPatients:
    """Patients of a model without a posterior; the first lane is the typical one, at the values set.

    Args:
        varied: Parameters that differ between patients: positive ones.
        count: Number of patients beside the typical one.
    """

    def __init__(self, varied: Sequence[str], count: int) -> None:
        self.varied, self.count = tuple(varied), count
        drawn = np.random.default_rng(_SEED).standard_normal((len(self.varied), count))
        self._z = np.concatenate([np.zeros((len(self.varied), 1)), drawn], axis=1)

    def columns(self, values: Mapping[str, float], settings: Settings) -> Columns:
        """Parameter values of every lane."""
        scale = np.sqrt(np.log1p((settings.spread / 100) ** 2))
        found = {}
        for name, value in values.items():
            varies = name in self.varied and value > 0
            found[name] = value * np.exp(scale * self._z[self.varied.index(name)]) if varies else value
        if found and not any(np.ndim(value) for value in found.values()):
            # A lane each all the same: the compiled program has one shape, whatever varies.
            name = next(iter(values))
            found[name] = np.full(1 + self.count, values[name])
        return {name: np.asarray(value, dtype=float) for name, value in found.items()}


class DrawnPatients:
    """Patients of a twin: draws of its posterior, evenly taken if there are more than lanes.

    Args:
        posterior: The draws.
        parameters: Names of the model's parameters.
        study: The study they were calibrated in, which says what differs between subjects; None if it is not known.
        count: Most lanes.
    """

    def __init__(self, posterior: Posterior, parameters: Sequence[str], study: Study | None, count: int) -> None:
        taken = np.linspace(0, posterior.size - 1, min(count, posterior.size)).round().astype(int)
        self._columns = {name: values[taken] for name, values in posterior.columns.items()}
        self._posterior, self._taken = posterior, taken
        self._estimates = {e.name: e for e in study.estimates} if study is not None else {}
        self.count = len(taken)
        self.calibrated = tuple(name for name in parameters if self._is_drawn(name))
        if not self.calibrated:
            raise ExperimentError(
                "none of its draws is of a parameter of the model",
                where=posterior.path.name,
                expected=f"one of {', '.join(parameters[:8])}",
            )
        self.differ = tuple(name for name in self.calibrated if self._spread(name, "between") is not None)
        self.subjects = self._groups("subject")
        rng = np.random.default_rng(_SEED)
        self._z = rng.standard_normal((len(self.differ), self.count))
        self._of_occasion = rng.standard_normal((len(self.differ), self.count))

    @property
    def people(self) -> tuple[str, ...]:
        """Of whom the page can speak, the first one to begin with."""
        separate = any(name not in self._columns and self._per(name) == "subject" for name in self.calibrated)
        if separate and self.subjects:
            return self.subjects  # values per subject without anything in common: there is no typical one
        return (TYPICAL, *((NEW,) if self.differ else ()), *self.subjects)

    def columns(self, settings: Settings) -> Columns:
        """Draws of every calibrated parameter for whom it is about, times the factors set."""
        found = {}
        for name in self.calibrated:
            values = self._values(name, settings)
            found[name] = values * settings.factors.get(name, 1.0)
        return found

    def median(self, name: str, settings: Settings) -> float:
        """Median of the draws of a parameter, before its factor."""
        return float(np.median(self._values(name, settings)))

    def _values(self, name: str, settings: Settings) -> np.ndarray:
        estimate = self._estimates.get(name)
        if name not in self._columns:
            groups = self._posterior.of_groups(name)
            group = settings.experiment if self._per(name) == "experiment" else settings.whom
            if group not in groups:
                group = next(iter(groups))
            return self._columns[groups[group]]
        typical, between = self._columns[name], self._spread(name, "between")
        if between is None or estimate is None or settings.whom == TYPICAL:
            return typical
        if settings.whom == NEW:
            eta = self._z[self.differ.index(name)]
        else:
            entry = self._posterior.of_groups(name, "_eta").get(settings.whom)
            if entry is None:
                return typical
            eta = self._columns[entry]
        return _moved(typical, between * eta + self._occasion(name, settings), estimate)

    def _occasion(self, name: str, settings: Settings) -> np.ndarray | float:
        """What is due to the occasion, on the estimation scale."""
        spread = self._spread(name, "between_occasions")
        if spread is None:
            return 0.0
        known = self._columns.get(f"{name}_kappa[{settings.whom}, {settings.experiment}]")
        return spread * (self._of_occasion[self.differ.index(name)] if known is None else known)

    def _spread(self, name: str, what: Literal["between", "between_occasions"]) -> np.ndarray | float | None:
        """A standard deviation on the estimation scale; None where nothing differs, or is known to."""
        estimate = self._estimates.get(name)
        given = None if estimate is None else getattr(estimate, what)
        if given is None:
            return None
        drawn = self._columns.get(f"{name}_{what}")
        if drawn is not None:
            return drawn
        return float(given) if isinstance(given, int | float) else None

    def _per(self, name: str) -> str:
        estimate = self._estimates.get(name)
        return estimate.per if estimate is not None else "subject"

    def _is_drawn(self, name: str) -> bool:
        return name in self._columns or bool(self._posterior.of_groups(name))

    def _groups(self, per: str) -> tuple[str, ...]:
        found: Iterable[str] = [
            group
            for name in self.calibrated
            if self._per(name) == per
            for group in (*self._posterior.of_groups(name), *self._posterior.of_groups(name, "_eta"))
        ]
        return tuple(dict.fromkeys(found))


def _moved(typical: np.ndarray, shift: np.ndarray, estimate: Estimate) -> np.ndarray:
    if estimate.scale == "lin":
        return typical + shift
    if estimate.scale == "logit":
        return 1.0 / (1.0 + (1.0 - typical) / typical * np.exp(-shift))
    return typical * (np.exp(shift) if estimate.scale == "log" else 10.0**shift)
