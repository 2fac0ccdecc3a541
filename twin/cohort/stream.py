"""A model over all subjects of a cohort in bounded memory, chunk by chunk; what is kept goes to disk as it comes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import ArrayLike, Float, Int

from twin.cohort.bands import Quantiles, pilot_size
from twin.cohort.chunks import Program, default_width
from twin.cohort.cohort import Cohort
from twin.cohort.journal import FINGERPRINT, Entry, Journal
from twin.cohort.layout import Layout
from twin.cohort.plan import (
    MOST_MEMORY,
    Plan,
    check_kept,
    check_summaries,
    condition,
    fingerprint,
    provenance,
    refuse_reserved,
)
from twin.cohort.stores import AbstractFileStore, AbstractStore, MemoryStore
from twin.cohort.summaries import AbstractAccumulator, Count, Summary
from twin.compile.system import compile_model
from twin.errors import ExperimentError, ModelError, SimulationError, TwinWarning
from twin.experiment.actions import collect_actions
from twin.experiment.experiment import Experiment
from twin.model.model import Model
from twin.precision import in_float64
from twin.progress import progress as progress_line
from twin.simulation import check_count, check_times, check_tolerance, expression_of, variable_names
from twin.solve import METHODS, method_named
from twin.solve.nodes import REASONS

STORES = {
    ".zarr": ("twin.cohort.zarr_store", "ZarrStore"),
    ".nc": ("twin.cohort.netcdf_store", "NetcdfStore"),
}
"""Home of the store by ending of the path; zarr is an extra and imported only when it is needed."""


@in_float64
def simulate_cohort(
    model: Model,
    ts: ArrayLike,
    cohort: Cohort,
    experiment: Experiment | None = None,
    variables: Sequence[str] | None = None,
    *,
    to: str | Path | None = None,
    summaries: Sequence[Summary] | Summary = (),
    keep: bool | Sequence[str] | None = None,
    chunk: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
    solver: str = "rodas5p",
    rtol: float = 1e-8,
    atol: float = 1e-12,
    max_steps: int = 4096,
    precision: str = "float64",
) -> xr.Dataset:
    """Simulate a model for every subject of a cohort.

    Memory does not grow with the number of subjects where trajectories go to disk (`to`) or only `summaries` are kept.
    A run with `to` that was interrupted or killed goes on where it stood when the same call is made again, and ends
    with the same numbers; what is lost is the chunk at work. A call that is finished already opens its result.

    Args:
        model: The mechanism.
        ts: Sample times [model time unit], ascending.
        cohort: The subjects.
        experiment: What is done to each; formulas of parameters make doses individual.
        variables: What to simulate; see `twin.simulate`.
        to: A folder that ends in .zarr (extra ``cohort``) or a file that ends in .nc, for trajectories, parameters and
            summaries. While the run lasts there is a folder ``<to>.running`` beside it.
        summaries: `Bands` and `Count`, gathered on the way.
        keep: Whether to keep trajectories, or the names of the variables whose to keep. Default: all with `to` or
            without summaries, else none.
        chunk: Subjects simulated together; default: what memory allows, at most 8192.
        progress: Show progress on standard error.
        overwrite: Discard what another call wrote to `to`.
        solver: As for `twin.simulate`.
        rtol: As for `twin.simulate`.
        atol: As for `twin.simulate`.
        max_steps: As for `twin.simulate`.
        precision: As for `twin.simulate`.

    Returns:
        A dataset with, as asked for, trajectories (subject, time) with parameters and status of every subject as
        coordinates, ``V_quantile`` and its ``V_rank_error`` (quantile, time), ``event_count`` (event, time) and
        ``event_ever`` (event). ``failures`` (reason) counts subjects whose integration failed; they are NaN in
        trajectories and left out of summaries. With `to` trajectories are read from disk when they are used.

    Raises:
        ExperimentError: Arguments that make no sense, a result too large for memory, or a store of another call.
        LibraryError: The package zarr is not installed.
        SimulationError: The integration failed for all subjects.

    Example:
        >>> import numpy as np, twin
        >>> decay = twin.Model("decay", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
        >>> cohort = twin.Cohort(100, {"k": twin.LogNormal(1.0, cv=0.3)})
        >>> ds = twin.simulate_cohort(decay, np.linspace(0, 2, 5), cohort, summaries=[twin.Count("A < 0.5")])
        >>> ds.event_count.dims
        ('event', 'time')
    """
    if not isinstance(model, Model):
        raise ModelError(f"the model is a {type(model).__name__}", where="simulate_cohort", expected="a twin.Model")
    if not isinstance(cohort, Cohort):
        found = f"the cohort is a {type(cohort).__name__}"
        raise ExperimentError(found, where="simulate_cohort", expected="a twin.Cohort")
    times = check_times(ts)
    experiment = _check_experiment(experiment, times)
    names = tuple(variable_names(model, variables))
    refuse_reserved(names)
    summaries = check_summaries(summaries, names, len(times))
    tolerance = check_tolerance(rtol, atol, max_steps, precision)
    system = compile_model(model)
    counted = [condition(model, item) for item in summaries if isinstance(item, Count)]
    expressions = (*(expression_of(model, name) for name in names), *counted)
    width = default_width(system, tolerance, len(expressions), len(times), cohort.size)
    width = width if chunk is None else min(check_count(chunk, "chunk"), cohort.size)
    actions = collect_actions(system, [experiment], [float(times[-1])])
    # What "auto" stands for is chosen when it is known that there is something to simulate.
    method = method_named(solver, lambda: METHODS["rodas5p"])
    program = Program(system, method, tolerance, expressions, actions, times, width)
    kept = check_kept(keep, names, wanted=to is not None or not summaries)
    by_subject = to is not None or bool(kept)
    attrs = provenance(model, cohort, solver, tolerance)
    plan = Plan(model, cohort, cohort.names_for(model), program, names, kept, by_subject, summaries, attrs)
    if to is None:
        return _in_memory(plan, progress)
    plan.attrs[FINGERPRINT] = fingerprint(attrs, experiment, plan)
    return _on_disk(plan, _target(to), progress, overwrite, chunk is not None)


def _check_experiment(experiment: Experiment | None, times: np.ndarray) -> Experiment:
    experiment = Experiment(t0=min(0.0, float(times[0]))) if experiment is None else experiment
    if not isinstance(experiment, Experiment):
        found = f"the experiment is a {type(experiment).__name__}"
        raise ExperimentError(found, where="simulate_cohort", expected="a twin.Experiment")
    if times[0] < experiment.t0:
        raise ExperimentError(
            f"the first sample time is {times[0]:g}, before the start at {experiment.t0:g}",
            where="ts",
            fix="drop the early times or set t0 of the experiment",
        )
    return experiment


def _target(to: object) -> Path:
    if not isinstance(to, (str, Path)) or Path(to).suffix not in STORES:
        expected = f"a path that ends in {' or '.join(STORES)}"
        raise ExperimentError(f"the result is to go to {to!r:.80}", where="to", expected=expected)
    return Path(to)


def _in_memory(plan: Plan, shown: bool) -> xr.Dataset:
    plan = plan.with_method()
    accumulators = plan.accumulators()
    layout = plan.layout(accumulators)
    if (needed := layout.bytes()) > MOST_MEMORY:
        raise ExperimentError(
            f"the trajectories of {plan.cohort.size:,} subjects take {needed / 2**30:.1f} GiB",
            where="simulate_cohort",
            expected=f"at most {MOST_MEMORY / 2**30:g} GiB in memory",
            fix='write them to disk (to="cohort.zarr"), or keep summaries only (summaries=[twin.Bands()])',
        )
    store = MemoryStore()
    store.create(layout, plan.program.width)
    entry = _run(plan, store, accumulators, Entry("", plan.program.width, 0, {}, ""), None, shown)
    _finish(store, accumulators, entry)
    return _completed(store.dataset(), plan.cohort.size)


def _on_disk(plan: Plan, target: Path, shown: bool, overwrite: bool, fixed_width: bool) -> xr.Dataset:
    module, name = STORES[target.suffix]
    kind: type[AbstractFileStore] = getattr(import_module(module), name)
    journal, own = Journal(target), str(plan.attrs[FINGERPRINT])
    with journal.lock():
        if target.exists() and _made_by(kind, target, overwrite) == own and not overwrite:
            journal.discard()
            return _completed(kind.open(target), plan.cohort.size)
        if target.exists() and not overwrite:
            _refuse(target, "it holds the result of another call")
        entry = None if overwrite else journal.read()
        if entry is not None and entry.fingerprint != own:
            _refuse(target, "another call has begun to write it")
        if entry is not None and fixed_width and entry.width != plan.program.width:
            found = f"the run was begun with chunks of {entry.width} subjects, not {plan.program.width}"
            raise ExperimentError(found, where=str(target), fix=f"leave chunk out, or chunk={entry.width}")
        plan = plan.with_method(entry.solver if entry is not None else "")
        accumulators = plan.accumulators()
        layout = plan.layout(accumulators)
        store = kind(journal.store)
        if entry is None:
            entry = _begin(journal, store, layout, Entry(own, plan.program.width, 0, {}, "", plan.program.method.name))
        _restore(accumulators, journal.load(entry))
        entry = _run(plan, store, accumulators, entry, journal, shown)
        _finish(store, accumulators, entry)
        journal.publish()
    return _completed(kind.open(target), plan.cohort.size)


def _begin(journal: Journal, store: AbstractFileStore, layout: Layout, entry: Entry) -> Entry:
    journal.begin()
    store.create(layout, entry.width)
    return journal.write(entry, {})


def _made_by(kind: type[AbstractFileStore], target: Path, overwrite: bool) -> str | None:
    """Which call made a finished store; None if it is something else that may be overwritten."""
    try:
        made = kind.attributes(target).get(FINGERPRINT)
    except OSError:
        made = None
    if made is None and overwrite and (target.is_dir() or target.suffix == ".zarr"):
        # A folder that no run made may hold anything; nobody but the user may delete it.
        raise ExperimentError("no cohort run wrote it", where=str(target), fix="remove it yourself, or write elsewhere")
    return None if made is None else str(made)


def _refuse(target: Path, found: str) -> None:
    raise ExperimentError(
        f"{found} (another model, cohort, experiment, times, variables, summaries or tolerances)",
        where=str(target),
        expected="the call that wrote it",
        fix="write elsewhere, or overwrite=True",
    )


def _restore(accumulators: Sequence[AbstractAccumulator], state: Mapping[str, np.ndarray]) -> None:
    for index, accumulator in enumerate(accumulators):
        own = {name.split(".", 1)[1]: values for name, values in state.items() if name.split(".", 1)[0] == str(index)}
        if own:
            accumulator.restore(own)


def _state(accumulators: Sequence[AbstractAccumulator]) -> dict[str, np.ndarray]:
    return {
        f"{index}.{name}": values
        for index, accumulator in enumerate(accumulators)
        for name, values in accumulator.state().items()
    }


def _run(
    plan: Plan,
    store: AbstractStore,
    accumulators: Sequence[AbstractAccumulator],
    entry: Entry,
    journal: Journal | None,
    shown: bool,
) -> Entry:
    """Simulate the subjects that are not done yet."""
    size, width = plan.cohort.size, entry.width
    program = Program(**{**vars(plan.program), "width": width})
    rows = {name: place for place, name in enumerate(plan.names)}
    with progress_line(f"{size:,} subjects of {plan.model.name}", size, quiet=not shown) as line:
        for start in range(entry.done, size, width):
            columns = plan.cohort.rows(start, min(start + width, size))
            outputs, status = program.run(plan.values(columns))
            if start == 0:
                _set_marks(plan, program, accumulators, outputs, status)
            if plan.by_subject:
                parts = {name: columns[name] for name in plan.columns if name not in plan.names}
                parts |= {name: outputs[rows[name]].T for name in plan.kept}
                store.write(start, {"status": status.astype(np.int8), **parts})
            fine = outputs if not status.any() else outputs[..., status == 0]
            for accumulator in accumulators:
                accumulator.update(fine)
            failures = dict(entry.failures)
            for code in np.unique(status[status != 0]).tolist():
                failures[str(code)] = failures.get(str(code), 0) + int((status == code).sum())
            entry = replace(entry, done=start + len(status), failures=failures, state="")
            if journal is not None:
                entry = journal.write(entry, _state(accumulators))
            failed = sum(failures.values())
            line.update(entry.done, f"{failed:,} failed" if failed else "")
    return entry


def _set_marks(
    plan: Plan,
    program: Program,
    accumulators: Sequence[AbstractAccumulator],
    outputs: Float[np.ndarray, "output time subject"],
    status: Int[np.ndarray, " subject"],
) -> None:
    """Show the pilot subjects to the summaries that need to know where values lie.

    Where they are the first of the cohort, the first chunk (`outputs`, `status`) may have simulated them already.
    """
    for accumulator in accumulators:
        if not isinstance(accumulator, Quantiles):
            continue
        count = pilot_size(accumulator.bands, len(accumulator.rows) * len(program.times))
        subjects = plan.cohort.source.pilot(count, plan.cohort.size)
        if subjects[-1] < len(status) and len(subjects) == subjects[-1] + 1:
            accumulator.begin(outputs[..., : len(subjects)][..., status[: len(subjects)] == 0])
            continue
        p = plan.values(plan.cohort.rows_of(subjects))
        parts = []
        for start in range(0, len(subjects), program.width):
            values, ended = program.run(p[:, start : start + program.width])
            parts.append(values[..., ended == 0])
        accumulator.begin(np.concatenate(parts, axis=-1))


def _finish(store: AbstractStore, accumulators: Sequence[AbstractAccumulator], entry: Entry) -> None:
    failures = np.array([entry.failures.get(str(code), 0) for code in REASONS], dtype=np.int64)
    results: dict[str, np.ndarray] = {"failures": failures}
    for accumulator in accumulators:
        results |= accumulator.results()
    store.finish(results)


def _completed(ds: xr.Dataset, size: int) -> xr.Dataset:
    """The result with what only the end knows in its attributes; failures are said aloud."""
    counts = {str(reason): int(n) for reason, n in zip(ds["reason"].values, ds["failures"].values, strict=True) if n}
    failed = sum(counts.values())
    ds.attrs["failed"] = failed
    for name in list(ds.data_vars):
        if f"{name}".endswith("_quantile") and (beside := f"{name}".removesuffix("_quantile") + "_rank_error") in ds:
            errors = ds[beside].values
            ds[name].attrs["rank_error"] = float(np.nanmax(errors)) if np.isfinite(errors).any() else float("nan")
    listed = "; ".join(f"{count} with {reason}" for reason, count in counts.items())
    if failed == size:
        raise SimulationError(
            f"all {size:,} subjects failed: {listed}",
            fix="check the parameters; loosen rtol and atol, or raise max_steps",
        )
    if failed:
        warnings.warn(f"{failed} of {size:,} subjects failed ({listed}); they are NaN", TwinWarning, stacklevel=5)
    return ds
