"""Formulas as trees: what MathML says, before it becomes text of our own grammar.

A tree may share branches (a function definition is put in wherever it is called), so its size is counted when
it is built and every walk remembers the branches it has seen: a hundred nested calls that would print as
2^100 terms are refused by their count and never unfolded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from twin.errors import FormulaError

MAX_SIZE = 20_000
"""Most nodes of one formula, functions put in: about as much as the 100,000 characters that a formula may have."""

MAX_DEPTH = 150
"""Deepest tree, functions put in; the grammar allows 64 nested parentheses, which sums and products need not."""

_OR, _RELATION, _SUM, _PRODUCT, _SIGNED, _POWER, _ATOM = range(7)
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")
_LEVEL = {
    "&&": _OR,
    "||": _OR,
    **dict.fromkeys(_RELATIONS, _RELATION),
    "+": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "neg": _SIGNED,
    "!": _SIGNED,
    "^": _POWER,
}
_EMPTY = {"+": 0.0, "*": 1.0}


@dataclass(frozen=True, eq=False)
class Expression:
    """A node: a number, a name, or an operator or function with arguments.

    Args:
        head: "number", "name", an operator (``+ * / ^ neg ! && ||`` or a relation), or the name of a function.
        arguments: What it applies to.
        value: The number or the name.
    """

    head: str
    arguments: tuple[Expression, ...] = ()
    value: float | str = 0.0
    size: int = field(init=False, default=1)
    depth: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        if self.arguments:
            size = 1 + sum(argument.size for argument in self.arguments)
            depth = 1 + max(argument.depth for argument in self.arguments)
            object.__setattr__(self, "size", size)
            object.__setattr__(self, "depth", depth)
            if size > MAX_SIZE or depth > MAX_DEPTH:
                found = f"has more than {MAX_SIZE:,} parts" if size > MAX_SIZE else f"is more than {MAX_DEPTH} deep"
                raise FormulaError(f"the formula {found}", fix="split it with assignment rules")

    def nodes(self) -> Iterator[Expression]:
        """Every different node once."""
        seen: set[int] = set()
        stack = [self]
        while stack:
            node = stack.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                stack.extend(reversed(node.arguments))

    @property
    def names(self) -> dict[str, None]:
        """Names used, in the order met."""
        return {str(node.value): None for node in self.nodes() if node.head == "name"}

    def uses(self, head: str) -> bool:
        """True if an operator or function occurs in it."""
        return any(node.head == head for node in self.nodes())

    def substitute(self, replacements: Mapping[str, Expression]) -> Expression:
        """The same with names replaced, all at once; arguments of ``rateOf`` keep their names."""
        done: dict[int, Expression] = {}

        def walk(node: Expression) -> Expression:
            if id(node) not in done:
                if node.head == "name":
                    done[id(node)] = replacements.get(str(node.value), node)
                elif not node.arguments or node.head == "rateOf":
                    done[id(node)] = node
                else:
                    arguments = tuple(walk(argument) for argument in node.arguments)
                    same = all(new is old for new, old in zip(arguments, node.arguments, strict=True))
                    done[id(node)] = node if same else Expression(node.head, arguments)
            return done[id(node)]

        return walk(self)

    def rename(self, names: Mapping[str, str]) -> Expression:
        """The same with other names, also within ``rateOf``."""
        done: dict[int, Expression] = {}

        def walk(node: Expression) -> Expression:
            if id(node) not in done:
                if node.head == "name":
                    done[id(node)] = name(names.get(str(node.value), str(node.value)))
                else:
                    done[id(node)] = Expression(node.head, tuple(map(walk, node.arguments)), node.value)
            return done[id(node)]

        return walk(self)

    def __str__(self) -> str:
        return _text(self, _OR)


def number(value: float) -> Expression:
    return Expression("number", value=float(value))


def name(identifier: str) -> Expression:
    return Expression("name", value=identifier)


def call(function: str, *arguments: Expression) -> Expression:
    return Expression(function, arguments)


def times(*factors: Expression) -> Expression:
    """A product, factors of one left out, numbers multiplied where both are plain."""
    kept = [factor for factor in factors if not (factor.head == "number" and factor.value == 1.0)]
    if any(factor.head == "number" and factor.value == 0.0 for factor in kept):
        return number(0.0)
    if len(kept) > 1 and kept[0].head == "number" and kept[0].value == -1.0:
        return negative(times(*kept[1:]))
    return kept[0] if len(kept) == 1 else Expression("*", tuple(kept)) if kept else number(1.0)


def over(above: Expression, below: Expression) -> Expression:
    """A quotient; by one, or of nothing, it is what stands above."""
    if above.head == "number" and above.value == 0.0:
        return above
    if below.head == "number":
        if below.value == 1.0:
            return above
        if above.head == "number" and below.value != 0.0:
            ratio = float(above.value) / float(below.value)
            if math.isfinite(ratio):
                return number(ratio)
    return Expression("/", (above, below))


def plus(*terms: Expression) -> Expression:
    kept = [term for term in terms if not (term.head == "number" and term.value == 0.0)]
    return kept[0] if len(kept) == 1 else Expression("+", tuple(kept)) if kept else number(0.0)


def negative(term: Expression) -> Expression:
    return number(-float(term.value)) if term.head == "number" else Expression("neg", (term,))


def plain(expression: Expression) -> float | str:
    """A number as a number, anything else as text."""
    return float(expression.value) if expression.head == "number" else str(expression)


def _text(node: Expression, level: int) -> str:
    own = _level(node)
    text = _render(node)
    return f"({text})" if own < level else text


def _level(node: Expression) -> int:
    if node.head == "number":
        return _SIGNED if math.copysign(1.0, float(node.value)) < 0 else _ATOM
    if node.head in _EMPTY and not node.arguments:
        return _ATOM
    return _LEVEL.get(node.head, _ATOM)


def _render(node: Expression) -> str:
    head, arguments = node.head, node.arguments
    if head == "number":
        return _number(float(node.value))
    if head == "name":
        return str(node.value)
    if head in _EMPTY and not arguments:
        return _number(_EMPTY[head])
    if head == "+":
        return _sum(arguments)
    if head == "*":
        return " * ".join(
            _text(argument, _PRODUCT if not index else _SIGNED) for index, argument in enumerate(arguments)
        )
    if head == "/":
        return f"{_text(arguments[0], _PRODUCT)} / {_text(arguments[1], _SIGNED)}"
    if head == "^":
        return f"{_text(arguments[0], _ATOM)}^{_text(arguments[1], _ATOM)}"
    if head == "neg":
        return f"-{_text(arguments[0], _POWER)}"
    if head == "!":
        return f"!{_text(arguments[0], _ATOM)}"
    if head in ("&&", "||"):
        return f" {head} ".join(_text(argument, _RELATION) for argument in arguments)
    if head in _RELATIONS:
        return f"{_text(arguments[0], _SUM)} {head} {_text(arguments[1], _SUM)}"
    return f"{head}({', '.join(_text(argument, _OR) for argument in arguments)})"


def _sum(arguments: tuple[Expression, ...]) -> str:
    parts = []
    for index, argument in enumerate(arguments):
        if index and argument.head == "neg":
            parts.append(f" - {_text(argument.arguments[0], _PRODUCT)}")
        elif index and argument.head == "number" and _level(argument) == _SIGNED:
            parts.append(f" - {_number(-float(argument.value))}")
        else:
            # A sum within a sum needs no parentheses, which would count as nesting.
            parts.append((" + " if index else "") + _text(argument, _SUM))
    return "".join(parts)


def _number(value: float) -> str:
    if not math.isfinite(value):
        shown = "not a number" if math.isnan(value) else "infinite"
        raise FormulaError(f"a constant of the formula is {shown}", expected="finite numbers")
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value)
