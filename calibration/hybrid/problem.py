"""The problem of a mechanism with a learned term, and one compiled likelihood for all penalties."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from calibration.compiled import kept_program
from calibration.hybrid.term import NeuralTerm
from calibration.optimise.objective import Evaluation, Look, Objective
from calibration.problem import Problem
from twin.errors import ProblemError


def hybrid_problem(problem: Problem, term: NeuralTerm, width: float) -> Problem:
    """The problem with a learned term beside its mechanism; all that takes a `Problem` takes it.

    Args:
        problem: The problem of the mechanism alone.
        term: The learned term.
        width: How large the term is expected to be [unit of the term]: standard deviation of its prior at one point,
            about. The penalty on its weights grows as the width shrinks.

    Raises:
        ProblemError: a width that is not positive, a state that the model does not have.
        ModelError: a formula that does not fit the model.
    """
    if not (np.isfinite(width) and width > 0):
        raise ProblemError(f"the width is {width!r}", where=f"learned term {term.name!r}", expected="a positive number")
    return problem.rebuilt(
        model=term.added_to(problem.model),
        estimates=(*problem.estimates, *term.estimates(width)),
        name=f"{problem.name} with {term.name}",
    )


def share_likelihood(compiled: Problem, other: Problem) -> None:
    """Let the fit of a problem that differs only in its priors use another's compiled likelihood.

    Args:
        compiled: Whose likelihood is used; it is compiled when first asked for.
        other: The problem with other priors, of the same readings.
    """
    bare = Objective(compiled, with_prior=False)
    other.programs["objective", True] = _with_prior(bare._compiled, other)
    other.programs["look of the objective", True] = _look_with_prior(bare._looked, other)


def _look_with_prior(bare: Callable[[Array], Look], problem: Problem) -> Callable[[Array], Look]:
    """Adds the negative log prior to a look at the likelihood."""
    program = kept_program(problem, "density of the prior of a fit", lambda: problem.prior.log_density)

    def look(thetas: Float[Array, "start parameter"]) -> Look:
        found = bare(thetas)
        return found._replace(value=found.value - program(thetas))

    return look


def _with_prior(bare: Callable[[Array], Evaluation], problem: Problem) -> Callable[[Array], Evaluation]:
    """Adds the negative log prior, its gradient and precision to an evaluation of the likelihood."""

    def prior(thetas: Float[Array, "start parameter"]) -> tuple[Array, Array]:
        each = problem.prior.log_density(thetas)
        return each, jax.grad(lambda x: jnp.sum(problem.prior.log_density(x)))(thetas)

    program = kept_program(problem, "prior of a fit", lambda: prior)
    precision = np.diag(problem.prior.precision)

    def evaluate(thetas: Float[Array, "start parameter"]) -> Evaluation:
        found, (density, slope) = bare(thetas), program(thetas)
        return found._replace(
            value=found.value - density,
            gradient=found.gradient - slope,
            curvature=found.curvature + precision,
        )

    return evaluate
