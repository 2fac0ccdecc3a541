"""A path or text to a libsbml document: opened safely, faults named with their line.

libsbml expands entities and descends recursively into elements, so the XML is first walked by expat, which
does neither: document types, entities and absurd nesting are refused before libsbml sees them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

import libsbml

from twin.errors import ModelError

MAX_BYTES = 200 * 2**20
"""Largest file accepted; the largest published models have about 50 MB."""

MAX_ELEMENT_DEPTH = 400
"""Deepest nesting of XML elements; libsbml takes a stack frame for each."""

_ROOT = "http://www.sbml.org/sbml/level"
_VERSIONS = {
    f"{_ROOT}1": (("1", "1"), ("1", "2")),
    f"{_ROOT}2": (("2", "1"),),
    **{f"{_ROOT}2/version{version}": (("2", str(version)),) for version in (2, 3, 4, 5)},
    **{f"{_ROOT}3/version{version}/core": (("3", str(version)),) for version in (1, 2)},
}
"""Level and version that go with each namespace."""


@dataclass(frozen=True)
class Document:
    """An SBML document and where it came from.

    Args:
        sbml: The document of libsbml. It owns the model, so it has to live as long.
        label: The file's name, for messages.
        folder: Folder of the file; None for text.
    """

    sbml: Any
    label: str
    folder: Path | None

    def where(self, element: Any, kind: str = "", identifier: str | None = None) -> str:
        """File, line and id of an element, for messages."""
        return describe(self.label, element, kind, identifier)


def describe(label: str, element: Any, kind: str = "", identifier: str | None = None) -> str:
    """File, line and id of an element, for messages."""
    line = element.getLine()
    identifier = element.getId() if identifier is None else identifier
    parts = [label]
    if line:
        parts.append(f"line {line}")
    parts.append(
        f"{kind or element.getElementName()} {identifier!r}" if identifier else kind or element.getElementName()
    )
    return ", ".join(parts)


def open_document(source: str | os.PathLike[str]) -> Document:
    """Reads SBML.

    Args:
        source: Path of a file, or the text itself: a text whose first character is ``<``.

    Raises:
        ModelError: There is no such file, or it is not SBML.
    """
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("<"):
        return parse_document(source.lstrip("\ufeff \t\r\n").encode(), "SBML text", None)
    if not isinstance(source, (str, os.PathLike)):
        raise ModelError(
            f"the source is a {type(source).__name__}", where="read_sbml", expected="a path, or SBML as text"
        )
    return read_document(Path(source))


def read_document(path: Path) -> Document:
    """Reads a file; see `open_document`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"the file has {path.stat().st_size:,} bytes", where=str(path), expected=f"{MAX_BYTES:,}")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        shown = str(path) if len(str(path)) < 200 else f"{str(path)[:200]}..."
        raise ModelError(
            f"the file cannot be read ({reason})", where=shown, expected="the path of an SBML file, or its text"
        ) from None
    return parse_document(content, path.name, path.resolve().parent)


def parse_document(content: bytes, label: str, folder: Path | None) -> Document:
    """Reads SBML from bytes; see `open_document`."""
    _walk(content, label)
    try:
        text = _decode(content)
    except UnicodeDecodeError as error:
        raise ModelError(f"the text is not in its declared encoding ({error})", where=label) from None
    sbml = libsbml.readSBMLFromString(text)
    if folder is not None:
        sbml.setLocationURI((folder / label).as_uri())
    raise_errors(sbml, label)
    if sbml.getModel() is None:
        raise ModelError("the document holds no model", where=label, expected="SBML with a <model> element")
    return Document(sbml, label, folder)


def raise_errors(sbml: Any, label: str) -> None:
    """Raises the first faults that libsbml found.

    Raises:
        ModelError: At least one error or fatal error.
    """
    found = []
    for index in range(sbml.getNumErrors()):
        error = sbml.getError(index)
        if error.getSeverity() >= libsbml.LIBSBML_SEV_ERROR:
            message = " ".join((error.getShortMessage() or error.getMessage()).split())
            detail = " ".join(error.getMessage().split())
            found.append((error.getLine(), f"{message}: {detail[-160:]}" if detail != message else message))
    if found:
        line, first = found[0]
        more = f" (and {len(found) - 1} more faults)" if len(found) > 1 else ""
        where = f"{label}, line {line}" if line else label
        raise ModelError(f"{first}{more}", where=where, expected="valid SBML")


def _walk(content: bytes, label: str) -> None:
    """Refuses what is no XML, what declares a document type, and what nests too deeply."""
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if not depth:
            _check_root(name, attributes, f"{label}, line {parser.CurrentLineNumber}")
        depth += 1
        if depth > MAX_ELEMENT_DEPTH:
            raise ModelError(
                f"the elements nest more than {MAX_ELEMENT_DEPTH} deep",
                where=f"{label}, line {parser.CurrentLineNumber}",
                expected="flatter maths",
                fix="split the formula with assignment rules",
            )

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1

    def declared(*_: object) -> None:
        raise ModelError(
            "the file declares a document type (DTD) or entities",
            where=f"{label}, line {parser.CurrentLineNumber}",
            expected="SBML, which has neither",
            fix="remove the DOCTYPE declaration",
        )

    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        where = f"{label}, line {error.lineno}"
        raise ModelError(
            f"not well-formed XML: {expat.ErrorString(error.code)}", where=where, expected="SBML"
        ) from None
    except ModelError:  # from the handlers; it is a ValueError, too
        raise
    except (LookupError, ValueError) as error:
        raise ModelError(f"the encoding cannot be read ({error})", where=label, expected="UTF-8") from None


def _check_root(name: str, attributes: dict[str, str], where: str) -> None:
    """Refuses levels, versions and namespaces that do not belong together, which end the process inside libsbml."""
    namespace, _, element = name.rpartition(" ")
    if element != "sbml":
        raise ModelError(f"the outermost element is {element[:80]!r}", where=where, expected="<sbml>, as SBML has it")
    given = (attributes.get("level", ""), attributes.get("version", ""))
    if given not in _VERSIONS.get(namespace, ()):
        raise ModelError(
            f"level {given[0]!r} and version {given[1]!r} do not belong to the namespace {namespace[:120]!r}",
            where=where,
            expected="SBML Level 1 to Level 3 Version 2",
        )


def _decode(content: bytes) -> str:
    """Text of the file without its encoding declaration, which libsbml would apply a second time."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            text = content.decode(encoding)
            break
    else:
        declared = re.match(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)[\"']", content)
        text = content.decode(declared[1].decode() if declared else "utf-8")
    # Blanks keep the columns; the line count stays as it is.
    return re.sub(r"^<\?xml[^>]*\?>", '<?xml version="1.0" encoding="UTF-8"?>', text, count=1)
