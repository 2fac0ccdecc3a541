"""Fast reactions as quasi-steady state: species that they turn into each other, and what of these still changes slowly.

Fast reactions that share species form a group. With F their net stoichiometry and one pivot species p for each
independent column, the totals ``z_i = x_i - sum_p R_ip x_p`` with ``R = F_i F_p^-1`` are what fast reactions keep:
they become the states, changed by slow reactions alone. The pivots are where the fast change comes to rest
(`equilibrium`), and the others follow from ``x_i = z_i + sum_p R_ip x_p``. All x are amounts.

References:
    SBML Level 3 Version 1 Core, section 4.11.1 (attribute fast): fast reactions are at equilibrium at every moment,
    from the initial values on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from twin.errors import FormulaError, UnsupportedModelError
from twin.exchange.sbml.contents import Contents, ReactionContent, Species
from twin.exchange.sbml.equilibrium import NoEquilibriumError, Start, linear_rest, stable_root
from twin.exchange.sbml.expression import Expression, name, number, plus, times
from twin.exchange.sbml.initial import InitialValues
from twin.exchange.sbml.roles import Roles
from twin.exchange.sbml.signs import Signs
from twin.exchange.sbml.start_values import StartValues, is_constant, known_signs
from twin.exchange.sbml.symbolic import from_sympy, to_sympy
from twin.model.functions import Delay, RateOf
from twin.model.symbols import symbol

_LARGEST_GROUP = 8
"""Most independent fast reactions that share species; their equilibrium is worked out by symbolic elimination."""

_MOST_REACTIONS = 32
"""Most fast reactions that share species, dependent ones included."""

_LARGEST_RATE = 1_000
"""Most parts of a fast rate law, of which symbolic algebra is done."""


@dataclass(frozen=True)
class Group:
    """Species that fast reactions turn into each other.

    Args:
        where: Place of its first reaction.
        reactions: Names of its reactions.
        rest: Amount of each pivot species at equilibrium, in terms of totals.
        totals: Name of the total that goes with each other species.
        shares: R by species, then by pivot.
    """

    where: str
    reactions: tuple[str, ...]
    rest: dict[str, Expression]
    totals: dict[str, str]
    shares: dict[str, dict[str, Expression]]

    @property
    def species(self) -> list[str]:
        return [*self.rest, *self.totals]


def find_groups(contents: Contents, roles: Roles, initials: InitialValues) -> list[Group]:
    """Reduces fast reactions to their equilibrium.

    Raises:
        UnsupportedModelError: A group whose equilibrium cannot be told.
    """
    fast = [reaction for reaction in contents.reactions if reaction.fast]
    return _Finder(contents, roles, initials).groups(fast) if fast else []


class _Finder:
    def __init__(self, contents: Contents, roles: Roles, initials: InitialValues) -> None:
        self.contents, self.roles = contents, roles
        self.start = StartValues(contents, roles, initials)
        self.definitions = {**roles.definitions, **{item.name: item.rate for item in contents.reactions}}
        self.changes: dict[str, dict[str, sp.Expr]] = {}
        self.rates: dict[str, sp.Expr] = {}

    def groups(self, fast: list[ReactionContent]) -> list[Group]:
        changes = {reaction.name: self._changes(reaction) for reaction in fast}
        changed = {key for each in changes.values() for key in each}
        dependent = dependents(self.definitions, changed)
        active = []
        for reaction in fast:
            rate = self._expanded(reaction, dependent)
            # A rate that is nothing has no effect, fast or not, as have changes of boundary species alone.
            if rate != 0 and changes[reaction.name]:
                self.rates[reaction.name], self.changes[reaction.name] = rate, changes[reaction.name]
                active.append(reaction)
        self._check_uses({reaction.name for reaction in active})
        return [self._reduced(linked, dependent) for linked in self._linked(active)]

    def _changes(self, reaction: ReactionContent) -> dict[str, sp.Expr]:
        """Net change of each species' amount."""
        net: dict[str, sp.Expr] = {}
        for term in reaction.terms:
            species = self.contents.quantities[term.species]
            assert isinstance(species, Species)
            if species.changed_by_reactions:
                factor = [name(species.conversion)] if species.conversion else []
                change = to_sympy(times(term.stoichiometry, *factor), reaction.where)
                net[species.name] = net.get(species.name, sp.Integer(0)) + change
        return {key: change for key, change in net.items() if change != 0}

    def _expanded(self, reaction: ReactionContent, dependent: set[str]) -> sp.Expr:
        """The rate with everything put in that hides species of fast reactions."""
        rate = reaction.rate
        try:
            for _ in range(len(self.definitions) + 1):
                used = {key: self.definitions[key] for key in rate.names if key in dependent}
                if not used:
                    break
                rate = rate.substitute(used)
        except FormulaError as error:
            raise _refusal(reaction, error.found) from None
        if rate.size > _LARGEST_RATE:
            raise _refusal(reaction, f"its rate law has more than {_LARGEST_RATE} parts")
        return to_sympy(rate, reaction.where)

    def _check_uses(self, names: set[str]) -> None:
        for formula, where in self.contents.formulas():
            for key in formula.names:
                if key in names:
                    raise UnsupportedModelError(
                        f"the rate of the fast reaction {key!r} is used",
                        where=where,
                        expected="no use of it: at equilibrium its law is 0, and what flows through it is not the law",
                        fix='remove fast="true" and give it a large rate constant',
                    )

    def _linked(self, active: list[ReactionContent]) -> list[list[ReactionContent]]:
        """Reactions that share species, or whose rates see what others change."""
        changed = {symbol(key): key for each in self.changes.values() for key in each}
        groups: list[tuple[set[str], list[ReactionContent]]] = []
        for reaction in active:
            touched = set(self.changes[reaction.name])
            touched |= {changed[item] for item in self.rates[reaction.name].free_symbols if item in changed}  # pyright: ignore[reportArgumentType]
            members = [reaction]
            for group in [group for group in groups if group[0] & touched]:
                touched |= group[0]
                members = [*group[1], *members]
                groups.remove(group)
            groups.append((touched, members))
        return [members for _, members in groups]

    def _reduced(self, linked: list[ReactionContent], dependent: set[str]) -> Group:
        first = linked[0]
        species = list(dict.fromkeys(key for reaction in linked for key in self.changes[reaction.name]))
        try:
            self._check_group(linked, species, dependent)
            matrix = sp.Matrix(len(species), len(linked), lambda i, j: self._entry(linked[j], species[i]))
            if len(linked) == 1 or matrix.rank() == 1:
                return self._single(linked, species, matrix)
            return self._several(linked, species, matrix)
        except (NoEquilibriumError, FormulaError, sp.PolynomialError) as error:
            raise _refusal(first, error.found if isinstance(error, FormulaError) else str(error)) from None

    def _entry(self, reaction: ReactionContent, key: str) -> sp.Expr:
        return self.changes[reaction.name].get(key, sp.Integer(0))

    def _check_group(self, linked: list[ReactionContent], species: list[str], dependent: set[str]) -> None:
        if len(linked) > _MOST_REACTIONS:
            raise NoEquilibriumError(f"more than {_MOST_REACTIONS} fast ones share species")
        for reaction in linked:
            if self.rates[reaction.name].has(Delay, RateOf):
                raise NoEquilibriumError("its rate law uses a delay or a rate")
            for change in self.changes[reaction.name].values():
                for item in map(str, change.free_symbols):
                    if not is_constant(self.contents, self.roles, item) and not self._set_by_events(item):
                        raise NoEquilibriumError(f"its stoichiometry changes continuously, with {item!r}")
        for key in species:
            quantity = self.contents.quantities[key]
            assert isinstance(quantity, Species)
            if quantity.compartment in dependent:
                raise NoEquilibriumError(f"the size of {quantity.compartment!r} depends on what it changes")

    def _set_by_events(self, key: str) -> bool:
        quantity = self.contents.quantities.get(key)
        return (
            quantity is not None
            and not isinstance(quantity, Species)
            and quantity.rule in (None, "empty")
            and (key not in self.roles.constraints and key not in self.roles.definitions)
        )

    def _single(self, linked: list[ReactionContent], species: list[str], matrix: sp.Matrix) -> Group:
        """One independent reaction: the first species will do whose equilibrium has a formula known to be right."""
        reasons = []
        for row, pivot in enumerate(species):
            column = next(index for index in range(len(linked)) if matrix[row, index] != 0)
            factors = {
                key: sp.cancel(matrix[other, column] / matrix[row, column])
                for other, key in enumerate(species)
                if key != pivot
            }
            shares = {key: {pivot: factor} for key, factor in factors.items()}
            try:
                return self._rest(linked, [pivot], shares, matrix[row : row + 1, :])
            except NoEquilibriumError as error:
                reasons.append(str(error))
        raise NoEquilibriumError("; ".join(dict.fromkeys(reasons)))

    def _several(self, linked: list[ReactionContent], species: list[str], matrix: sp.Matrix) -> Group:
        if not all(entry.is_number for entry in matrix):
            raise NoEquilibriumError("it shares species with other fast ones and its stoichiometry is no number")
        rows = list(matrix.T.rref()[1])
        if len(rows) > _LARGEST_GROUP:
            raise NoEquilibriumError(f"more than {_LARGEST_GROUP} fast ones share species")
        columns = list(matrix.rref()[1])
        inverse = matrix.extract(rows, columns).inv()
        pivots = [species[row] for row in rows]
        shares = {}
        for row, key in enumerate(species):
            if row not in rows:
                share = matrix.extract([row], columns) * inverse
                shares[key] = dict(zip(pivots, share, strict=True))
        return self._rest(linked, pivots, shares, matrix.extract(rows, list(range(len(linked)))))

    def _rest(
        self, linked: list[ReactionContent], pivots: list[str], shares: dict[str, dict[str, sp.Expr]], rows: sp.Matrix
    ) -> Group:
        """The group with its equilibrium, for a choice of pivots."""
        species = [*pivots, *shares]
        amounts = {key: symbol(f"amount {key}") for key in pivots}
        totals = {key: symbol(f"total {key}") for key in shares}
        everything = dict(amounts)
        for key, share in shares.items():
            everything[key] = sp.Add(totals[key], *(factor * amounts[pivot] for pivot, factor in share.items()))
        contents = {symbol(key): everything[key] / self._size(key) for key in species}
        at_start = {amounts[key]: self.start.amount(key) for key in pivots}
        for key, share in shares.items():
            at_start[totals[key]] = self.start.total(key, share)
        signs = self._signs(species, totals, amounts, shares)

        def change(expression: sp.Expr) -> sp.Expr:
            return expression.xreplace(contents)  # pyright: ignore[reportReturnType]

        speeds = list(rows * sp.Matrix([self.rates[reaction.name] for reaction in linked]))
        unknowns = list(amounts.values())
        if len(pivots) > 1:
            rest = linear_rest(speeds, change, unknowns, signs)
        else:
            start = Start(lambda expression: self.start.value(expression, at_start), at_start[unknowns[0]])
            rest = [stable_root(speeds[0], change, unknowns[0], signs, start)]
        names = {key: self.contents.names.free(f"{key}_total") for key in shares}
        places = {item: symbol(names[key]) for key, item in totals.items()}
        return Group(
            linked[0].where,
            tuple(reaction.name for reaction in linked),
            {key: from_sympy(root.xreplace(places)) for key, root in zip(pivots, rest, strict=True)},
            names,
            {key: {pivot: from_sympy(factor) for pivot, factor in share.items()} for key, share in shares.items()},
        )

    def _size(self, key: str) -> sp.Expr:
        species = self.contents.quantities[key]
        assert isinstance(species, Species)
        return sp.Integer(1) if species.amount else symbol(species.compartment)

    def _signs(
        self,
        species: list[str],
        totals: dict[str, sp.Symbol],
        amounts: dict[str, sp.Symbol],
        shares: dict[str, dict[str, sp.Expr]],
    ) -> Signs:
        """Species are positive, and so are totals that add them; one that an event sets may become 0."""
        known = known_signs(self.contents, self.roles)
        signs = Signs(lambda expression: self.start.constant(expression), known)
        calm = {key for key in species if not self.contents.quantities[key].assigned}
        for key, item in totals.items():
            adds = all((signs.of(factor) or 0) <= 0 for factor in shares[key].values())
            if adds and {key, *shares[key]} <= calm:
                known[item] = 1
        known |= {symbol(key): 1 for key in calm} | {item: 1 for key, item in amounts.items() if key in calm}
        return Signs(lambda expression: self.start.constant(expression), known)


