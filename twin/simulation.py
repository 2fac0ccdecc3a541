"""A model, an experiment and parameters to an `xarray.Dataset`."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
import xarray as xr
from jaxtyping import Array, ArrayLike, Float, Int

from twin.collector import collector_paused
from twin.compile.system import System, compile_model
from twin.errors import ExperimentError, ModelError, SimulationError, TwinWarning, UnitError, suggestion
from twin.experiment.actions import Actions, collect_actions
from twin.experiment.experiment import Experiment
from twin.experiment.schedule import make_schedule
from twin.model.model import Model
from twin.precision import PRECISIONS, computing_in, in_float64
from twin.solve import (
    AUTO,
    Method,
    Samples,
    Tolerance,
    choose,
    describe_failures,
    integrate_and_read,
    method_named,
    numbers_per_sample,
)
from twin.solve.past import numbers_of_past

MEMORY_FOR_SAMPLES = 256 * 2**20
"""Bytes that the samples of one compiled call may take; more draws are run in several calls."""

MOST_DRAWS = 8192
"""Draws of one compiled call: enough to fill a machine, few enough to show progress."""

MOST_TRIED = 16
"""Draws that a method is chosen by."""

TIGHTEST_IN_FLOAT32 = 1e-5
"""Least relative tolerance of a step whose numbers have seven digits: below it rounding decides about steps."""


@runtime_checkable
class Subjects(Protocol):
    """Subjects that know how to be simulated: a `twin.Cohort`, which is built on what is here."""

    def simulate(
        self, model: Model, ts: ArrayLike, experiment: Experiment | None, variables: Sequence[str] | None, **options
    ) -> xr.Dataset:
        """Simulates every subject."""
        ...


@in_float64
def simulate(
    model: Model,
    ts: ArrayLike,
    parameters: Mapping[str, ArrayLike] | Subjects | None = None,
    experiment: Experiment | None = None,
    variables: Sequence[str] | None = None,
    *,
    solver: str = "rodas5p",
    rtol: float = 1e-8,
    atol: float = 1e-12,
    max_steps: int = 4096,
    precision: str = "float64",
    **of_cohort,
) -> xr.Dataset:
    """Simulate a model under an experiment.

    Args:
        model: The mechanism.
        ts: Sample times [model time unit], ascending, none before the start of the experiment.
        parameters: Parameter values by name, in the model's units: scalars, or arrays of one common length,
            which give the result a leading dimension "draw". Others keep the model's defaults. Or a `twin.Cohort`:
            the result then is that of `twin.simulate_cohort`.
        experiment: What is done; default: nothing, from ``t0 = min(0, ts[0])`` on.
        variables: What to return: names of states, observables, assignments, reactions (their flux), inputs or
            parameters, or expressions of them such as ``"T + E + I"``. Default: states and observables.
        solver: "rodas5p" (stiff and non-stiff), "tsit5" (non-stiff), or "auto" for the one that is faster here: both
            are tried on up to 16 of the draws first, which costs compiling both.
        rtol: Relative tolerance per step.
        atol: Absolute tolerance per step, in the units of the states.
        max_steps: Most steps per trajectory.
        precision: "float64", or "float32" for tolerances of 1e-5 and more: faster where the device has more of it, and
            good to three or four digits (see ``docs/numerics.md``).
        of_cohort: Further options of `twin.simulate_cohort` (``to``, ``summaries``, ...), for a cohort.

    Returns:
        A dataset with dimension "time" (and "draw"), units in ``attrs["units"]`` of each variable and the provenance
        in ``attrs``: with ``solver="auto"`` the method that was taken, too, as ``attrs["solver"]``. Draws whose
        integration failed are NaN; their number is in ``attrs["failed"]``.

    Raises:
        ExperimentError: times, targets or values that make no sense.
        SimulationError: the integration failed (for all draws, if there are several).

    Example:
        >>> import numpy as np, twin
        >>> decay = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
        >>> ds = twin.simulate(decay, np.linspace(0, 1, 3), {"k": [1.0, 2.0]})
        >>> ds.A.dims
        ('draw', 'time')
    """
    if not isinstance(model, Model):
        raise ModelError(f"the model is a {type(model).__name__}", where="simulate", expected="a twin.Model")
    if isinstance(parameters, Subjects):
        accuracy = {"solver": solver, "rtol": rtol, "atol": atol, "max_steps": max_steps, "precision": precision}
        return parameters.simulate(model, ts, experiment, variables, **accuracy, **of_cohort)
    if of_cohort:
        raise ExperimentError(
            f"the options {', '.join(of_cohort)} are given",
            where="simulate",
            expected="solver, rtol, atol, max_steps and precision; others with a twin.Cohort as parameters only",
        )
    times = check_times(ts)
    experiment = Experiment(t0=min(0.0, float(times[0]))) if experiment is None else experiment
    if not isinstance(experiment, Experiment):
        found = f"the experiment is a {type(experiment).__name__}"
        raise ExperimentError(found, where="simulate", expected="a twin.Experiment")
    if times[0] < experiment.t0:
        raise ExperimentError(
            f"the first sample time is {times[0]:g}, before the start at {experiment.t0:g}",
            where="ts",
            fix="drop the early times or set t0 of the experiment",
        )
    names = variable_names(model, variables)
    system = compile_model(model)
    expressions = tuple(expression_of(model, name) for name in names)
    values, draws = parameter_matrix(model, {} if parameters is None else parameters)
    actions = collect_actions(system, [experiment], [float(times[-1])])
    tolerance = check_tolerance(rtol, atol, max_steps, precision)
    method = method_named(solver, lambda: choose_for_draws(system, tolerance, expressions, actions, values))
    outputs, status = run_draws(system, method, tolerance, expressions, actions, values[:, None, :], times)
    _report_failures(status, draws is not None)
    ds = _dataset(model, names, times, outputs, status, draws, method.name, tolerance)
    return ds.assign_attrs(solver_chosen=AUTO) if solver == AUTO else ds


def choose_for_draws(
    system: System,
    tolerance: Tolerance,
    expressions: tuple[sp.Expr, ...],
    actions: Actions,
    p: Float[np.ndarray, "parameter draw"],
) -> Method:
    """The method that "auto" stands for: the faster one for some draws, the first and the last among them."""
    system.expect(expressions)
    schedule = _scheduled(system, actions, p[:, evenly(p.shape[1])][:, None, :])
    return choose(system, schedule, tolerance)


_scheduled = jax.jit(make_schedule, static_argnums=0)


def evenly(count: int) -> Int[np.ndarray, " tried"]:
    """Which of so many draws a method is chosen by."""
    return np.linspace(0, count - 1, min(count, MOST_TRIED)).round().astype(int)


@partial(jax.jit, static_argnums=(0, 1, 2, 3), static_argnames=("directions",))
@collector_paused()
def run_lanes(
    system: System,
    method: Method,
    tolerance: Tolerance,
    expressions: tuple[sp.Expr, ...],
    actions: Actions,
    p: Float[Array, "parameter experiment draw"],
    ts: Float[Array, "time experiment"],
    directions: int | None = None,
) -> tuple[Float[Array, "output time experiment draw"], Int[Array, "experiment draw"]]:
    """Outputs at sample times for all experiments and draws, and the status of each lane; one compiled program.

    It can be differentiated in reverse mode, or, where `directions` says in how many at once, in forward mode.
    """
    system.expect(expressions)
    schedule = make_schedule(system, actions, p)
    shape = p.shape[1:]
    lanes_ts = jnp.broadcast_to(ts[..., None], (*ts.shape, shape[1])).reshape(ts.shape[0], -1)
    mode = "reverse" if directions is None else "forward"

    def read(samples: Samples) -> tuple[Array, Array]:
        t = samples.t.reshape(-1)
        y, params = (x.reshape(-1, t.size) for x in (samples.y, samples.params))
        outputs = system.outputs(expressions, t, t, y, params, samples.past)
        return outputs.reshape(len(expressions), *samples.t.shape), samples.status

    outputs, status = integrate_and_read(
        system, schedule, method, tolerance, lanes_ts, read, mode, directions or 0, shape[1]
    )
    return outputs.reshape(len(expressions), ts.shape[0], *shape), status.reshape(shape)


def parameter_matrix(
    model: Model, parameters: Mapping[str, ArrayLike]
) -> tuple[Float[np.ndarray, "parameter draw"], int | None]:
    """All parameters of the model for every draw, and the number of draws (None if all values are scalars).

    Raises:
        ExperimentError: an unknown name, values that are not finite numbers, or unequal lengths.
    """
    if not isinstance(parameters, Mapping):
        found = f"the parameters are a {type(parameters).__name__}"
        raise ExperimentError(found, where="parameters", expected="a mapping of names to values")
    given: dict[str, np.ndarray] = {}
    for name, value in parameters.items():
        if name not in model.parameter_names:
            raise ExperimentError(
                f"{name!r} is no parameter of the model {model.name!r}",
                where="parameters",
                fix=suggestion(name, model.parameter_names),
            )
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ExperimentError(f"{name!r} is {value!r}", where="parameters", expected="numbers") from error
        if array.ndim > 1 or array.size == 0:
            raise ExperimentError(
                f"{name!r} has shape {array.shape}",
                where="parameters",
                expected="a scalar or one axis of draws",
            )
        if not np.all(np.isfinite(array)):
            where = "" if array.ndim == 0 else f" at draw {int(np.argmin(np.isfinite(array)))}"
            raise ExperimentError(f"{name!r} is not finite{where}", where="parameters", expected="finite values")
        given[name] = array
    lengths = {name: array.shape[0] for name, array in given.items() if array.ndim == 1}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ExperimentError(
            f"the numbers of draws differ ({listed})",
            where="parameters",
            expected="arrays of one common length",
        )
    draws = next(iter(lengths.values()), None)
    columns = [
        np.broadcast_to(given.get(name, np.float64(default)), (draws or 1,))
        for name, default in model.default_parameters.items()
    ]
    return np.stack(columns) if columns else np.zeros((0, draws or 1)), draws


def run_draws(system, method, tolerance, expressions, actions, p, times):
    """Draws in chunks that fit in memory; the last chunk is padded to reuse the program."""
    draws = p.shape[2]
    size = min(draws, draws_per_call(system, tolerance, len(expressions), len(times)))
    outputs, statuses = np.empty((len(expressions), len(times), draws)), np.empty(draws, np.int32)

    def collect(start: int, values: Array, status: Array) -> None:
        _put_shards(outputs, start, values, 2)
        _put_shards(statuses, start, status, 0)

    before = None
    for start in range(0, draws, size):
        part = p[:, :, start : start + size]
        missing = size - part.shape[2]
        padded = np.concatenate([part, np.repeat(part[:, :, -1:], missing, axis=2)], axis=2)
        with computing_in(tolerance.precision):
            call = run_lanes(system, method, tolerance, expressions, actions, padded, times[:, None])
        if before is not None:  # while the device is at work on the next
            collect(*before)
        before = start, *call
    if before is not None:
        collect(*before)
    return outputs, statuses


def _put_shards(whole: np.ndarray, start: int, part: Array, experiment: int) -> None:
    """Puts results of one experiment, of draws from `start` on, where they belong, each device's share by itself.

    What lies beyond the last draw is padding.
    """
    for shard in part.addressable_shards:
        first = start + (shard.index[-1].start or 0)
        values = np.asarray(shard.data).squeeze(experiment)
        whole[..., first : first + values.shape[-1]] = values[..., : whole.shape[-1] - first]


def draws_per_call(system: System, tolerance: Tolerance, outputs: int, times: int) -> int:
    """How many draws of one experiment a compiled call takes."""
    numbers = times * (numbers_per_sample(system) + outputs) + len(system.parameters)
    if system.delays:
        numbers += (tolerance.max_steps + 1) * numbers_of_past(system)
    return max(1, min(MOST_DRAWS, MEMORY_FOR_SAMPLES // (8 * numbers)))


def check_times(ts: ArrayLike) -> Float[np.ndarray, " time"]:
    try:
        times = np.atleast_1d(np.asarray(ts, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"the sample times are {ts!r:.80}", where="ts", expected="numbers") from error
    if times.ndim != 1 or times.size == 0:
        raise ExperimentError(
            f"the sample times have shape {times.shape}",
            where="ts",
            expected="one axis with at least one time",
        )
    if not np.all(np.isfinite(times)):
        index = int(np.argmin(np.isfinite(times)))
        raise ExperimentError(f"sample time {index} is {times[index]}", where="ts", expected="finite times")
    if np.any(np.diff(times) < 0):
        index = int(np.argmax(np.diff(times) < 0)) + 1
        raise ExperimentError(
            f"sample time {index} ({times[index]:g}) is earlier than the one before it",
            where="ts",
            expected="ascending times",
        )
    return times


def check_tolerance(rtol: float, atol: float, max_steps: int, precision: str) -> Tolerance:
    if precision not in PRECISIONS:
        raise ExperimentError(
            f"the precision is {precision!r}", where="solver", fix=suggestion(str(precision), PRECISIONS)
        )
    relative = check_positive(rtol, "rtol")
    if precision == "float32" and relative < TIGHTEST_IN_FLOAT32:
        raise ExperimentError(
            f"rtol is {relative:g} with numbers of float32, which have seven digits",
            where="solver",
            expected=f"at least {TIGHTEST_IN_FLOAT32:g}",
            fix=f"rtol={TIGHTEST_IN_FLOAT32:g} or more, and an atol that fits; or precision='float64'",
        )
    return Tolerance(relative, check_positive(atol, "atol"), check_count(max_steps, "max_steps"), precision)


def check_positive(value: float, name: str) -> float:
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and np.isfinite(value) and value > 0):
        raise ExperimentError(f"{name} is {value!r}", where="solver", expected="a positive number")
    return float(value)


def check_count(value: int, name: str) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ExperimentError(f"{name} is {value!r}", where="solver", expected="a whole number of at least 1")
    return int(value)


def variable_names(model: Model, variables: Sequence[str] | None) -> list[str]:
    if variables is None:
        return [*model.state_names, *model.observable_names]
    if isinstance(variables, str):
        raise ExperimentError(
            f"the variables are the text {variables!r}",
            where="variables",
            expected="a sequence of names or expressions",
            fix=f"write [{variables!r}]",
        )
    names = list(variables)
    for name in names:
        if not isinstance(name, str) or name in ("time", "draw"):
            raise ExperimentError(
                f"{name!r} is asked for",
                where="variables",
                expected="names or expressions as text, other than the coordinates time and draw",
            )
    return names


def expression_of(model: Model, name: str) -> sp.Expr:
    if name in model.observable_names:
        return model.observable_expr(name)
    return model.expand(model.formula(name, where=f"variable {name!r}"))


def _report_failures(status: np.ndarray, many: bool) -> None:
    failed = int((status != 0).sum())
    if failed == 0:
        return
    reasons = describe_failures(status)
    if failed == status.size:
        raise SimulationError(
            f"the integration failed: {reasons}" if not many else f"all {failed} draws failed: {reasons}",
            fix="check the parameters; loosen rtol and atol, or raise max_steps",
        )
    warnings.warn(f"{failed} of {status.size} draws failed ({reasons}); they are NaN", TwinWarning, stacklevel=4)


def unit_of(model: Model, name: str) -> str:
    """Unit of a part; empty for an expression, and where units are unchecked and do not fit."""
    if name not in model.parts:
        return ""
    try:
        return model.unit(name)
    except UnitError:
        return ""


def _dataset(model, names, times, outputs, status, draws, solver, tolerance) -> xr.Dataset:
    dims = ("time",) if draws is None else ("draw", "time")
    data = {}
    for name, values in zip(names, outputs, strict=True):
        array = values[:, 0] if draws is None else values.T
        unit = unit_of(model, name)
        data[name] = xr.Variable(dims, array, {"units": unit} if unit else {})
    coords: dict = {"time": xr.Variable("time", times, {"units": model.time_unit})}
    if draws is not None:
        coords["draw"] = np.arange(draws)
    attrs = {
        "model": model.name,
        "model_fingerprint": model.fingerprint,
        "solver": solver,
        "rtol": tolerance.rtol,
        "atol": tolerance.atol,
        "precision": tolerance.precision,
        "failed": int((status != 0).sum()),
        "cytotwin": version("cytotwin"),
        "jax": jax.__version__,
    }
    return xr.Dataset(data, coords, attrs)
