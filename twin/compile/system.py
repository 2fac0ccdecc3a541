"""A model compiled to pure functions of arrays: vector field, sparse Jacobian, outputs, initial states.

Every function works on lanes: the last axis of each array is the batch, one trajectory per lane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp
from jaxtyping import Array, Float

from twin.compile.assembly import Assembly, stack
from twin.compile.conservation import ConservationLaws, conservation_laws
from twin.compile.delays import DelayTerms, Past
from twin.compile.evaluate import Env, compile_expressions
from twin.compile.events import EventProgram
from twin.compile.inputs import InputCurve, input_curve
from twin.compile.switches import expose_switches, lock_symbols, switch_times
from twin.model.derivative import derivatives
from twin.model.model import Model

type Lanes = Float[Array, " lane"]
type States = Float[Array, "state lane"]
type Parameters = Float[Array, "parameter lane"]

TIME = sp.Symbol("time", real=True)
MOST_WRITTEN_OUT = 40
"""States up to which right-hand sides and Jacobian are written out term by term: the fastest code."""


class System:
    """A `Model` compiled to JAX.

    Functions take ``t`` (time), ``mid`` (midpoint of the current segment, which decides switches in time and
    intervals of inputs), ``y`` (states) and ``p`` (parameters); each has lanes last.

    Attributes:
        model: The mechanism.
        states: Names of the states, in the order of ``y``.
        parameters: Names of the parameters, in the order of ``p``.
        jacobian_pattern: Positions (row, column) of the structural non-zeros of df/dy.
        knots: Times at which measured inputs change their polynomial.
        switches: Formulas of parameters for the times at which a piecewise term or the condition of an event switches.
        events: The events, or None if there are none.
        delays: Its delayed terms.
        mass: 1 for every state with a derivative, 0 for those that a constraint determines.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.states: tuple[str, ...] = model.state_names
        self.parameters: tuple[str, ...] = model.parameter_names
        self._state_symbols = [model.symbol(name) for name in self.states]
        self._parameter_symbols = [model.symbol(name) for name in self.parameters]
        self._inputs = {name: model.parts[name] for name in model.input_names}
        self._curves: dict[str, InputCurve] = {
            name: input_curve(np.asarray(part.times, dtype=float), part.interpolation)
            for name, part in self._inputs.items()
        }
        self.knots = np.unique(np.concatenate([np.zeros(0), *(curve.knots for curve in self._curves.values())]))
        self._frozen = frozenset([TIME, *self._parameter_symbols])
        self.delays = DelayTerms({self.states.index(name): value for name, value in model.histories.items()})
        exposed = [self._exposed(expression) for expression in model.rhs]
        self._locks = lock_symbols(exposed, self._frozen)
        self._lock_symbols = tuple(comparison.lhs for comparison in self._locks.values())
        self._formulas = tuple(expression.xreplace(self._locks) for expression in exposed)
        expand = lambda expression: self.delays.replace(model.expand(expression))  # noqa: E731
        needed = model.events or self._locks
        self.events = EventProgram(model, expand, tuple(self._locks), self._frozen) if needed else None
        self.delays.all_act()
        of_events = self.events.edges if self.events else ()
        self.switches: tuple[sp.Expr, ...] = tuple(
            dict.fromkeys([*switch_times(self._formulas, self._frozen), *of_events])
        )
        self.mass = np.array([name not in model.constraints for name in self.states], dtype=float)
        # d(input)/dt enters df/dt, which the method needs, as a symbol of its own.
        self._rates = {TIME: sp.Integer(1)}
        self._rates |= {model.symbol(name): sp.Symbol(f"{name}__slope", real=True) for name in self._inputs}
        self._rates |= self.delays.rates
        self._assembly = self._assemble() if len(self.states) > MOST_WRITTEN_OUT else None
        self._rhs = compile_expressions([] if self._assembly else self._formulas, self._frozen)
        self._initial = compile_expressions(model.initial, self._frozen)
        self._output_cache: dict[tuple[sp.Expr, ...], object] = {}

    def __repr__(self) -> str:
        size = f"{len(self.states)} states, {len(self.parameters)} parameters"
        return f"System({self.model.name!r}, {size}, {len(self.jacobian_pattern)} non-zeros in the Jacobian)"

    @property
    def locks(self) -> int:
        """Number of comparisons in the vector field that are held fixed during a step."""
        return len(self._lock_symbols)

    def _exposed(self, expression: sp.Expr) -> sp.Expr:
        """The expression with symbols for delayed terms, and switches in time written as piecewise terms."""
        return expose_switches(cast("sp.Expr", self.delays.replace(expression)), self._frozen)

    def _assemble(self) -> Assembly:
        model, size = self.model, len(self.model.reactions)
        terms = [self._exposed(flux).xreplace(self._locks) for flux in model.fluxes]
        coefficients = dict(model.flux_coefficients)
        alone = {**model.ode_formulas, **model.constraint_formulas}
        for index, (name, formula) in enumerate(alone.items()):
            terms.append(self._exposed(model.expand(formula)).xreplace(self._locks))
            coefficients[self.states.index(name), size + index] = sp.Integer(1)
        symbols = self._state_symbols, self._parameter_symbols
        return Assembly(len(self.states), terms, coefficients, *symbols, self._rates, self._lock_symbols, self._frozen)

    @cached_property
    def jacobian(self) -> sp.SparseMatrix:
        """Symbolic df/dy, with assignments expanded."""
        entries = {}
        for row, expression in enumerate(self._formulas):
            present = [(i, symbol) for i, symbol in enumerate(self._state_symbols) if symbol in expression.free_symbols]
            by_state = derivatives(expression, [symbol for _, symbol in present])
            entries |= {(row, i): value for (i, _), value in zip(present, by_state, strict=True) if value != 0}
        return sp.SparseMatrix(len(self.states), len(self.states), entries)

    @cached_property
    def jacobian_pattern(self) -> tuple[tuple[int, int], ...]:
        """Positions of the structural non-zeros, row by row."""
        return self._assembly.pattern if self._assembly else tuple(sorted(self.jacobian.todok()))

    @cached_property
    def conserved(self) -> ConservationLaws:
        """What of the states no reaction changes."""
        return conservation_laws(self.model)

    @cached_property
    def _linearised(self):
        entries = self.jacobian.todok()
        rates = self._rates
        by_time = [
            sp.Add(*(value * rate for value, rate in zip(derivatives(f, list(rates)), rates.values(), strict=True)))
            for f in self._formulas
        ]
        return compile_expressions([*(entries[key] for key in self.jacobian_pattern), *by_time], self._frozen)

    def environment(
        self,
        t: Lanes,
        mid: Lanes,
        y: States | Sequence[Lanes | None],
        p: Parameters | Sequence[Lanes | None],
        locked: Float[Array, "lock lane"] | None = None,
        past: Past | None = None,
    ) -> tuple[Env, Env]:
        """Values of all symbols at `t`, and the same with the clock at the midpoint of the segment.

        Args:
            t: Time.
            mid: Midpoint of the segment.
            y: States; rows that nobody asks for may be None.
            p: Parameters, likewise.
            locked: Truth values of the comparisons of states in the vector field, held fixed during a step; by default
                those at `t`.
            past: States at earlier times; without it delayed terms have no value.
        """
        env = self._plain(t, mid, y, p)
        if self.delays and past is not None:

            def delayed(t: Lanes) -> list[Array]:
                return list(self.delays.values(lambda t, y: self._plain(t, t, y, p), t, y, past).values())

            values, slopes = jax.jvp(delayed, (t,), (jnp.ones_like(t),))
            env |= zip(self.delays.rates, values, strict=True)
            env |= zip(self.delays.rates.values(), slopes, strict=True)
        if self._locks:
            truths = self.events.comparisons(env, t)[-len(self._locks) :] if locked is None else locked  # type: ignore[union-attr]
            env |= {lock: truth * 1.0 for lock, truth in zip(self._lock_symbols, truths, strict=True)}
        return env, {**env, TIME: mid}

    def _plain(self, t: Lanes, mid: Lanes, y: States, p: Parameters) -> Env:
        """Values of all symbols but those that stand for locks and delayed terms."""
        env: dict[sp.Symbol, Array] = dict(zip(self._parameter_symbols, p, strict=True))
        env |= dict(zip(self._state_symbols, y, strict=True))
        env[TIME] = t
        for name, curve in self._curves.items():
            values = self._input_values(name, p, t.shape)
            env[self.model.symbol(name)], slope = curve(t, mid, values)
            env[sp.Symbol(f"{name}__slope", real=True)] = slope
        return env

    def _input_values(self, name: str, p: Parameters, shape: tuple[int, ...]) -> Float[Array, "knot lane"]:
        values = self._inputs[name].values
        env = dict(zip(self._parameter_symbols, p, strict=True))
        rows = [
            self._evaluate(self.model.formula(value, where=f"input {name!r}"), env)
            if isinstance(value, str)
            else float(value)
            for value in values
        ]
        return jnp.stack([jnp.broadcast_to(jnp.asarray(row), shape) for row in rows])

    def _evaluate(self, expression: sp.Expr, env: Env) -> Array:
        return compile_expressions([self.model.expand(expression)], self._frozen)(env, env)[0]

    def vector_field(
        self, t: Lanes, mid: Lanes, y: States, p: Parameters, locked: Array | None = None, past: Past | None = None
    ) -> States:
        """dy/dt, without doses; see `environment`."""
        rows = self.vector_field_rows(t, mid, y, p, locked, past)
        return rows if isinstance(rows, jax.Array) else stack(rows, t)

    def vector_field_rows(
        self, t: Lanes, mid: Lanes, y: States, p: Parameters, locked: Array | None = None, past: Past | None = None
    ) -> list[Lanes] | States:
        """The same state by state where it is written out so."""
        env = self.environment(t, mid, y, p, locked, past)
        if self._assembly:
            return self._assembly.vector_field(y, p, *env)
        return [jnp.broadcast_to(jnp.asarray(value, t.dtype), t.shape) for value in self._rhs(*env)]

    def linearise(
        self, t: Lanes, mid: Lanes, y: States, p: Parameters, locked: Array | None = None, past: Past | None = None
    ) -> tuple[list[Lanes] | Array, States]:
        """Non-zeros of df/dy in the order of `jacobian_pattern` (a list, or one array), and df/dt."""
        env = self.environment(t, mid, y, p, locked, past)
        if self._assembly:
            return self._assembly.linearise(y, p, *env)
        values = self._linearised(*env)
        split = len(self.jacobian_pattern)
        entries = [jnp.broadcast_to(jnp.asarray(value), t.shape) for value in values[:split]]
        return entries, stack(values[split:], t)

    def initial(self, p: Parameters) -> States:
        """Initial states as the model's formulas give them."""
        env = dict(zip(self._parameter_symbols, p, strict=True))
        return stack(self._initial(env, env), p[0] if len(p) else jnp.zeros(p.shape[1:]))

    def expect(self, expressions: Sequence[sp.Expr]) -> None:
        """Makes the integration remember the past if these outputs will ask for it."""
        for expression in expressions:
            self.delays.replace(expression)

    def outputs(
        self,
        expressions: Sequence[sp.Expr],
        t: Lanes,
        mid: Lanes,
        y: States,
        p: Parameters,
        past: Past | None = None,
    ) -> Float[Array, "output lane"]:
        """Values of expanded expressions of states, parameters, inputs and time."""
        key = tuple(expressions)
        if key not in self._output_cache:
            plain = [cast("sp.Expr", self.delays.replace(expression)) for expression in key]
            self._output_cache[key] = compile_expressions(plain, self._frozen)
        return stack(self._output_cache[key](*self.environment(t, mid, y, p, past=past)), t)  # type: ignore[operator]

    def evaluate_formulas(self, expressions: Sequence[sp.Expr], p: Mapping[str, Array]) -> list[Array]:
        """Values of formulas of parameters, given arrays by name (any common shape)."""
        env = {self.model.symbol(name): value for name, value in p.items()}
        return compile_expressions(list(expressions), self._frozen)(env, env)


@lru_cache(maxsize=64)
def compile_model(model: Model) -> System:
    """The `System` of a model; equal models share one, and with it their compiled programs."""
    return System(model)
