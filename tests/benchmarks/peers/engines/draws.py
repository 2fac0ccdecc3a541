"""Draws of parameters as rows of all parameters of a model, in its order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

import twin
from twin.model.model import Model

from .task import Task


def load_draws(task: Task) -> tuple[Model, Float[np.ndarray, " time"], Float[np.ndarray, "draw parameter"]]:
    """The model of an ensemble, its sample times and a full parameter vector for every draw."""
    folder = Path(task["path"])
    model = twin.read_sbml(folder / "model.xml")
    draws = np.load(folder / "draws.npy")[: task["draws"]]
    full = np.tile([float(value) for value in model.default_parameters.values()], (len(draws), 1))
    full[:, [model.parameter_names.index(name) for name in task["parameters"]]] = draws
    return model, np.load(folder / "times.npy"), full
