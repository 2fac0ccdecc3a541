"""What SBML has no word for, kept in annotations: observables, and units as the author wrote them."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

NAMESPACE = "urn:cytotwin:part"

OBSERVABLE = "observable"
"""Role of a parameter that is read and does not act."""


def annotate(element: Any, **facts: str) -> None:
    """Writes facts about a part beside it, those that are not empty."""
    given = {key: fact for key, fact in facts.items() if fact}
    if given:
        attributes = " ".join(f"{key}={quoteattr(fact)}" for key, fact in given.items())
        element.setAnnotation(f'<annotation><part xmlns="{NAMESPACE}" {attributes}/></annotation>')


def annotated(element: Any) -> dict[str, str]:
    """The facts written by `annotate`; nothing for files of others."""
    annotation = element.getAnnotation() if element.isSetAnnotation() else None
    if annotation is None:
        return {}
    for index in range(annotation.getNumChildren()):
        child = annotation.getChild(index)
        if child.getURI() == NAMESPACE and child.getName() == "part":
            attributes = child.getAttributes()
            return {
                attributes.getName(position): attributes.getValue(position)
                for position in range(attributes.getLength())
            }
    return {}
