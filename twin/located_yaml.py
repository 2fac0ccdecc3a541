"""YAML read safely, with the line and the key of everything that is wrong: nothing is constructed but plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from twin.errors import ProblemError, TwinError, suggestion

LARGEST = 2**20
"""Bytes; a larger file is no description of a study."""


@dataclass(frozen=True)
class Place:
    """A value of a YAML file, with where it stands.

    Args:
        node: The value as the parser has it.
        key: Its key, from the top: ``estimates[2].lower``.
        file: Name of the file.
        error: What its faults are raised as.
    """

    node: yaml.Node
    key: str
    file: str
    error: type[TwinError] = ProblemError

    def fault(self, found: str, expected: str | None = None, fix: str | None = None) -> TwinError:
        """An error that names file, line and key."""
        where = f"{self.file}, line {self.node.start_mark.line + 1}" + (f", key {self.key!r}" if self.key else "")
        return self.error(found, where=where, expected=expected, fix=fix)

    def mapping(self, known: Sequence[str] | None = None, required: Sequence[str] = ()) -> dict[str, Place]:
        """Values by key.

        Args:
            known: Keys that may stand; None for any.
            required: Keys that must.

        Raises:
            ProblemError: No mapping, or a key that is unknown, given twice or missing.
        """
        if not isinstance(self.node, yaml.MappingNode):
            raise self.fault(f"here stands {self._shown()}", "a mapping of keys to values")
        found: dict[str, Place] = {}
        for key, value in self.node.value:
            name = str(key.value)
            place = Place(value, f"{self.key}.{name}" if self.key else name, self.file, self.error)
            if name in found:
                raise place.fault("the key stands twice", fix="give it once")
            if known is not None and name not in known:
                raise place.fault("there is no such key", ", ".join(known), suggestion(name, known))
            found[name] = place
        for name in required:
            if name not in found:
                raise self.fault(f"the key {name!r} is missing", ", ".join(required))
        return found

    def items(self) -> list[Place]:
        """The entries of a list.

        Raises:
            ProblemError: No list.
        """
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.fault(f"here stands {self._shown()}", "a list")
        return [
            Place(node, f"{self.key}[{index}]", self.file, self.error)
            for index, node in enumerate(self.node.value, start=1)
        ]

    def text(self) -> str:
        """A text; a number counts as the text that was typed.

        Raises:
            ProblemError: A list, a mapping or nothing.
        """
        if not isinstance(self.node, yaml.ScalarNode) or not str(self.node.value).strip():
            raise self.fault(f"here stands {self._shown()}", "a text")
        return str(self.node.value)

    def number(self) -> float:
        """A finite number.

        Raises:
            ProblemError: Anything else.
        """
        try:
            # YAML 1.1 takes "1e-3" for a text; whoever types it means the number.
            value = float(self.text().replace("_", "x"))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.fault(f"here stands {self._shown()}", "a finite number")
        return value

    def is_number(self) -> bool:
        """Whether `number` would succeed."""
        try:
            self.number()
        except self.error:
            return False
        return True

    def is_mapping(self) -> bool:
        """Whether here stands a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    def is_list(self) -> bool:
        """Whether here stands a list."""
        return isinstance(self.node, yaml.SequenceNode)

    def whole(self, least: int = 0) -> int:
        """A whole number of at least `least`.

        Raises:
            ProblemError: Anything else.
        """
        value = self.number()
        if value != int(value) or value < least:
            raise self.fault(f"here stands {self._shown()}", f"a whole number of at least {least}")
        return int(value)

    def one_of(self, known: Sequence[str]) -> str:
        """One of some words.

        Raises:
            ProblemError: Another one.
        """
        word = self.text()
        if word not in known:
            raise self.fault(f"here stands {word!r}", ", ".join(known), suggestion(word, known))
        return word

    def _shown(self) -> str:
        if isinstance(self.node, yaml.ScalarNode):
            return repr(str(self.node.value)) if self.node.value else "nothing"
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "a mapping"


def read_located(path: Path, error: type[TwinError] = ProblemError, what: str = "a study") -> Place:
    """The top of a YAML file.

    Args:
        path: The file.
        error: What its faults are raised as.
        what: What it describes, in words.

    Raises:
        ProblemError: It cannot be read, is too large, or is no YAML; the line is named.
    """
    try:
        content = path.read_bytes()
        if len(content) > LARGEST:
            raise error(f"the file has {len(content)} bytes", where=str(path), expected=f"at most {LARGEST}")
        node = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
    except OSError as fault:
        raise error(f"the file cannot be read ({fault.strerror})", where=str(path)) from fault
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        said = getattr(fault, "problem", None) or type(fault).__name__
        raise error(f"it is no YAML ({said})", where=f"{path}{line}", expected="YAML in UTF-8") from fault
    if node is None:
        raise error("the file is empty", where=str(path), expected=f"the description of {what}")
    return Place(node, "", path.name, error)
