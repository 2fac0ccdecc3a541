"""Rodas5P: a stiffly accurate, L-stable Rosenbrock method of order 5 with 8 stages.

With W = M/(h gamma) - J, the stages solve

    W k_i = f(t + c_i h, y + sum_j a_ij k_j) + M sum_j (C_ij / h) k_j + h d_i f_t,

where M is the identity, with zeros for states that a constraint determines. The stages end with
``y1 = y + sum_j a_8j k_j + k_8``, where ``k_8`` is the difference to the embedded solution of order 4.

References:
    G. Steinebach, "Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia
    Differential Equations package", BIT Numerical Mathematics 63:27 (2023), doi:10.1007/s10543-023-00967-x.
    The coefficients are those of its Table 3 in the form that avoids products with J (Hairer & Wanner,
    Solving Ordinary Differential Equations II, 1996, eq. IV.7.25). The interpolant of order 4 is

        y(t + theta h) = (1 - theta) y + theta (y1 + (1 - theta)(D_1 + theta (D_2 + theta D_3))),

    with D_r = sum_i H_ri k_i.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from twin.compile.system import MOST_WRITTEN_OUT, System
from twin.solve.apart import apart_if_large
from twin.solve.directions import along, plus, times
from twin.solve.linear import Entries, differentiable_solver, linear_system, many_solver
from twin.solve.method import Along, Lanes, Push, Segment, States, Step, Stepped, combine

ORDER = 5
GAMMA = 0.21193756319429014

A = (
    (),
    (3.0,),
    (2.849394379747939, 0.45842242204463923),
    (-6.954028509809101, 2.489845061869568, -10.358996098473584),
    (2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641),
    (
        -7.502846399306121,
        2.561846144803919,
        -11.627539656261098,
        -0.18268767659942256,
        0.030198172008377946,
    ),
)
"""Stages 7 and 8 continue stage 6: their arguments are those of stage 6 plus k_6, plus k_6 + k_7."""

C = (
    (),
    (-14.155112264123755,),
    (-17.97296035885952, -2.859693295451294),
    (147.12150275711716, -1.41221402718213, 71.68940251302358),
    (165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306),
    (24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471),
    (
        30.91273214028599,
        -3.1208243349937974,
        77.79954646070892,
        34.28646028294783,
        -19.097331116725623,
        -28.087943162872662,
    ),
    (
        37.80277123390563,
        -3.2571969029072276,
        112.26918849496327,
        66.9347231244047,
        -40.06618937091002,
        -54.66780262877968,
        -9.48861652309627,
    ),
)
NODES = (0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0)
D = (
    0.21193756319429014,
    -0.42387512638858027,
    -0.3384627126235924,
    1.8046452872882734,
    2.325825639765069,
    0.0,
    0.0,
    0.0,
)

H = (
    (
        25.948786856663858,
        -2.5579724845846235,
        10.433815404888879,
        -2.3679251022685204,
        0.524948541321073,
        1.1241088310450404,
        0.4272876194431874,
        -0.17202221070155493,
    ),
    (
        -9.91568850695171,
        -0.9689944594115154,
        3.0438037242978453,
        -24.495224566215796,
        20.176138334709044,
        15.98066361424651,
        -6.789040303419874,
        -6.710236069923372,
    ),
    (
        11.419903575922262,
        2.8879645146136994,
        72.92137995996029,
        80.12511834622643,
        -52.072871366152654,
        -59.78993625266729,
        -0.15582684282751913,
        4.883087185713722,
    ),
)

STAGES = 8


def _tableau() -> tuple[np.ndarray, np.ndarray]:
    """A and C as square matrices, with stages 7 and 8 written out."""
    a, c = np.zeros((STAGES, STAGES)), np.zeros((STAGES, STAGES))
    for stage in range(STAGES):
        row = A[min(stage, 5)]
        a[stage, : len(row)] = row
        a[stage, 5:stage] = 1.0
        c[stage, : len(C[stage])] = C[stage]
    return a, c


def _advance() -> np.ndarray:
    """Weights of the stages in the change of the states."""
    last = STAGES - 1
    return _tableau()[0][last] + np.eye(STAGES)[last]


def _course() -> np.ndarray:
    """Coefficients of the powers of theta in the interpolant, as weights of the stages."""
    first, second, third = np.array(H)
    return np.stack([_advance() + first, second - first, third - second, -third])


class _Stages(NamedTuple):
    """A step with what its adjoint needs.

    Args:
        k: The stages.
        entries: Non-zeros of the Jacobian.
        by_time: Derivative of the vector field in time.
        factors: Factors of W.
    """

    k: Float[Array, "stage state lane"]
    entries: Entries
    by_time: States
    factors: Any


def _rows(linearised: tuple[Entries, States]) -> Any:
    """Entries and derivatives in time, row after row."""
    entries, by_time = linearised
    return jnp.concatenate([entries, by_time]) if isinstance(entries, jax.Array) else [*entries, *by_time]


class Rodas5P:
    """The method as a step over lanes, with factors of W shared by all stages."""

    name = "rodas5p"
    order = ORDER

    def stepper(self, system: System) -> Step:
        plan = _Plan(system)

        def step(segment: Segment, t: Lanes, y: States, h: Lanes) -> Stepped:
            stages = plan.stages(segment, t, y, h)
            return plan.stepped(y, stages.k)._replace(kept=stages)

        return step

    def pusher(self, system: System) -> Push:
        return _Plan(system).push

    @property
    def weights(self) -> np.ndarray:
        return _course()

    def replayer(self, system: System) -> Step:
        """The same with an adjoint written by hand: a third of the time and of the compilation of the derived one."""
        plan = _Plan(system)

        @jax.custom_vjp
        def step(segment: Segment, t: Lanes, y: States, h: Lanes) -> Stepped:
            return plan.stepped(y, plan.stages(segment, t, y, h).k)

        def forward(segment: Segment, t: Lanes, y: States, h: Lanes):
            stages = plan.apart(plan.stages, segment, t, y, h)
            return plan.stepped(y, stages.k), (segment, t, y, h, stages)

        step.defvjp(forward, lambda kept, cotangent: plan.apart(plan.adjoint, *kept, cotangent))
        return step


class _Plan:
    """The arithmetic of a step for one system."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.linear = linear_system(system.mass, system.jacobian_pattern)
        self.mass = system.mass[:, None]
        self.a, self.c = _tableau()
        self.course = _course()
        self.nodes, self.d = np.array(NODES), np.array(D)

    def apart(self, part: Callable, segment: Segment, t: Lanes, y: States, h: Lanes, *more: Any) -> Any:
        """A part of the way back over a step."""
        arguments = segment, t, y, h, *more
        return apart_if_large(part, *arguments, changing=h[0]) if len(y) > MOST_WRITTEN_OUT else part(*arguments)

    def stages(self, segment: Segment, t: Lanes, y: States, h: Lanes) -> _Stages:
        """All stages of a step; forward mode may differentiate them."""
        system, linear = self.system, self.linear
        entries, by_time = lax.optimization_barrier(
            system.linearise(t, segment.mid, y, segment.params, segment.locked, segment.past)
        )
        k = jnp.zeros((STAGES, *y.shape), y.dtype)
        if not len(y):
            return _Stages(k, entries, by_time, None)
        shift = 1.0 / (GAMMA * h)
        factors = linear.factorise(*jax.tree.map(lax.stop_gradient, (entries, shift)))
        solve = differentiable_solver(linear, factors, entries, shift)
        drift = by_time * segment.clock * h

        def stage(k: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
            index, a_row, c_row, node, d = row
            time = t + node * h * segment.clock
            # Keeps XLA from recomputing the vector field inside the fusions of the solve.
            slope = lax.optimization_barrier(segment.slope(system, time, y + jnp.tensordot(a_row, k, 1)))
            right = slope + self.mass * jnp.tensordot(c_row, k, 1) / h + d * drift
            return lax.dynamic_update_index_in_dim(k, solve(right), index, 0), None

        # The stages are a loop, not unrolled: one copy of the vector field and of the triangular solves to compile,
        # and less for XLA to recompute inside its fusions (measured: 2 to 7 times faster).
        k, _ = lax.scan(stage, k, (np.arange(STAGES), self.a, self.c, self.nodes, self.d))
        return _Stages(k, entries, by_time, factors)

    def stepped(self, y: States, k: Float[Array, "stage state lane"]) -> Stepped:
        """What the stages give."""
        error = k[STAGES - 1]
        return Stepped(y + jnp.tensordot(self.a[STAGES - 1], k, 1) + error, error, combine(self.course, k))

    def push(self, segment: Segment, t: Lanes, y: States, h: Lanes, stages: _Stages, d: Along):
        """Derivatives of the states at the end of a step, and of its stages.

        Those of a stage solve the same system with the right-hand side

            df + dJ k_i + M (sum_j C_ij dk_j / h + (k_i / gamma - sum_j C_ij k_j) dh / h^2) + d_i d(h f_t).
        """
        system, k = self.system, stages.k
        if not len(y):
            return d.y, jnp.zeros((STAGES, *d.y.shape))
        rows = lambda t, mid, y, p: system.vector_field_rows(t, mid, y, p, segment.locked)  # noqa: E731
        linearised = lambda t, mid, y, p: _rows(system.linearise(t, mid, y, p, segment.locked))  # noqa: E731
        start = (t, segment.mid, y, segment.params)
        d_all = along(linearised, start, (d.t, d.mid, d.y, d.params))
        assert d_all is not None  # the states always change
        entries = len(system.jacobian_pattern)
        d_entries, d_drift = lax.optimization_barrier((d_all[:entries], times(d_all[entries:], segment.clock * h)))
        d_drift = plus(d_drift, times(d.h, stages.by_time * segment.clock))
        solver = many_solver(self.linear, stages.factors, stages.entries, 1.0 / (GAMMA * h))
        mass = self.mass[:, None]

        def stage(dk: Array, row: tuple[Array, ...]) -> tuple[Array, None]:
            index, a_row, c_row, node, drift, k_here = row
            y_here = y + jnp.tensordot(a_row, k, 1)
            dy_here = d.y + jnp.tensordot(a_row, dk, 1)
            at = (t + node * h * segment.clock, segment.mid, y_here, segment.params)
            d_t = plus(d.t, times(d.h, node * segment.clock))
            slope = lax.optimization_barrier(along(rows, at, (d_t, d.mid, dy_here, d.params)))
            right = slope + mass * jnp.tensordot(c_row, dk, 1) / h + drift * d_drift
            right += self._product(d_entries, k_here)
            if d.inflow is not None:
                right += d.inflow
            if d.h is not None:
                by_h = (k_here / GAMMA - jnp.tensordot(c_row, k, 1)) / h**2
                right += mass * by_h[:, None] * d.h
            return lax.dynamic_update_index_in_dim(dk, solver(right), index, 0), None

        rows_of_stages = (np.arange(STAGES), self.a, self.c, self.nodes, self.d, k)
        dk, _ = lax.scan(stage, jnp.zeros((STAGES, *d.y.shape), d.y.dtype), rows_of_stages)
        return d.y + jnp.tensordot(_advance(), dk, 1), dk

    def _product(self, d_entries: Array, x: States) -> Float[Array, "state direction lane"]:
        """dJ x."""
        if len(x) > MOST_WRITTEN_OUT:
            of_one = lambda entries: -self.linear.product(entries, jnp.zeros_like(x[0]), x)  # noqa: E731
            return jax.vmap(of_one, in_axes=1, out_axes=1)(d_entries)
        total = [jnp.zeros(d_entries.shape[1:])] * len(x)
        for index, (i, j) in enumerate(self.system.jacobian_pattern):
            total[i] = total[i] + d_entries[index] * x[j]
        return jnp.stack(total)

    def adjoint(self, segment: Segment, t: Lanes, y: States, h: Lanes, stages: _Stages, cotangent: Stepped):
        """Cotangents of segment, time, states and length of a step.

        With u_i = W'^-1 (cotangent of k_i), stage by stage from the last, the cotangents grow by

            slope at stage i:  u_i,    k_j:  a_ij J_i' u_i + C_ij/h M u_i,    J:  u_i k_i'.
        """
        system, k = self.system, stages.k
        if not len(y):
            return jax.tree.map(jnp.zeros_like, (segment, t, y, h))
        of_last = np.eye(STAGES)[STAGES - 1][:, None, None] * cotangent.error
        of_k = _advance()[:, None, None] * cotangent.y + of_last
        of_k += sum(row[:, None, None] * each for row, each in zip(self.course, cotangent.course, strict=True))

        # Not the factors themselves, which are constants of a further derivative.
        solver = differentiable_solver(self.linear, stages.factors, stages.entries, 1.0 / (GAMMA * h))
        solve_transposed = jax.linear_transpose(solver, y)

        def stage(carry, row: tuple[Array, ...]):
            of_k, of_start, of_h = carry
            index, a_row, c_row, node = row
            (u,) = solve_transposed(lax.dynamic_index_in_dim(of_k, index, 0, keepdims=False))
            moment, states = t + node * h * segment.clock, y + jnp.tensordot(a_row, k, 1)
            _, pull = jax.vjp(lambda *at: at[0].slope(system, *at[1:]), segment, moment, states)
            of_here = lax.optimization_barrier(pull(u))
            weighted = self.mass * u / h
            of_k += a_row[:, None, None] * of_here[2] + c_row[:, None, None] * weighted
            of_h += of_here[1] * node * segment.clock - jnp.sum(weighted * jnp.tensordot(c_row, k, 1), axis=0) / h
            return (of_k, jax.tree.map(jnp.add, of_start, of_here), of_h), u

        of_start = (jax.tree.map(jnp.zeros_like, segment), jnp.zeros_like(t), cotangent.y)
        rows = (np.arange(STAGES), self.a, self.c, self.nodes)
        (_, of_start, of_h), u = lax.scan(stage, (of_k, of_start, jnp.zeros_like(h)), rows, reverse=True)
        of_drift = jnp.tensordot(self.d, u, 1)
        of_h += jnp.sum(of_drift * stages.by_time, axis=0) * segment.clock
        of_h += jnp.sum(self.mass * jnp.sum(u * k, axis=0), axis=0) / (GAMMA * h**2)
        of_entries = self._of_entries(stages.entries, u, k)
        linearised = lambda s, t, y: system.linearise(t, s.mid, y, s.params, s.locked, s.past)  # noqa: E731
        _, pull = jax.vjp(linearised, segment, t, y)
        of_all = pull(lax.optimization_barrier((of_entries, of_drift * segment.clock * h)))
        return *jax.tree.map(jnp.add, of_start, of_all), of_h

    def _of_entries(self, entries: Entries, u: Array, k: Array) -> Entries:
        pattern = self.system.jacobian_pattern
        if not isinstance(entries, jax.Array):
            return [jnp.sum(u[:, i] * k[:, j], axis=0) for i, j in pattern]
        rows, columns = np.array(pattern, dtype=int).T
        # Term by term: a reduction over the stages is slower (see `twin.solve.method.combine`).
        return sum(u[stage][rows] * k[stage][columns] for stage in range(STAGES))  # type: ignore[return-value]
