"""A stable name for content: the same in every process and on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any


def as_content(value: Any) -> Any:
    """Records as mappings of their fields; mappings as sorted pairs, whose keys are names that an author chose.

    What is None is left out, so that a field that comes to be added does not change what was written before.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        return {name: as_content(each) for name, each in given.items() if each is not None}
    if isinstance(value, Mapping):
        return [[name, as_content(each)] for name, each in sorted(value.items())]
    return [as_content(each) for each in value] if isinstance(value, (list, tuple)) else value


def without(content: Any, keys: set[str]) -> Any:
    """Nested content with some keys left out at every level."""
    if isinstance(content, dict):
        return {key: without(value, keys) for key, value in content.items() if key not in keys}
    return [without(value, keys) for value in content] if isinstance(content, (list, tuple)) else content


def digest(content: Any) -> str:
    """SHA-256 in hexadecimal of content made of mappings, sequences, text and finite numbers."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
