"""MathML, as libsbml reads it, to our expressions; function definitions are put in where they are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import libsbml

from twin.errors import FormulaError, UnknownSymbolError, UnsupportedModelError, suggestion
from twin.exchange.sbml.expression import Expression, call, name, negative, number
from twin.exchange.sbml.operators import BUILD, CONSTANTS, FUNCTIONS, NUMBERS, RELATIONS, TIME, TRUTH, relation
from twin.exchange.sbml.places import placed

_MAX_DEPTH = 150
"""Deepest tree of libsbml walked; a few Python frames for each level."""


class MathReader:
    """Reads the maths of one model.

    Args:
        names: Our name of every id that maths may use.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._functions: dict[str, tuple[tuple[str, ...], Expression] | None] = {}
        self._pending: dict[str, tuple[Any, str]] = {}

    def define(self, identifier: str, definition: Any, where: str) -> None:
        """Takes in a function definition; those it calls have to be there already or come later.

        Raises:
            ModelError: Its maths cannot be read.
        """
        self._pending[identifier] = (definition, where)

    def read(self, math_: Any, where: str, local: Mapping[str, str] | None = None) -> Expression:
        """An AST to an expression.

        Args:
            math_: AST node of libsbml.
            where: What it belongs to, for messages.
            local: Names that local parameters have, which shadow all others.

        Raises:
            ModelError: Maths that is not finite, nests too deeply, calls what is not there or what we lack.
        """
        scope = {**self._names, **(local or {})}
        with placed(where):
            return _Walk(self, scope, where).walk(math_, 0)

    def function(self, identifier: str, where: str) -> tuple[tuple[str, ...], Expression] | None:
        """Arguments and body of a function definition; None if its maths is missing.

        Raises:
            ModelError: There is no such function, or it calls itself.
        """
        if identifier in self._functions:
            return self._functions[identifier]
        pending = self._pending
        if identifier not in pending:
            raise UnknownSymbolError(
                f"the function {identifier!r} is called and not defined",
                where=where,
                expected="a function definition of the model",
                fix=suggestion(identifier, [*self._functions, *pending]),
            )
        definition, place = pending.pop(identifier)
        lambda_ = definition.getMath()
        if lambda_ is None or not lambda_.isLambda() or lambda_.getNumChildren() == 0:
            self._functions[identifier] = None
            return None
        count = lambda_.getNumChildren() - 1
        arguments = tuple(lambda_.getChild(index).getName() for index in range(count))
        # A name that no SBML id can have marks an argument, so that what is put in is never mistaken for one.
        scope = {argument: f"argument {argument}" for argument in arguments}
        try:
            body = _Walk(self, scope, place).walk(lambda_.getChild(count), 0)
        except UnknownSymbolError as error:
            raise UnknownSymbolError(
                error.found,
                where=place,
                expected="arguments of the function, and functions that do not call themselves",
            ) from None
        self._functions[identifier] = (arguments, body)
        return self._functions[identifier]


class _Walk:
    """One formula, walked from its root."""

    def __init__(self, reader: MathReader, scope: Mapping[str, str], where: str) -> None:
        self.reader, self.scope, self.where = reader, scope, where

    def walk(self, node: Any, depth: int) -> Expression:
        if depth > _MAX_DEPTH:
            raise FormulaError(
                f"the formula is more than {_MAX_DEPTH} levels deep",
                where=self.where,
                fix="split it with assignment rules",
            )
        kind = node.getType()
        if kind in (libsbml.AST_PLUS, libsbml.AST_MINUS, libsbml.AST_TIMES):
            return self.chain(node, depth)
        if kind in NUMBERS:
            return self.number(node.getInteger() if kind == libsbml.AST_INTEGER else node.getValue())
        if kind == libsbml.AST_NAME_TIME:
            return name(TIME)
        if kind in CONSTANTS:
            return CONSTANTS[kind]
        if kind == libsbml.AST_NAME:
            return self.named(node)
        arguments = [self.walk(node.getChild(index), depth + 1) for index in range(node.getNumChildren())]
        if kind == libsbml.AST_FUNCTION:
            return self.called(node.getName(), arguments)
        return self.applied(node, kind, arguments)

    def number(self, value: float) -> Expression:
        if not math.isfinite(value):
            shown = "not a number" if math.isnan(value) else "infinite"
            raise FormulaError(f"a constant of the formula is {shown}", where=self.where, expected="finite numbers")
        return number(value)

    def chain(self, node: Any, depth: int) -> Expression:
        """A sum or product, without a level of nesting for each ``a + b + c`` that hangs to the left."""
        product = node.getType() == libsbml.AST_TIMES
        operands: list[Expression] = []
        while True:
            kind, count = node.getType(), node.getNumChildren()
            alike = kind == libsbml.AST_TIMES if product else kind in (libsbml.AST_PLUS, libsbml.AST_MINUS)
            if not alike:
                operands.append(self.walk(node, depth + 1))
                break
            if kind == libsbml.AST_MINUS and count < 2:
                operands += [negative(self.walk(node.getChild(index), depth + 1)) for index in range(count)]
                break
            rest = [self.walk(node.getChild(index), depth + 1) for index in range(count - 1, 0, -1)]
            operands += map(negative, rest) if kind == libsbml.AST_MINUS else rest
            if count == 0:
                break
            node = node.getChild(0)
        if len(operands) == 1:
            # true + nothing is the number 1, not a condition.
            return operands[0] if operands[0].head not in TRUTH else Expression("+", (operands[0], number(0.0)))
        return Expression("*" if product else "+", tuple(reversed(operands)))

    def named(self, node: Any) -> Expression:
        identifier = node.getName()
        if identifier not in self.scope:
            raise UnknownSymbolError(
                f"unknown name {identifier!r}",
                where=self.where,
                expected="an id that the model declares",
                fix=suggestion(identifier or "", self.scope),
            )
        return name(self.scope[identifier])

    def called(self, identifier: str, arguments: list[Expression]) -> Expression:
        definition = self.reader.function(identifier, self.where)
        if definition is None:
            raise FormulaError(
                f"the function {identifier!r} is called and has no maths", where=self.where, expected="a lambda"
            )
        names, body = definition
        if len(names) != len(arguments):
            raise FormulaError(
                f"the function {identifier!r} is called with {len(arguments)} arguments",
                where=self.where,
                expected=f"{len(names)}",
            )
        return body.substitute({f"argument {key}": value for key, value in zip(names, arguments, strict=True)})

    def applied(self, node: Any, kind: int, arguments: list[Expression]) -> Expression:
        if kind in FUNCTIONS and len(arguments) == 1:
            return call(FUNCTIONS[kind], *arguments)
        if kind in RELATIONS:
            return relation(RELATIONS[kind], arguments)
        build = BUILD.get(kind)
        try:
            if build is not None:
                return build(*arguments)
        except TypeError:
            raise FormulaError(
                f"{_shown(node)!r} has {len(arguments)} arguments", where=self.where, expected="another number of them"
            ) from None
        raise UnsupportedModelError(
            f"the maths uses {_shown(node)!r} with {len(arguments)} arguments",
            where=self.where,
            expected="the MathML of core SBML",
        )


def _shown(node: Any) -> str:
    return node.getName() or node.getOperatorName() or f"MathML node {node.getType()}"
