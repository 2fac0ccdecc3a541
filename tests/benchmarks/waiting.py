"""How long lanes wait for each other, and how many steps lead to steady states: what further work on either can gain.

    uv run python tests/benchmarks/waiting.py ../shared/petab-benchmarks [--only NAME ...]

Prints a row per problem, at its nominal parameters and rtol = atol = 1e-8: lanes, attempts of the fastest, the median
and the slowest lane, the share of the computed lane steps that no lane needed, and the share of attempts on the way to
a steady state.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import twin
from calibration import Problem, read_petab
from twin.experiment.schedule import make_schedule
from twin.solve.blocks import lanes_per_block
from twin.solve.loop import Loop
from twin.solve.segments import at_segment


def attempts(problem: Problem) -> tuple[np.ndarray, np.ndarray, int]:
    """Attempts of each lane, those of them at a standing clock, and the width of a block."""
    predictor, table = problem.predictor, problem.bindings
    system = table.system
    p = predictor.model_parameters(predictor.values(jnp.asarray(problem.nominal)[None]), 1)
    schedule = make_schedule(system, table.actions, p)
    ts = jnp.asarray(table.times)
    ts = jnp.sort(jnp.where(jnp.isinf(ts), schedule.borders[-1], ts), axis=0)
    loop = Loop(system, problem.method, problem.tolerance, schedule, ts)

    def body(carry):
        c, made, standing = carry
        alive = loop.alive(c)
        segment, _, _ = at_segment(schedule, jnp.minimum(c.segment, loop.last))
        return loop.iterate(c)[0], made + alive, standing + (alive & (segment.clock == 0))

    none = jnp.zeros(schedule.lanes, jnp.int32)
    start = (loop.first(), none, none)
    _, made, standing = jax.jit(lambda: lax.while_loop(lambda carry: loop.goes_on(carry[0]), body, start))()
    return np.asarray(made), np.asarray(standing), lanes_per_block(system, schedule.lanes)


def main() -> None:
    """Reads the arguments and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of PEtab problems, one folder each")
    parser.add_argument("--only", nargs="+", default=[], help="names of problems")
    arguments = parser.parse_args()
    print("| problem | lanes | fewest | median | most | waiting | towards steady states |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for path in sorted(arguments.folder.glob("*/*.yaml")):
        name = path.parent.name
        if arguments.only and name not in arguments.only:
            continue
        with twin.float64():
            made, standing, width = attempts(read_petab(path, rtol=1e-8, atol=1e-8, max_steps=20_000))
        blocks = [made[first : first + width] for first in range(0, len(made), width)]
        computed = sum(int(block.max()) * width for block in blocks)
        share = 1 - made.sum() / computed
        spread = f"{made.min()} | {np.median(made):.0f} | {made.max()}"
        print(f"| {name} | {len(made)} | {spread} | {share:.0%} | {standing.sum() / made.sum():.0%} |", flush=True)


if __name__ == "__main__":
    main()
