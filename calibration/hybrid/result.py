"""What training a hybrid model found: the choice of its penalty, the fits, the term's size and its course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from calibration.hybrid.course import Course, course_of, sizes
from calibration.hybrid.network import as_module
from calibration.hybrid.term import NeuralTerm
from calibration.optimise import Fit
from calibration.problem import Problem

if TYPE_CHECKING:
    import equinox as eqx


@dataclass(frozen=True, eq=False)
class Hybrid:
    """A mechanism with a learned term, fitted.

    Args:
        mechanism: The problem of the mechanism alone.
        problem: The problem with the term, at the chosen width: for `calibration.sample`, `calibration.assess`, ...
        term: The term.
        width: Chosen width of its prior [unit of the term].
        choice: A row per width (0: the mechanism alone): mean CRPS of held-out readings, columns ``crps``, its standard
            error over folds ``error`` (NaN for one fold), and a column per fold.
        fit: Fit of the problem with the term to all readings that were given.
        mechanism_fit: Fit of the mechanism alone to the same.
    """

    mechanism: Problem
    problem: Problem
    term: NeuralTerm
    width: float
    choice: pd.DataFrame
    fit: Fit
    mechanism_fit: Fit

    @property
    def helps(self) -> bool:
        """Whether held-out readings were predicted better with the term than by the mechanism alone."""
        return bool(self.choice.loc[self.width, "crps"] < self.choice.loc[0.0, "crps"])

    @property
    def weights(self) -> dict[str, float]:
        """Weights of the network at the best fit."""
        return {name: float(self.fit.best[self.problem.names.index(name)]) for name in self.term.weights}

    @property
    def module(self) -> eqx.nn.MLP:
        """The network as an equinox module, a function of the inputs mapped to -1 to 1."""
        return as_module(self.term, self.weights)

    def values(self, *inputs: Float[np.ndarray, " *point"]) -> Float[np.ndarray, " *point"]:
        """The learned function [unit of the term] at given values of its inputs [their units]."""
        return self.term.values(self.weights, np.broadcast_arrays(*inputs))

    def course(self, theta: Float[np.ndarray, " parameter"] | None = None) -> Course:
        """The term along the trajectories of all series.

        Args:
            theta: A vector of `problem`, estimation scale; default the best fit.
        """
        return course_of(self.mechanism, self.problem, self.term, self.fit.best if theta is None else theta)

    def size(self, theta: Float[np.ndarray, " parameter"] | None = None) -> pd.DataFrame:
        """How large the term is beside the mechanism, by state and in total; see `calibration.hybrid.course.sizes`."""
        return sizes(self.course(theta), self.problem.model.state_names)

    def __repr__(self) -> str:
        name = self.problem.name
        if not self.helps:
            return f"Hybrid({name!r}: the term does not help on held-out readings)"
        crps = self.choice["crps"]
        gained = f"held-out CRPS {crps[0.0]:.3g} without, {crps[self.width]:.3g} with it"
        return f"Hybrid({name!r}: width {self.width:g}, {gained})"
