"""`sensitivity`: which parameters an output depends on, over all of their distributions, and when."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import ArrayLike, Bool, Float

from calibration.information.outputs import AbstractOutputs, Distribution, ModelOutputs, ProblemOutputs
from calibration.problem import Problem
from twin.errors import ProblemError, SimulationError, TwinWarning, suggestion
from twin.experiment import Experiment
from twin.model import Model
from twin.progress import progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from calibration.information.designs import AbstractDesign

SAMPLES = {"sobol": 1024, "morris": 64}
STILL = 1e-9
"""An output that varies by less than this share of its size is constant: what varies is the integration error."""


@dataclass(frozen=True)
class Sensitivity:
    """Global sensitivity indices over outputs, times and parameters.

    Args:
        dataset: The indices, and the mean and variance of the outputs. Indices are NaN where an output is constant.
        method: "sobol" or "morris".
        main: The index that parameters are ranked by: "ST" or "mu_star".
        interval: Half-width of its interval.
    """

    dataset: xr.Dataset
    method: str
    main: str
    interval: str

    def to_dataset(self) -> xr.Dataset:
        """The indices over (output, time, parameter), with the mean and variance of the outputs."""
        return self.dataset

    def table(self) -> pd.DataFrame:
        """One row per output and parameter, the most influential parameter of each output first.

        Sobol's indices are averaged over time with the variance of the output as weight, which gives shares of the
        variance of the whole course (Lamboni, Monod & Makowski 2011, doi:10.1016/j.ress.2010.09.002); effects of
        Morris are averaged plainly. ``peak`` and ``peak_time`` are the largest value of the main index and when it is
        reached.
        """
        ds = self.dataset
        shown = [name for name in ("S1", "ST", "mu_star", "mu", "sigma") if name in ds]
        weight = ds["variance"] if self.method == "sobol" else xr.ones_like(ds["variance"])
        rows = []
        for output in ds["output"].values:
            at = ds.sel(output=output)
            known = at[self.main].notnull().all("parameter")
            if not bool(known.any()):
                continue
            at, weights = at.isel(time=known.values), weight.sel(output=output).isel(time=known.values)
            mean = {name: at[name].weighted(weights).mean("time") for name in shown}
            peak = at[self.main].argmax("time")
            for index, name in enumerate(ds["parameter"].values):
                entry = {"output": str(output), "parameter": str(name)}
                entry |= {kind: float(values[index]) for kind, values in mean.items()}
                entry["peak"] = float(at[self.main][int(peak[index]), index])
                entry["peak_time"] = float(at["time"][int(peak[index])])
                rows.append(entry)
        columns = ["output", "parameter", *shown, "peak", "peak_time"]
        table = pd.DataFrame(rows, columns=columns)
        order = table["output"].map({str(name): i for i, name in enumerate(ds["output"].values)})
        table = table.assign(_order=order).sort_values(["_order", self.main], ascending=[True, False])
        return table.drop(columns="_order").reset_index(drop=True)

    def plot(self, outputs: Sequence[str] | None = None, *, most: int = 8) -> Figure:
        """Draw the indices over time, one row per output (bars where there is one time).

        Args:
            outputs: Which; default all.
            most: Most parameters in colour, those with the largest indices; the others are grey.

        Returns:
            A figure that belongs to no window: ``figure.savefig("a.png")``.

        Raises:
            ProblemError: an unknown output.
        """
        from calibration.information.sensitivity_plot import plot_sensitivity

        known = [str(name) for name in self.dataset["output"].values]
        for name in outputs or ():
            if name not in known:
                raise ProblemError(f"there is no output {name!r}", where="plot", fix=suggestion(name, known))
        return plot_sensitivity(self, list(outputs or known), most)

    def __repr__(self) -> str:
        attrs, sizes = self.dataset.attrs, self.dataset.sizes
        return (
            f"Sensitivity({attrs['title']!r}: {self.method}, {sizes['parameter']} parameters, "
            f"{sizes['output']} outputs, {sizes['time']} times, {attrs['runs']} runs, {attrs['failed']} failed)"
        )


def sensitivity(
    subject: Model | Problem,
    ts: ArrayLike | None = None,
    parameters: Mapping[str, Distribution] | Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    experiment: Experiment | str | None = None,
    *,
    method: Literal["sobol", "morris"] = "sobol",
    samples: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 100,
    most_left_out: float = 0.05,
    quiet: bool = False,
    **options: Any,
) -> Sensitivity:
    """Global sensitivity of outputs over time: Sobol's shares of variance, or Morris' screening. Needs SALib (extra
    ``sensitivity``).

    Sobol's design takes ``samples * (parameters + 2)`` runs, that of Morris ``samples * (parameters + 1)``. Parameters
    are independent of each other.

    Runs that fail leave their design incomplete. Designs are made of blocks (the runs of one base sample, or one
    trajectory), and a block with a failed run is left out whole, which leaves a complete, smaller design. Its
    parameters are those for which the model can be integrated, so the indices describe these. Failed runs and left-out
    blocks are counted in ``attrs`` and warned of; too many are an error.

    Args:
        subject: A model with distributions, or a problem, whose vector follows its priors (uniform between the bounds
            on the estimation scale, if none are given). For Morris' grid, distributions other than uniform and
            log-uniform ones are cut to their middle 99 %.
        ts: Sample times [model time unit]; default for a problem: the times of its readings.
        parameters: Of a model: a distribution (`twin.LogUniform(0.1, 10)`), or lower and upper bound of a uniform one,
            by name. Of a problem: names of entries; default all that the outputs depend on. Others stay nominal.
        outputs: Of a model: names or expressions as in `twin.simulate`; default its observables, or its states. Of a
            problem: observables, without noise; default all.
        experiment: Of a model: what is done. Of a problem: the name of an experiment; default all; of its subjects the
            first one is taken.
        method: "sobol" or "morris".
        samples: Base samples of Sobol's design, a power of 2 (default 1024), or trajectories of Morris' (default 64).
        seed: Seed of the design and the bootstrap.
        confidence: Probability of the intervals, by bootstrap over the blocks.
        resamples: Resamples of the bootstrap.
        most_left_out: Share of the blocks that may be left out.
        quiet: Show no progress.
        options: Options of `twin.simulate` for a model: ``solver``, ``rtol``, ``atol``, ``max_steps``.

    Raises:
        LibraryError: SALib is not installed.
        ProblemError: an unknown method or name, a number out of range, or nothing that varies.
        ExperimentError: times or parameters that the model cannot use.
        SimulationError: more than `most_left_out` of the blocks have a run that failed.

    Example:
        >>> found = calibration.sensitivity(model, np.linspace(0, 24, 49), {"CL": twin.LogNormal(2.8, cv=0.3)})
        >>> found.table()
        >>> found.plot().savefig("sensitivity.png")
    """
    _check(method, samples, seed, confidence, resamples, most_left_out)
    from calibration.information.designs import DESIGNS

    runs = _outputs(subject, ts, parameters, outputs, experiment, options)
    count = SAMPLES[method] if samples is None else int(samples)
    design = DESIGNS[method](len(runs.names), count, int(seed))
    cube = design.cube()
    with progress(f"sensitivity of {runs.title}", len(cube), quiet) as line:
        values = runs.run(cube, method == "morris", line)
    failed = ~np.isfinite(values).all(axis=(1, 2))
    keep = _whole_blocks(failed, design, most_left_out, runs)
    dataset = _indices(design, cube[keep], values[keep], runs, confidence, resamples)
    dataset.attrs = {
        "title": runs.title,
        "method": method,
        "samples": count,
        "runs": len(cube),
        "failed": int(failed.sum()),
        "blocks_left_out": int((~keep).sum()) // design.block,
        "seed": int(seed),
        "confidence": confidence,
        "resamples": resamples,
        "versions": f"cytotwin {version('cytotwin')}, SALib {version('SALib')}",
    }
    return Sensitivity(dataset, method, design.main, design.interval)


def _outputs(subject, ts, parameters, outputs, experiment, options) -> AbstractOutputs:
    if outputs is not None and (isinstance(outputs, str) or not outputs):
        found = f"the outputs are {outputs!r}"
        raise ProblemError(found, where="sensitivity", expected="a sequence of at least one name")
    if isinstance(subject, Problem):
        if options:
            raise ProblemError(
                f"the options {', '.join(options)} are given", where="sensitivity",
                expected="none with a problem, which has its own solver and tolerances",
            )  # fmt: skip
        if experiment is not None and not isinstance(experiment, str):
            found = f"the experiment is a {type(experiment).__name__}"
            raise ProblemError(found, where="sensitivity", expected="the name of an experiment of the problem")
        if isinstance(parameters, str):
            found = f"the parameters are the text {parameters!r}"
            raise ProblemError(found, where="sensitivity", expected="a sequence of names")
        return ProblemOutputs(subject, ts, parameters, outputs, experiment)
    if isinstance(subject, Model):
        return ModelOutputs(subject, ts, parameters, outputs, experiment, options)
    found = f"a {type(subject).__name__} is given"
    raise ProblemError(found, where="sensitivity", expected="a twin.Model or a calibration.Problem")


def _whole_blocks(
    failed: Bool[np.ndarray, " run"], design: AbstractDesign, most: float, runs: AbstractOutputs
) -> Bool[np.ndarray, " run"]:
    """Runs of the blocks of which none failed."""
    broken = failed.reshape(-1, design.block).any(axis=1)
    if not broken.any():
        return np.ones(len(failed), dtype=bool)
    blocks = f"{int(broken.sum())} of {len(broken)} blocks of the design"
    said = f"{int(failed.sum())} of {len(failed)} runs failed, in {blocks}"
    if broken.mean() > most or (~broken).sum() < 2:
        raise SimulationError(
            said,
            where=f"sensitivity of {runs.title}",
            expected=f"at most {most:.0%} of the blocks, and at least two that are left",
            fix="narrow the distributions, raise max_steps, or allow more with most_left_out",
        )
    warnings.warn(f"{said}, which are left out", TwinWarning, stacklevel=4)
    return np.repeat(~broken, design.block)


def _indices(
    design: AbstractDesign,
    cube: np.ndarray,
    values: Float[np.ndarray, "run output time"],
    runs: AbstractOutputs,
    confidence: float,
    resamples: int,
) -> xr.Dataset:
    shape = (len(runs.labels), len(runs.times), len(runs.names))
    found = {name: np.full(shape, np.nan) for name in design.indices}
    spread, size = np.ptp(values, axis=0), np.abs(values).max(axis=0)
    for place in np.ndindex(shape[:2]):
        if spread[place] > STILL * size[place]:
            each = design.estimate(cube, np.ascontiguousarray(values[:, *place]), confidence, resamples)
            for name, array in found.items():
                array[place] = each[name]
    dims = ("output", "time", "parameter")
    data: dict[str, Any] = {name: (dims, array, {"long_name": design.indices[name]}) for name, array in found.items()}
    data["mean"] = (dims[:2], values.mean(axis=0), {"long_name": "mean of the output over the runs"})
    data["variance"] = (dims[:2], values.var(axis=0), {"long_name": "variance of the output over the runs"})
    coords = {
        "output": list(runs.labels),
        "time": ("time", runs.times, {"units": runs.time_unit}),
        "parameter": list(runs.names),
        "unit": ("output", list(runs.units)),
    }
    return xr.Dataset(data, coords)


def _check(method, samples, seed, confidence, resamples, most_left_out) -> None:
    where = "sensitivity"
    if method not in SAMPLES:
        raise ProblemError(f"the method is {method!r}", where=where, fix=suggestion(str(method), SAMPLES))
    counts = (("samples", samples, 2), ("seed", seed, 0), ("resamples", resamples, 2))
    for name, value, least in counts:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise ProblemError(f"{name} is {value!r}", where=where, expected=f"a whole number of at least {least}")
    if not (isinstance(confidence, numbers.Real) and 0 < confidence < 1):
        raise ProblemError(f"confidence is {confidence!r}", where=where, expected="a number between 0 and 1")
    if not (isinstance(most_left_out, numbers.Real) and 0 <= most_left_out < 1):
        raise ProblemError(f"most_left_out is {most_left_out!r}", where=where, expected="a share from 0 to below 1")
