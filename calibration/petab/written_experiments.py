"""A `twin.Experiment` as periods of PEtab: what is set at its start and at every later moment.

A dose at a moment is a state set to its value plus the amount, an infusion a parameter that is switched on and off, and
a change of a parameter is set at its start and taken back at its end. What an experiment changes cannot be estimated
in PEtab, so an estimated parameter that is changed somewhere is estimated under another name (`bases`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from calibration.petab.errors import UnsupportedPetabError
from twin.experiment import Bolus, Change, Experiment, Infusion
from twin.experiment.experiment import Value
from twin.model import Model
from twin.model.formula import parse
from twin.model.printing import to_text
from twin.model.symbols import symbol
from twin.units import convert


@dataclass(frozen=True)
class WrittenPeriod:
    """A period.

    Args:
        start: When it begins; minus infinity for a run to steady state.
        values: What is set, as text.
    """

    start: float
    values: dict[str, str]


def infusion_name(state: str) -> str:
    """The parameter that holds the rate at which a state is infused."""
    return f"infusion_into_{state}"


class PeriodWriter:
    """Writes the experiments of one series of readings.

    Args:
        model: The model as it is written, infusions included.
        bases: What each parameter that some experiment sets is where this one does not.
        constants: Parameters that nothing changes: conditions may only use names of the parameter table.
        where: The experiment, for messages.
    """

    def __init__(self, model: Model, bases: Mapping[str, str], constants: Mapping[str, float], where: str) -> None:
        self.model, self.where = model, where
        self._bases = dict(bases)
        self._constants = {symbol(name): parse(value) for name, value in constants.items()}
        self._now: dict[sp.Symbol, sp.Expr] = self._put_back(bases)
        self._plain = self._bases

    def write(self, experiment: Experiment) -> list[WrittenPeriod]:
        """The periods of an experiment.

        Raises:
            UnsupportedPetabError: a time given by a formula, or changes of one parameter that overlap.
        """
        bases = self._bases | {name: self._text(value) for name, value in experiment.parameters.items()}
        self._now = self._put_back(bases)
        self._plain = bases
        t0 = experiment.t0
        initial = {name: self._text(value) for name, value in experiment.initial.items()}
        present = self._initial() if experiment.equilibrate is None else {}
        first = self._at(t0, experiment, present | initial)
        periods = []
        if experiment.equilibrate is None:
            periods.append(WrittenPeriod(t0, bases | initial | first))
        else:
            resting = experiment.equilibrate
            given = {name: self._text(v) for name, v in (*resting.parameters.items(), *resting.initial.items())}
            periods.append(WrittenPeriod(-math.inf, bases | given))
            back = {name: bases.get(name, self._default(name)) for name in resting.parameters}
            periods.append(WrittenPeriod(t0, back | initial | first))
        for moment in sorted(m for m in self._moments(experiment) if m > t0):
            periods.append(WrittenPeriod(moment, self._at(moment, experiment, {})))
        return periods

    def _initial(self) -> dict[str, str]:
        """Initial states of the model, with what the experiment sets."""
        names = self.model.state_names
        return {n: to_text(value.xreplace(self._now)) for n, value in zip(names, self.model.initial, strict=True)}

    def _put_back(self, bases: Mapping[str, str]) -> dict[sp.Symbol, sp.Expr]:
        return self._constants | {symbol(name): self._expression(text) for name, text in bases.items()}

    def _at(self, moment: float, experiment: Experiment, present: Mapping[str, str]) -> dict[str, str]:
        """What is set at one moment by changes, infusions, resets and boluses.

        Args:
            moment: The moment.
            experiment: The experiment.
            present: States just before, where their names do not say it.
        """
        values: dict[str, str] = {}
        for change in experiment.changes:
            start, stop = self._span(change, experiment.t0)
            if stop == moment:
                values.setdefault(change.target, self._plain.get(change.target, self._default(change.target)))
            if start == moment:
                values[change.target] = self._text(change.value)
        infused: dict[str, list[str]] = {}
        for dose in (dose for dose in experiment.doses if isinstance(dose, Infusion)):
            for start, stop in self._infusions(dose):
                if moment in (start, stop):
                    infused.setdefault(dose.target, [])
        for dose in (dose for dose in experiment.doses if isinstance(dose, Infusion) and dose.target in infused):
            rate = f"({self._amount(dose)})/({self._text(dose.duration)})"
            infused[dose.target] += [rate for start, stop in self._infusions(dose) if start <= moment < stop]
        values |= {infusion_name(state): " + ".join(rates) or "0" for state, rates in infused.items()}
        for reset in experiment.resets:
            if self._number(reset.time, "a reset") == moment:
                values[reset.target] = self._text(reset.value)
        for dose in (dose for dose in experiment.doses if isinstance(dose, Bolus)):
            for count in range(dose.count):
                if self._number(dose.time, "a dose") + count * self._number(dose.every or 0.0, "a dose") == moment:
                    before = values.get(dose.target, present.get(dose.target, dose.target))
                    values[dose.target] = f"({before}) + ({self._amount(dose)})"
        return values

    def _moments(self, experiment: Experiment) -> set[float]:
        moments = {self._number(reset.time, "a reset") for reset in experiment.resets}
        for change in experiment.changes:
            moments |= {t for t in self._span(change, experiment.t0) if math.isfinite(t)}
        for dose in experiment.doses:
            if isinstance(dose, Infusion):
                moments |= {t for span in self._infusions(dose) for t in span}
            else:
                first, every = self._number(dose.time, "a dose"), self._number(dose.every or 0.0, "a dose")
                moments |= {first + count * every for count in range(dose.count)}
        return moments

    def _span(self, change: Change, t0: float) -> tuple[float, float]:
        start = t0 if change.start is None else max(t0, self._number(change.start, "a change"))
        return start, math.inf if change.stop is None else self._number(change.stop, "a change")

    def _infusions(self, dose: Infusion) -> list[tuple[float, float]]:
        first, every = self._number(dose.start, "an infusion"), self._number(dose.every or 0.0, "an infusion")
        duration = self._number(dose.duration, "an infusion")
        return [(first + i * every, first + i * every + duration) for i in range(dose.count)]

    def _amount(self, dose: Bolus | Infusion) -> str:
        text = self._text(dose.amount)
        if dose.unit is None:
            return text
        return f"({text})*{float(convert(1.0, dose.unit, self.model.unit(dose.target), where=self.where))!r}"

    def _number(self, value: Value, what: str) -> float:
        if isinstance(value, str):
            raise UnsupportedPetabError(
                f"the time of {what} is the formula {value!r}",
                where=self.where,
                expected="a number: PEtab has no times given by parameters",
            )
        return float(value)

    def _expression(self, value: Value) -> sp.Expr:
        return parse(value, where=self.where)

    def _text(self, value: Value) -> str:
        """A value with every changed parameter put back to what it is without the change."""
        if not isinstance(value, str):
            return repr(float(value))
        return to_text(self._expression(value).xreplace(self._now))

    def _default(self, name: str) -> str:
        return repr(float(self.model.default_parameters[name]))
