"""`simulate_jumps`: stochastic simulation of many runs, exactly or by tau-leaping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import xarray as xr
from jaxtyping import Array, ArrayLike

from twin.errors import ExperimentError, suggestion
from twin.model.model import Model
from twin.precision import in_float64
from twin.simulation import check_count, check_positive
from twin.stochastic.direct_method import direct_method
from twin.stochastic.runs import Runs, ask, dataset_of_runs
from twin.stochastic.tau_leap import Numbers, tau_leap

METHODS = ("direct", "tau_leap")


@in_float64
def simulate_jumps(
    model: Model,
    ts: ArrayLike,
    parameters: Mapping[str, float] | None = None,
    variables: Sequence[str] | None = None,
    *,
    runs: int = 1000,
    seed: int = 0,
    method: str = "direct",
    epsilon: float = 0.03,
    max_events: int = 1_000_000,
) -> xr.Dataset:
    """Simulate a model as a jump process: molecules react one by one, by Gillespie's direct method.

    States count molecules (amounts in items, or numbers per compartment), and the rate of a reaction is its hazard. The
    law of the runs is exact; runs are lanes of one call. With ``method="tau_leap"`` many reactions are taken in
    one step where hazards hardly change: an approximation, and faster where states count thousands.

    Args:
        model: The mechanism: reactions only, rates of states and parameters.
        ts: Sample times, ascending; the runs begin at ``min(0, ts[0])``.
        parameters: Parameter values by name; one number each.
        variables: What to return, as for `twin.simulate`.
        runs: Number of runs.
        seed: Seed; equal seeds give equal runs.
        method: "direct" or "tau_leap".
        epsilon: Share by which hazards may change in a leap; below 1.
        max_events: Most reactions per run.

    Returns:
        A dataset with dimensions "run" and "time"; runs that failed are NaN, their number is in ``attrs["failed"]``,
        the mean number of reactions in ``attrs["events"]``.

    Raises:
        UnsupportedModelError: the model has parts that are no reactions, or rates that depend on time.
        ExperimentError: times, names or values that make no sense.
        SimulationError: every run failed.

    Example:
        >>> ds = twin.simulate_jumps(model, np.linspace(0, 50, 51), runs=10_000)
        >>> ds.X.mean("run"), ds.X.std("run")
    """
    asked = ask(model, ts, parameters, variables)
    count, most = check_count(runs, "runs"), check_count(max_events, "max_events")
    if method not in METHODS:
        raise ExperimentError(
            f"the method is {method!r}",
            where="simulate_jumps",
            expected=", ".join(METHODS),
            fix=suggestion(method, METHODS),
        )
    if not 0 < check_positive(epsilon, "epsilon") < 1:
        raise ExperimentError(f"epsilon is {epsilon:g}", where="simulate_jumps", expected="a number between 0 and 1")
    times, t0, jumps = jnp.asarray(asked.times), jnp.asarray(asked.t0), jnp.asarray(asked.jumps)

    molecule = jnp.asarray(asked.process.molecules(asked.values))

    def exactly(key: Array, p: Array) -> Runs:
        return direct_method(asked.process, key, times, t0, p, jumps, most)

    def by_leaps(key: Array, p: Array) -> Runs:
        return tau_leap(asked.process, key, times, t0, Numbers(p, jumps, molecule, jnp.asarray(epsilon)), most)

    if method == "direct":
        return dataset_of_runs(asked, exactly, count, seed, {"method": "direct method"})
    return dataset_of_runs(asked, by_leaps, count, seed, {"method": "tau-leaping", "epsilon": epsilon})
