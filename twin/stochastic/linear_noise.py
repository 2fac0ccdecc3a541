"""`linear_noise`: means and covariances of a jump process, without runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, ArrayLike, Float

from twin.model.model import Model
from twin.precision import in_float64
from twin.simulation import simulate, unit_of
from twin.stochastic.moments import covariance_name, moment_model
from twin.stochastic.runs import Asked, ask


@in_float64
def linear_noise(
    model: Model,
    ts: ArrayLike,
    parameters: Mapping[str, float] | None = None,
    variables: Sequence[str] | None = None,
    *,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> xr.Dataset:
    """Means and covariances of a jump process by the linear noise approximation: one integration, no runs.

    The mean obeys the differential equations of the model; deviations from it are normal, with a covariance that obeys
    a linear equation along the mean. Exact in both moments where all hazards are linear in the states, good where
    states count many molecules, wrong where the process has two modes or a state is often empty.

    Args:
        model: The mechanism: reactions only, rates of states and parameters. Its initial state is taken as known.
        ts: Sample times, ascending; the process begins at ``min(0, ts[0])``.
        parameters: Parameter values by name; one number each.
        variables: What to return, as for `twin.simulate`; observables and expressions are linearised at the mean.
        rtol: Relative tolerance.
        atol: Absolute tolerance of means (molecules) and covariances.

    Returns:
        A dataset of ``mean`` and ``sd`` with dimensions "variable" and "time", and ``covariance`` with dimensions
        "variable", "other" and "time"; the coordinate "unit" has the units.

    Raises:
        UnsupportedModelError: the model has parts that are no reactions, or rates that depend on time.
        ExperimentError: times, names or values that make no sense.
        SimulationError: the integration failed.

    Example:
        >>> ds = twin.linear_noise(model, np.linspace(0, 50, 51))
        >>> ds["sd"].sel(variable="X")
    """
    asked = ask(model, ts, parameters, variables)
    names = list(asked.process.system.states)
    pairs = [(i, j) for i in range(len(names)) for j in range(i, len(names))]
    moments = moment_model(model)
    given = dict(zip(asked.process.system.parameters, asked.values, strict=True))
    wanted = [*names, *(covariance_name(names[i], names[j]) for i, j in pairs)]
    found = simulate(moments, asked.times - asked.t0, given, variables=wanted, rtol=rtol, atol=atol)
    y = jnp.asarray(np.stack([found[name].to_numpy() for name in names]))
    of_states = np.zeros((len(names), len(names), len(asked.times)))
    for i, j in pairs:
        of_states[i, j] = of_states[j, i] = found[covariance_name(names[i], names[j])].to_numpy()
    mean, slopes = _linearised(asked, y)
    covariance = np.einsum("vit,ijt,wjt->vwt", slopes, of_states, slopes)
    spread = np.sqrt(np.maximum(np.einsum("vvt->vt", covariance), 0.0))  # zero at the beginning, but for rounding
    return xr.Dataset(
        {
            "mean": (("variable", "time"), mean),
            "sd": (("variable", "time"), spread),
            "covariance": (("variable", "other", "time"), covariance),
        },
        coords={
            "variable": asked.names,
            "other": asked.names,
            "unit": ("variable", [unit_of(model, name) for name in asked.names]),
            "time": ("time", asked.times, {"units": model.time_unit}),
        },
        attrs={
            "model": model.name,
            "model_fingerprint": model.fingerprint,
            "method": "linear noise approximation",
            "rtol": rtol,
            "atol": atol,
            "cytotwin": version("cytotwin"),
        },
    )


def _linearised(
    asked: Asked, y: Float[Array, "state time"]
) -> tuple[Float[np.ndarray, "variable time"], Float[np.ndarray, "variable state time"]]:
    """What is asked at the mean, and its derivatives in the states."""
    t = jnp.asarray(asked.times)
    p = jnp.asarray(np.repeat(asked.values[:, None], len(asked.times), axis=1))

    def outputs(y: Array) -> Array:
        return asked.process.system.outputs(asked.expressions, t, t, y, p)

    along = [jax.jvp(outputs, (y,), (jnp.zeros_like(y).at[row].set(1.0),))[1] for row in range(len(y))]
    return np.asarray(outputs(y)), np.stack([np.asarray(each) for each in along], axis=1)
