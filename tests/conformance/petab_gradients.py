"""Gradients of the log-likelihood of PEtab problems against finite differences, at the nominal point and beside it.

    uv run python tests/conformance/petab_gradients.py ../shared/petab-benchmarks [--only NAME ...] [--directions 12]

Along orthonormal random directions of the estimation scale (all of space where there are no more parameters than
directions) the gradient by the replayed adjoint is compared with central differences of order 4. One line per problem:
parameters, deviation relative to the gradient's norm at both points, seconds to compile and to evaluate.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

import jax
import numpy as np

import twin
from calibration import read_petab

LIMIT = 1e-4
SHIFTS = np.array([-2.0, -1.0, 1.0, 2.0])
WEIGHTS = np.array([1.0, -8.0, 8.0, -1.0]) / 12.0
STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""A step too large leaves the truncation error (or leaves the region where the model has a solution), one too small the
solver's noise; the best of them counts."""


def deviation(value, theta: np.ndarray, gradient: np.ndarray, directions: np.ndarray) -> float:
    """Distance of the gradient from finite differences within the span of the directions, relative to its norm."""
    along = directions @ gradient
    best = np.inf
    for step in STEPS:
        points = [[value(theta + step * shift * direction) for shift in SHIFTS] for direction in directions]
        if np.all(np.isfinite(points)):
            differences = np.array(points) @ WEIGHTS / step
            best = min(best, float(np.linalg.norm(along - differences) / np.linalg.norm(differences)))
        if best < LIMIT / 10:
            break
    return best


def check(path: Path, count: int, seed: int, rtol: float) -> dict[str, object]:
    """Compares both points of one problem."""
    started = time.perf_counter()
    problem = read_petab(path, rtol=rtol, atol=1e-4 * rtol, max_steps=20_000)
    generator = np.random.default_rng(seed)
    size = len(problem.names)
    basis, _ = np.linalg.qr(generator.normal(size=(size, min(count, size))))
    with twin.float64():
        both = jax.jit(jax.value_and_grad(problem.log_likelihood))
        value = jax.jit(problem.log_likelihood)
        nominal = np.asarray(problem.nominal)
        both(nominal)[0].block_until_ready()
        compiled = time.perf_counter() - started
        started = time.perf_counter()
        both(nominal)[0].block_until_ready()
        evaluated = time.perf_counter() - started
        found = {}
        for name, theta in (("nominal", nominal), ("perturbed", _beside(problem, value, generator))):
            log_likelihood, gradient = both(theta)
            inside = np.isfinite(float(log_likelihood))
            # At the bounds a point is moved inwards, so that differences stay inside.
            found[name] = (
                deviation(lambda x: float(value(x)), theta, np.asarray(gradient), basis.T) if inside else np.nan
            )
        if max(found.values()) >= LIMIT:
            # Where the model is about to blow up no difference resolves the slope: the second mode decides.
            forward = _by_forward_mode(problem, nominal)
            found["forward mode"] = np.linalg.norm(np.asarray(both(nominal)[1]) - forward) / np.linalg.norm(forward)
    found.setdefault("forward mode", np.nan)
    return {"parameters": size, **found, "seconds to compile": compiled, "seconds per gradient": evaluated}


def _by_forward_mode(problem, theta: np.ndarray) -> np.ndarray:
    """The gradient by forward sensitivities of all predictions and the chain rule."""
    line = problem.predictor.linearise(theta[None])
    fixed = np.zeros(line.prediction.ok.shape, jax.dtypes.float0)

    def along(d_value, d_scale):
        tangent = line.prediction._replace(value=d_value, scale=d_scale, ok=fixed)
        return jax.jvp(problem.pointwise, (line.prediction,), (tangent,))[1].sum()

    return np.asarray(jax.vmap(along, in_axes=-1)(line.d_value, line.d_scale))


def _beside(problem, value, generator: np.random.Generator) -> np.ndarray:
    """The nominal point moved at random, inside its bounds and to where the likelihood is finite."""
    nominal = np.asarray(problem.nominal)
    width = np.where(np.isfinite(problem.upper - problem.lower), problem.upper - problem.lower, 1.0)
    for _ in range(50):
        direction = generator.uniform(-1, 1, nominal.shape) * np.minimum(width, 1.0)
        moved = np.clip(nominal + 2e-2 * direction, problem.lower + 1e-3 * width, problem.upper - 1e-3 * width)
        if np.isfinite(float(value(moved))):
            return moved
    return nominal


def main() -> int:
    """Runs all problems of a folder and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--directions", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rtol", type=float, default=1e-8, help="relative tolerance of the integration (1e-8)")
    arguments = parser.parse_args()
    writer, failed = None, 0
    for path in sorted(arguments.folder.glob("*/*.yaml")):
        if arguments.only and path.parent.name not in arguments.only:
            continue
        row = {"problem": path.parent.name, **check(path, arguments.directions, arguments.seed, arguments.rtol)}
        if writer is None:
            writer = csv.DictWriter(sys.stdout, list(row), delimiter="\t")
            writer.writeheader()
        writer.writerow({key: f"{value:.2g}" if isinstance(value, float) else value for key, value in row.items()})
        sys.stdout.flush()
        failed += not max(row["nominal"], row["perturbed"]) < LIMIT  # type: ignore[call-overload]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
