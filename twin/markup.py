"""HTML elements as strings in which everything that is not markup already has been escaped."""

from __future__ import annotations

import html
import re

# Characters that HTML forbids even as references; a name read from a damaged file may hold them.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link"})


class Markup(str):
    """A string that is HTML already and must not be escaped again."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """The text as HTML; markup stays as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(text)), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An HTML element.

    Args:
        name: Name of the element.
        children: Markup or text; text is escaped, None is left out.
        attributes: Attributes. A trailing underscore is dropped (``class_``), others become hyphens
            (``aria_label``); None and False leave the attribute out, True gives it no value.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        parts.append(label if value is True else f'{label}="{escape(value)}"')
    opened = f"<{' '.join(parts)}>"
    if name in _VOID:
        return Markup(opened)
    return Markup(f"{opened}{join(*children)}</{name}>")


def join(*children: object, by: str = "") -> Markup:
    """Several pieces of markup or text as one; None is left out."""
    return Markup(by.join(escape(child) for child in children if child is not None))
