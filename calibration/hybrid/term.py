"""A learned term of a vector field, written in the model's own mathematics: a network of one hidden layer.

With inputs u (formulas of the model, mapped so that their expected range is -1 to 1), the network

    g(u) = c + sum_j v_j tanh(b_j + sum_i W_ji u_i)

stands beside the mechanism: of every state i that the term acts on, d(state)/dt = mechanism + factor_i * g(u).
It is a reaction with assignments, its weights are parameters of the model: what works on a model (integration,
sensitivities, fits, sampling, export to SBML) works on it, too.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from twin.errors import ProblemError
from twin.model import Assignment, Model, Parameter, Reaction
from twin.model.parts import DIMENSIONLESS
from twin.study import Estimate, Prior

LARGEST = 6.0
"""Weights are bounded by this many standard deviations of their priors."""
MOST_UNITS = 12
"""Beyond that the program, unrolled over the units, takes long to compile, and the readings hardly tell the weights."""


@dataclass(frozen=True)
class TermInput:
    """What a learned term depends on.

    Args:
        formula: A formula of the model's states, parameters, assignments, inputs and ``time``.
        low: Lower end of the range in which it is expected; beyond the range the term flattens out.
        high: Upper end.
        unit: Unit of the formula.
    """

    formula: str
    low: float
    high: float
    unit: str = DIMENSIONLESS


@dataclass(frozen=True)
class NeuralTerm:
    """A learned term and what it acts on.

    Args:
        name: Its name; the network's output is to be had under it in formulas, ``<name>_flux`` is the reaction.
        into: Factor by state: the term adds ``factor * output`` to the state's time derivative. A factor that contains
            the state itself keeps a positive state positive.
        inputs: What it depends on.
        unit: Unit of the output; factor times output must have that of the state per time.
        units: Hidden units.
        bend: Standard deviation of the hidden weights' prior: how sharply the term may bend within the ranges.

    Raises:
        ProblemError: No input, no state, an empty range, too many units, or a name that is no identifier.

    Example:
        >>> NeuralTerm("learned", {"B": "B"}, (TermInput("log10(B)", 0, 10),), unit="1/hour")
    """

    name: str
    into: Mapping[str, str]
    inputs: Sequence[TermInput]
    unit: str = DIMENSIONLESS
    units: int = 3
    bend: float = 1.5

    def __post_init__(self) -> None:
        where = f"learned term {self.name!r}"
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", str(self.name)):
            raise ProblemError("the name is no identifier", where=where, expected="letters, digits and underscores")
        if not self.into or not self.inputs:
            raise ProblemError(
                "it acts on nothing" if self.inputs else "it depends on nothing",
                where=where,
                expected="a factor for at least one state, and at least one TermInput",
            )
        if not (isinstance(self.units, int) and 1 <= self.units <= MOST_UNITS):
            raise ProblemError(f"units is {self.units!r}", where=where, expected=f"a whole number up to {MOST_UNITS}")
        if not (np.isfinite(self.bend) and self.bend > 0):
            raise ProblemError(f"bend is {self.bend!r}", where=where, expected="a positive number")
        for each in self.inputs:
            if not (np.isfinite([each.low, each.high]).all() and each.low < each.high):
                raise ProblemError(
                    f"the range of {each.formula!r} is {each.low:g} to {each.high:g}",
                    where=where,
                    expected="finite ends, the lower one first",
                )

    # ---- names of its parts

    @property
    def hidden(self) -> list[list[str]]:
        """Names of the hidden weights [unit][input]."""
        return [[f"{self.name}_w{j}_{i}" for i in range(len(self.inputs))] for j in range(self.units)]

    @property
    def shifts(self) -> list[str]:
        """Names of the hidden units' biases."""
        return [f"{self.name}_b{j}" for j in range(self.units)]

    @property
    def heights(self) -> list[str]:
        """Names of the output weights."""
        return [f"{self.name}_v{j}" for j in range(self.units)]

    @property
    def level(self) -> str:
        """Name of the output's bias."""
        return f"{self.name}_c"

    @property
    def weights(self) -> tuple[str, ...]:
        """Names of all weights, hidden ones first."""
        return (*(name for row in self.hidden for name in row), *self.shifts, *self.heights, self.level)

    @property
    def scaled(self) -> list[str]:
        """Names of the inputs, mapped to -1 to 1."""
        return [f"{self.name}_u{i}" for i in range(len(self.inputs))]

    # ---- the model with it

    def added_to(self, model: Model) -> Model:
        """The model with the term, all weights zero: what it computes is what the mechanism alone computes.

        Raises:
            ModelError: A formula that cannot be read, a name that the model has already.
            UnitError: Units that do not fit.
        """
        for state in self.into:
            if state not in model.state_names:
                raise ProblemError(
                    f"it acts on {state!r}",
                    where=f"learned term {self.name!r}",
                    expected="states: " + ", ".join(model.state_names),
                )
        parameters, assignments = [], []
        for index, (name, each) in enumerate(zip(self.scaled, self.inputs, strict=True)):
            middle, half = f"{self.name}_middle{index}", f"{self.name}_half{index}"
            parameters.append(Parameter(middle, 0.5 * (each.low + each.high), each.unit, "Middle of an input's range"))
            parameters.append(Parameter(half, 0.5 * (each.high - each.low), each.unit, "Half of an input's range"))
            assignments.append(Assignment(name, f"(({each.formula}) - {middle}) / {half}", DIMENSIONLESS))
        for row in (*self.hidden, self.shifts):
            parameters += [Parameter(name, 0.0, DIMENSIONLESS, "Hidden weight, learned") for name in row]
        outputs = (*self.heights, self.level)
        parameters += [Parameter(name, 0.0, self.unit, "Output weight, learned") for name in outputs]
        sums = [
            " + ".join([shift, *(f"{weight} * {u}" for weight, u in zip(row, self.scaled, strict=True))])
            for shift, row in zip(self.shifts, self.hidden, strict=True)
        ]
        terms = [f"{height} * tanh({inner})" for height, inner in zip(self.heights, sums, strict=True)]
        network = Assignment(self.name, " + ".join([self.level, *terms]), self.unit, "Learned term")
        compartments = {part.name: part.compartment for part in model.states}
        reactions = [
            Reaction(
                self.flux(state),
                {state: 1},
                f"({factor}) * {self.name}" + (f" * {compartments[state]}" if compartments[state] else ""),
                "Learned, beside the mechanism",
            )
            for state, factor in self.into.items()
        ]
        return dataclasses.replace(
            model,
            name=f"{model.name}_{self.name}",
            parameters=(*model.parameters, *parameters),
            assignments=(*model.assignments, *assignments, network),
            reactions=(*model.reactions, *reactions),
            # A learned term keeps no total constant.
            conserved=(),
        )

    def flux(self, state: str) -> str:
        """Name of the reaction that brings the term into a state."""
        return f"{self.name}_flux_{state}"

    def estimates(self, width: float) -> tuple[Estimate, ...]:
        """Normal priors of all weights: the penalty on the term's size.

        Args:
            width: Standard deviation of output bias and, together, of the output weights [`unit`]: how large the term
                is expected to be. Small widths penalise more.
        """
        sd = dict.fromkeys(self.weights, self.bend)
        sd |= dict.fromkeys(self.heights, width / np.sqrt(self.units)) | {self.level: width}
        source = f"weights of a learned term of width {width:g}"
        return tuple(
            Estimate(name, -LARGEST * each, LARGEST * each, "lin", Prior("normal", 0.0, each, source), 0.0)
            for name, each in sd.items()
        )

    def values(
        self, weights: Mapping[str, float], inputs: Float[np.ndarray, "input *point"]
    ) -> Float[np.ndarray, " *point"]:
        """The term's output [`unit`] at given inputs [their units].

        Args:
            weights: Value of each weight.
            inputs: Values of the inputs' formulas.
        """
        u = [
            (np.asarray(x, dtype=float) - 0.5 * (each.low + each.high)) / (0.5 * (each.high - each.low))
            for x, each in zip(inputs, self.inputs, strict=True)
        ]
        total = np.full(np.shape(u[0]), float(weights[self.level]))
        for height, shift, row in zip(self.heights, self.shifts, self.hidden, strict=True):
            inner = weights[shift] + sum(weights[name] * x for name, x in zip(row, u, strict=True))
            total = total + weights[height] * np.tanh(inner)
        return total
