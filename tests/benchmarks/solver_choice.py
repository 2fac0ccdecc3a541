"""What ``solver="auto"`` loses against the better method: time of both, once compiled, and what was chosen.

    uv run python tests/benchmarks/solver_choice.py [--petab FOLDER] [--only NAME ...] [--out FILE]

Simulations are those of one compiled call; of problems the log-likelihood and its gradient at the nominal vector are
timed. `WEIGHT` of `twin.solve.choice` is fitted here: it is the geometric mean of measured over expected ratios of
times, where no lane fails by one method alone and the two are within a factor of 3 (printed last, for a weight of 1).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from peers.scenarios import influenza, lotka_volterra, robertson
from stopwatch import Row, fastest, markdown, write_tsv

import models
import twin
from calibration import Problem, read_petab
from twin.compile.system import System, compile_model
from twin.errors import TwinWarning
from twin.experiment.actions import Actions, collect_actions
from twin.experiment.experiment import Experiment
from twin.experiment.schedule import make_schedule
from twin.simulation import choose_for_draws, expression_of, parameter_matrix, run_lanes, variable_names
from twin.solve import METHODS, Method, Tolerance, choice, integrate

STEPS = 20_000
USUAL, LOOSE = Tolerance(max_steps=STEPS), Tolerance(1e-5, 1e-8, STEPS)
SCATTER = 0.2
"""Standard deviation of the logarithms of parameters, where there are several draws."""
PETAB = ("Boehm", "Elowitz", "Crauste", "Fiedler", "Bruno", "Sneyd", "Perelson", "Zheng", "Blasi", "Oliveira")
PETAB += ("Borghans", "Fujita", "Raia", "Schwen", "Weber", "Brannmark")
"""Problems that compile in less than half a minute."""


@dataclass(frozen=True)
class Case:
    """Something to compute by each method.

    Args:
        name: The model or the study.
        kind: What is computed.
        lanes: Trajectories.
        chosen: What "auto" stands for.
        attempts: Attempts of the slowest lane, and failed lanes, by method.
        call: The computation, by method.
        expected: Expected time of an attempt by Tsit5 in those by Rodas5P, with a weight of 1.
    """

    name: str
    kind: str
    lanes: int
    chosen: Method
    attempts: Callable[[Method], tuple[int, int]]
    call: Callable[[Method], Callable[[], object]]
    expected: float


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--petab", type=Path, help="folder of the benchmark collection")
    parser.add_argument("--only", nargs="+", default=[], help="names that begin so")
    parser.add_argument("--out", type=Path, default=Path("out/solver_choice.tsv"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    ratios = []
    with twin.float64(), warnings.catch_warnings():
        warnings.simplefilter("ignore", TwinWarning)
        for case in cases(arguments.petab, tuple(arguments.only)):
            row, ratio = measured(case)
            rows.append(row)
            ratios.append(ratio)
            write_tsv(arguments.out, rows)
            print(
                " ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()),
                flush=True,
            )
    print(markdown(rows))
    print(f"largest loss: {max(rows, key=lambda row: float(str(row['loss %'])))}")
    known = [ratio for ratio in ratios if ratio is not None]
    print(f"measured over expected: {np.exp(np.mean(np.log(known))):.3f} ({min(known):.2f} to {max(known):.2f})")


def measured(case: Case) -> tuple[Row, float | None]:
    """A row of the table, and measured over expected ratio of times where the methods are close."""
    row: dict[str, object] = {"problem": case.name, "what": case.kind, "lanes": case.lanes}
    seconds, attempts, failed = {}, {}, {}
    for name, method in METHODS.items():
        attempts[name], failed[name] = case.attempts(method)
        call = case.call(method)
        call()
        seconds[name] = fastest(lambda _, call=call: jax.block_until_ready(call()), least=5, spend=0.4)
        row |= {f"attempts {name}": attempts[name], f"failed {name}": failed[name], f"{name} [ms]": 1e3 * seconds[name]}
    least = min(failed.values())
    best = min(seconds[name] for name in METHODS if failed[name] == least)
    row |= {"auto": case.chosen.name, "loss %": round(100 * (seconds[case.chosen.name] / best - 1), 1)}
    ratio = seconds["tsit5"] / seconds["rodas5p"]
    expected = case.expected * attempts["tsit5"] / attempts["rodas5p"]
    close = failed["tsit5"] == failed["rodas5p"] and 1 / 3 < expected < 3
    return row, ratio / expected if close else None


def cases(petab: Path | None, only: tuple[str, ...]) -> Iterator[Case]:
    """Everything that is measured, one after the other."""
    wanted = lambda name: not only or name.startswith(only)  # noqa: E731
    free = (
        ("Robertson", robertson, np.concatenate([[0.0], np.logspace(-2, 5, 29)])),
        ("Lotka-Volterra", lotka_volterra, np.linspace(0, 20, 81)),
        ("Influenza", influenza, np.linspace(0, 7, 71)),
    )
    for name, make, ts in free:
        if wanted(name):
            for draws in (1, 64, 1024):
                yield simulation(name, make(), ts, draws)
            yield simulation(name, make(), ts, 1, LOOSE)
    for study in models.studies():
        if wanted(study):
            problem = Problem.from_study(study, solver="auto", max_steps=STEPS)
            end = float(problem.measurements.table["time"].max())
            for draws in (1, 64):
                yield simulation(f"{problem.model.name} ({study})", problem.model, np.linspace(0, end, 41), draws)
            yield from of_problem(study, problem)
    for name in PETAB if petab else ():
        if wanted(name):
            (path,) = petab.glob(f"{name}*/*.yaml")  # type: ignore[union-attr]
            yield from of_problem(name, read_petab(path, solver="auto", max_steps=STEPS))


def simulation(name: str, model: twin.Model, ts: np.ndarray, draws: int, tolerance: Tolerance = USUAL) -> Case:
    """Trajectories of scattered parameter sets."""
    generator = np.random.default_rng(0)
    scattered = {} if draws == 1 else model.default_parameters
    given = {key: value * np.exp(SCATTER * generator.standard_normal(draws)) for key, value in scattered.items()}
    system, (p, _) = compile_model(model), parameter_matrix(model, given)
    actions = collect_actions(system, [Experiment()], [float(ts[-1])])
    expressions = tuple(expression_of(model, each) for each in variable_names(model, None))
    arguments = expressions, actions, p[:, None, :], ts[:, None]
    return Case(
        f"{name}, rtol {tolerance.rtol:g}",
        "simulation",
        draws,
        choose_for_draws(system, tolerance, expressions, actions, p),
        lambda method: _attempts(system, actions, p[:, None, :], method, tolerance),
        lambda method: lambda: run_lanes(system, method, tolerance, *arguments),
        _expected(system, actions, p[:, None, :]),
    )


def of_problem(name: str, problem: Problem) -> Iterator[Case]:
    """The log-likelihood of a problem at its nominal vector, and its gradient too."""
    theta, predictor = jnp.asarray(problem.nominal), problem.predictor
    system, actions = predictor.bindings.system, predictor.bindings.actions
    p = predictor.model_parameters(predictor.values(theta[None]), 1)

    def call(method: Method, gradient: bool) -> Callable[[], object]:
        other = problem.with_tolerance(problem.tolerance)
        other.method = method
        other = other.with_tolerance(problem.tolerance)
        function = jax.jit(jax.value_and_grad(other.log_likelihood) if gradient else other.log_likelihood)
        return lambda: function(theta)

    for gradient in (False, True):
        yield Case(
            name,
            "log-likelihood" + " and gradient" * gradient,
            p.shape[1],
            problem.method,
            lambda method: _attempts(system, actions, p, method, problem.tolerance),
            lambda method, gradient=gradient: call(method, gradient),
            _expected(system, actions, p),
        )


def _attempts(system: System, actions: Actions, p, method: Method, tolerance: Tolerance) -> tuple[int, int]:
    @jax.jit
    def run(p):
        schedule = make_schedule(system, actions, p)
        return integrate(system, schedule, method, tolerance, schedule.borders[-1:])

    samples = run(p)
    return int(samples.steps), int((samples.status != 0).sum())


def _expected(system: System, actions: Actions, p) -> float:
    schedule = make_schedule(system, actions, p)
    explicit, implicit = (choice._operations(system, METHODS[name], schedule) for name in ("tsit5", "rodas5p"))
    return explicit / implicit


if __name__ == "__main__":
    main()
