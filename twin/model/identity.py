"""A stable name for content: the same in every process and on every machine."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def without(content: Any, keys: set[str]) -> Any:
    """Nested content with some keys left out at every level."""
    if isinstance(content, dict):
        return {key: without(value, keys) for key, value in content.items() if key not in keys}
    return [without(value, keys) for value in content] if isinstance(content, (list, tuple)) else content


def digest(content: Any) -> str:
    """SHA-256 in hexadecimal of content made of mappings, sequences, text and finite numbers."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
