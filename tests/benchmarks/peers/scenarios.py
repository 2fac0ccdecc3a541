"""Ensembles to simulate: a model in SBML, sample times, and draws of its parameters, in a folder all engines read.

Draws are log-normal about the model's values, each parameter on its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

import twin

from .petab_folder import estimated_parameters, model_file

SPREAD = 0.2
"""Standard deviation of the logarithm of a parameter."""


@dataclass(frozen=True)
class Scenario:
    """One ensemble.

    Attributes:
        name: Name of the rows.
        write: Writes the model to a file, given PEtab problems by name, and returns the names of what is drawn.
        ts: Sample times.
        draws: Number of draws.
        stiff: Whether methods for non-stiff systems are hopeless.
    """

    name: str
    write: Callable[[Path, Mapping[str, Path]], list[str]]
    ts: Float[np.ndarray, " time"]
    draws: int
    stiff: bool = True

    def prepare(self, folder: Path, problems: Mapping[str, Path], seed: int = 0) -> tuple[list[str], list[str]]:
        """Writes model, times and draws.

        Returns:
            Names of the states, and of the parameters in the order of the columns of the draws.
        """
        folder.mkdir(parents=True, exist_ok=True)
        wanted = self.write(folder / "model.xml", problems)
        model = twin.read_sbml(folder / "model.xml")
        values = {name: model.default_parameters[name] for name in model.parameter_names if name in wanted}
        factors = np.exp(SPREAD * np.random.default_rng(seed).standard_normal((self.draws, len(values))))
        np.save(folder / "draws.npy", np.array(list(values.values())) * factors)
        np.save(folder / "times.npy", self.ts)
        return list(model.state_names), list(values)


def _of_petab(name: str) -> Callable[[Path, Mapping[str, Path]], list[str]]:
    """The model of a PEtab problem; what the problem estimates is drawn."""

    def write(path: Path, problems: Mapping[str, Path]) -> list[str]:
        shutil.copyfile(model_file(problems[name]), path)
        return [entry.name for entry in estimated_parameters(problems[name])]

    return write


def _of_model(make: Callable[[], twin.Model]) -> Callable[[Path, Mapping[str, Path]], list[str]]:
    """A model of this file; all parameters are drawn."""

    def write(path: Path, problems: Mapping[str, Path]) -> list[str]:
        model = make()
        twin.write_sbml(model, path)
        return list(model.parameter_names)

    return write


def _model(name: str, states: dict[str, float], parameters: dict[str, float], odes: dict[str, str]) -> twin.Model:
    return twin.Model(
        name,
        states=[twin.State(key, value) for key, value in states.items()],
        parameters=[twin.Parameter(key, value) for key, value in parameters.items()],
        odes=odes,
    )


def robertson() -> twin.Model:
    """Robertson's autocatalysis: Robertson 1966; values of Hairer & Wanner 1996, Solving ODEs II, eq. IV.1.4."""
    values = {"k1": 0.04, "k2": 3e7, "k3": 1e4}
    odes = {"A": "-k1*A + k3*B*C", "B": "k1*A - k3*B*C - k2*B^2", "C": "k2*B^2"}
    return _model("robertson", {"A": 1.0, "B": 0.0, "C": 0.0}, values, odes)


def lotka_volterra() -> twin.Model:
    """Predator and prey: Lotka 1925, Volterra 1926; the values are a choice of ours."""
    values = {"birth": 1.5, "eaten": 1.0, "grown": 1.0, "death": 3.0}
    odes = {"prey": "birth*prey - eaten*prey*predator", "predator": "grown*prey*predator - death*predator"}
    return _model("lotka_volterra", {"prey": 10.0, "predator": 5.0}, values, odes)


def influenza() -> twin.Model:
    """Influenza limited by target cells: equations and values of the library's `influenza_teiv` (Baccam 2006)."""
    values = {"beta": 3.2e-5, "k": 4.0, "delta": 5.2, "p": 4.6e-2, "c": 5.2}
    odes = {"T": "-beta*T*V", "E": "beta*T*V - k*E", "I": "k*E - delta*I", "V": "p*I - c*V"}
    return _model("influenza", {"T": 4e8, "E": 0.0, "I": 0.0, "V": 0.075}, values, odes)


SCENARIOS = (
    Scenario("Boehm_JProteomeRes2014", _of_petab("Boehm_JProteomeRes2014"), np.linspace(0, 240, 61), 10_000),
    Scenario("Bachmann_MSB2011", _of_petab("Bachmann_MSB2011"), np.linspace(0, 240, 61), 1_000),
    # The insulin pulse of the model is from 2880 to 2895.
    Scenario("Smith_BMCSystBiol2013", _of_petab("Smith_BMCSystBiol2013"), np.linspace(0, 3000, 61), 1_000),
    Scenario("Robertson", _of_model(robertson), np.concatenate([[0.0], np.logspace(-2, 5, 29)]), 10_000),
    Scenario("Lotka-Volterra", _of_model(lotka_volterra), np.linspace(0, 20, 81), 10_000, stiff=False),
    Scenario("Influenza", _of_model(influenza), np.linspace(0, 7, 71), 10_000, stiff=False),
)