def dependents(definitions: dict[str, Expression], changed: set[str]) -> set[str]:
    """Names whose formulas lead to any of the given ones."""
    users: dict[str, list[str]] = {}
    for key, formula in definitions.items():
        for other in formula.names:
            users.setdefault(other, []).append(key)
    found: set[str] = set()
    stack = list(changed)
    while stack:
        for user in users.get(stack.pop(), ()):
            if user not in found:
                found.add(user)
                stack.append(user)
    return found


def _refusal(reaction: ReactionContent, reason: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f'the reaction is fast (attribute fast="true") and cannot be replaced by its equilibrium: {reason}',
        where=reaction.where,
        expected="fast reactions with one stable equilibrium in closed form",
        fix="remove the attribute and give it a large rate constant, or write the equilibrium as an algebraic rule",
    )


def at_rest(group: Group, amount_of: dict[str, str]) -> Iterator[tuple[str, Expression]]:
    """Name and formula of each amount, pivots first.

    Args:
        group: The group.
        amount_of: Name of each species' amount.
    """
    for key, rest in group.rest.items():
        yield amount_of[key], rest
    for key, total in group.totals.items():
        terms = [times(share, name(amount_of[pivot])) for pivot, share in group.shares[key].items()]
        yield amount_of[key], plus(name(total), *terms)


def changes_of_totals(groups: list[Group]) -> dict[str, dict[str, Expression]]:
    """By species, what a change of its amount by one does to each total."""
    found: dict[str, dict[str, Expression]] = {}
    for group in groups:
        found |= {key: {} for key in group.rest}
        for key, total in group.totals.items():
            found[key] = {total: number(1.0)}
            for pivot, share in group.shares[key].items():
                found[pivot][total] = times(number(-1.0), share)
    return found
