"""From a problem and its posterior, or its prior, to a twin that lives."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pandas as pd
import xarray as xr

from calibration.problem import Problem
from calibration.provenance import provenance
from twin.errors import ProblemError
from twin.live import Ensemble, Twin
from twin.live.basis import Basis
from twin.live.ensemble import now
from twin.precision import in_float64

PARTICLES = 1000


@in_float64
def twin_of(
    problem: Problem, posterior: xr.DataTree | None = None, *, particles: int = PARTICLES, seed: int = 0
) -> Twin:
    """The twin of a problem.

    Args:
        problem: Model, experiments, estimates and noise. Its series (experiment, subject) are those that the twin
            stands for.
        posterior: Draws of `calibration.sample` given the problem's readings, which the twin then has taken in. Without
            it the twin begins from the prior and knows no reading, the problem's neither.
        particles: Size of the ensemble. Draws are taken evenly from the chains; where there are fewer, all of them.
        seed: Seed of the draws from the prior.

    Raises:
        ProblemError: the draws are of another problem, or the problem has parts that readings to come do not have.
    """
    if particles < 2:
        raise ProblemError(f"particles is {particles}", where="twin_of", expected="at least 2")
    _check(problem)
    table = problem.measurements.table
    settings = {"particles": particles, "seed": seed}
    if posterior is None:
        theta = problem.prior.draw(np.random.default_rng([seed, 7]), particles)
        readings, origin = table.iloc[:0], {"from": "prior"}
    else:
        theta, origin = _draws(problem, posterior, particles)
        readings = table
    basis = _basis(problem)
    values = problem.parameters.values(np.asarray(theta.T), np.arange(len(basis.series)))
    ensemble = Ensemble(
        problem.names,
        tuple(entry.scale for entry in problem.parameters.entries),
        np.array(theta, dtype=float),
        np.zeros(len(theta)),
        {name: np.array(value) for name, value in values.items()},
    )
    whence = provenance(problem, settings)
    record = {
        "what": "made",
        "at": now(),
        **origin,
        "particles": len(theta),
        "seed": seed,
        "readings": len(readings),
        "data": whence["data"] if len(readings) else None,
        "model": whence["model"],
        "versions": whence["versions"],
        "platform": whence["platform"],
        "cytotwin": version("cytotwin"),
    }
    return Twin(basis, ensemble, _plain(readings), (record,))


def _basis(problem: Problem) -> Basis:
    return Basis(
        problem.name,
        problem.model,
        tuple(problem.estimates),
        dict(problem.noise),
        dict(problem.experiments),
        tuple((str(experiment), str(subject)) for experiment, subject in problem.parameters.series),
        {name: float(value) for name, value in problem.fixed.items()},
        problem.method.name,
        float(problem.tolerance.rtol),
        float(problem.tolerance.atol),
        int(problem.tolerance.max_steps),
    )


def _draws(problem: Problem, posterior: xr.DataTree, particles: int) -> tuple[np.ndarray, dict]:
    """Draws spread evenly over the chains, and what is known of them."""
    if not isinstance(posterior, xr.DataTree) or "posterior" not in posterior.children:
        raise ProblemError(
            f"the posterior is a {type(posterior).__name__}",
            where="twin_of",
            expected="what calibration.sample returns",
        )
    group = posterior["posterior"]
    names = tuple(map(str, group["entry"].to_numpy())) if "theta" in group else ()
    given, expected = posterior.attrs.get("data_sha256"), problem.measurements.sha256
    if names != problem.names or posterior.attrs.get("model_fingerprint") != problem.model.fingerprint:
        raise ProblemError(
            f"the draws are of {', '.join(names) or 'something else'}, model {posterior.attrs.get('model')!r}",
            where="twin_of",
            expected=f"draws of this problem: {', '.join(problem.names)}, model {problem.model.name!r}",
        )
    if given != expected:
        raise ProblemError(
            f"the draws are given other readings ({str(given)[:16]}…) than the problem has ({expected[:16]}…)",
            where="twin_of",
            fix="give the problem that was sampled",
        )
    theta = group["theta"].transpose("chain", "draw", "entry").to_numpy()
    flat = theta.reshape(-1, theta.shape[-1])
    chosen = np.unique(np.linspace(0, len(flat) - 1, min(particles, len(flat))).round().astype(int))
    from arviz_stats import ess, rhat

    origin = {
        "from": "posterior",
        "sampler": str(posterior.attrs.get("sampler")),
        "sampling_seed": int(posterior.attrs.get("seed", -1)),
        "least_bulk_ess": float(np.min(ess(group["theta"]).to_numpy())),
        "worst_r_hat": float(np.max(rhat(group["theta"]).to_numpy())) if theta.shape[0] > 1 else None,
    }
    return flat[chosen], origin


def _check(problem: Problem) -> None:
    if problem.by_reading is not None:
        raise ProblemError(
            "some parameters have a value of their own in each reading, which a reading to come does not have yet",
            where=problem.name,
            fix="give the parameters one value per experiment",
        )
    if np.isinf(problem.measurements.table["time"]).any():
        raise ProblemError(
            "some readings are at steady state, which is at no time",
            where=problem.name,
            expected="readings at finite times: a twin goes from one to the next",
        )


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    return table.reset_index(drop=True)
