"""What a condition sets in a model: a parameter, a state, or a concentration whose state is an amount."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from calibration.petab.description import Setting
from calibration.petab.errors import UnsupportedPetabError
from twin.errors import FormulaError, ModelError, UnknownSymbolError, suggestion
from twin.model import Model
from twin.model.symbols import symbol


@dataclass(frozen=True)
class Concentration:
    """A species whose state is its amount, since its compartment changes size: ``species = amount * factor``.

    Args:
        amount: The state.
        factor: One over the compartment's size.
    """

    amount: sp.Symbol
    factor: sp.Expr


class Targets:
    """The parts of a model that conditions can set.

    Args:
        model: The model, with the parameters of the problem.
        aliases: Other names of its parts.
    """

    def __init__(self, model: Model, aliases: Mapping[str, str]) -> None:
        self.model, self._aliases = model, aliases

    def name(self, setting: Setting) -> str:
        """Name of the part that is set.

        Raises:
            PetabError: the model has no such part.
            UnsupportedPetabError: the model computes it.
        """
        name = self._aliases.get(setting.target, setting.target)
        model = self.model
        if name in model.parameter_names or name in model.state_names or name in self.concentrations:
            return name
        if name in model.parts:
            kind = type(model.parts[name]).__name__.lower()
            raise UnsupportedPetabError(
                f"a condition sets {setting.target!r}, which the model computes ({kind})",
                where=setting.row.where(setting.column),
                expected="a constant parameter, a species or a compartment without rule or initial assignment",
            )
        known = [*model.parameter_names, *model.state_names, *self.concentrations]
        raise setting.row.fault(
            setting.column,
            f"a condition sets {setting.target!r}, which the model does not have",
            expected="a parameter, species or compartment of the model",
            fix=suggestion(setting.target, known),
        )

    @cached_property
    def concentrations(self) -> dict[str, Concentration]:
        """Assignments of the form ``state * factor`` where the state is called ``<assignment>_amount``."""
        found = {}
        states = set(self.model.state_names)
        for name in self.model.assignment_names:
            definition = self.model.definitions[name]
            for state in (s for s in definition.free_symbols if isinstance(s, sp.Symbol)):
                if state.name in states and state.name.rstrip("_") == f"{name}_amount":
                    factor = definition / state
                    if state not in factor.free_symbols:
                        found[name] = Concentration(state, factor)
        return found

    def value(self, setting: Setting) -> sp.Expr:
        """What is set, in terms of parameters, states and time.

        Raises:
            PetabError: no formula of the model's symbols.
        """
        where = setting.row.where(setting.column)
        try:
            return self.model.expand(self.model.formula(setting.value, where=where))
        except (FormulaError, UnknownSymbolError) as error:
            raise setting.row.fault(setting.column, error.found, expected=error.expected, fix=error.fix) from None
        except ModelError as error:
            raise setting.row.fault(setting.column, error.found, expected=error.expected) from None

    @cached_property
    def initial(self) -> dict[sp.Symbol, sp.Expr]:
        """Initial value of every state, a formula of parameters."""
        model = self.model
        return dict(zip(map(symbol, model.state_names), model.initial, strict=True))

    @cached_property
    def states(self) -> frozenset[sp.Symbol]:
        return frozenset(map(symbol, self.model.state_names))

    @cached_property
    def parameters(self) -> frozenset[sp.Symbol]:
        return frozenset(map(symbol, self.model.parameter_names))
