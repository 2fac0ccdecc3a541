"""Models made of models (package comp): external definitions checked, then everything flattened into one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import libsbml

from twin.errors import ModelError, UnsupportedModelError
from twin.exchange.sbml.document import Document, describe, raise_errors, read_document

MAX_FILES = 64
"""Most external files that one model may draw in."""


def flatten(document: Document) -> Document:
    """The document with submodels put in, ids as libsbml makes them: ``submodel__id``.

    Raises:
        ModelError: An external definition lies outside the model's folder or cannot be read, or the parts do
            not fit together.
    """
    sbml: Any = document.sbml
    plugin = sbml.getPlugin("comp")
    if plugin is None:
        return document
    _refuse_prefix(document)
    _check_external(document, document.folder, {})
    if sbml.getModel().getPlugin("comp").getNumSubmodels() == 0 and not _has_ports(sbml.getModel()):
        return document
    properties = libsbml.ConversionProperties()
    properties.addOption("flatten comp", True)
    properties.addOption("performValidation", False)
    properties.addOption("leavePorts", False)
    if document.folder is not None:
        properties.addOption("basePath", str(document.folder))
    sbml.getErrorLog().clearLog()
    status = sbml.convert(properties)
    raise_errors(sbml, document.label)
    if status != libsbml.LIBSBML_OPERATION_SUCCESS:
        raise ModelError(
            "the submodels cannot be put together", where=document.label, expected="a valid composition (package comp)"
        )
    return document


def _refuse_prefix(document: Document) -> None:
    """libsbml's flattening corrupts memory where the core namespace has a prefix, as in ``<core:sbml>``."""
    namespaces = document.sbml.getNamespaces()
    for index in range(namespaces.getNumNamespaces()):
        prefix, uri = namespaces.getPrefix(index), namespaces.getURI(index)
        if prefix and uri.startswith("http://www.sbml.org/sbml/level3/") and uri.endswith("/core"):
            raise UnsupportedModelError(
                f"the core namespace has the prefix {prefix!r}, and the model is made of models (package comp)",
                where=describe(document.label, document.sbml),
                expected="<sbml xmlns=...> without a prefix",
                fix="remove the prefix from the core elements",
            )


def _has_ports(model: Any) -> bool:
    return model.getPlugin("comp").getNumPorts() > 0


def _check_external(document: Document, root: Path | None, seen: dict[Path, None]) -> None:
    """Follows every external definition before libsbml does, and refuses what leaves the folder."""
    plugin = document.sbml.getPlugin("comp")
    if plugin is None:
        return
    for index in range(plugin.getNumExternalModelDefinitions()):
        definition = plugin.getExternalModelDefinition(index)
        where = describe(document.label, definition, "external model definition")
        if root is None or document.folder is None:
            raise UnsupportedModelError(
                f"the model is defined in another file, {definition.getSource()!r}",
                where=where,
                expected="a file, not text: other files are looked for in its folder",
                fix="call read_sbml with the path",
            )
        path = _path(definition.getSource(), document.folder, root, where)
        if path in seen:
            continue
        seen[path] = None
        if len(seen) > MAX_FILES:
            raise ModelError(f"more than {MAX_FILES} external files are drawn in", where=where)
        _check_external(read_document(path), root, seen)


def _path(source: str, folder: Path, root: Path, where: str) -> Path:
    parts = urlsplit(source)
    outside = ModelError(
        f"the external file {source!r} is not in the folder of the model",
        where=where,
        expected="a relative path to a file in the same folder or below",
        fix="copy the file beside the model",
    )
    if parts.scheme or parts.netloc or "\0" in source or "\\" in source:
        raise outside
    path = (folder / unquote(parts.path)).resolve()
    # libsbml may read the text with or without decoding %2e, so both must lie inside.
    literal = (folder / source).resolve()
    if not path.is_relative_to(root) or not literal.is_relative_to(root):
        raise outside
    return path
