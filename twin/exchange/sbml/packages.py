"""SBML packages: which ones change what a model means, and what we say to those we do not simulate."""

from __future__ import annotations

from typing import Any

from twin.errors import UnsupportedModelError
from twin.exchange.sbml.document import Document

_IGNORED = frozenset({"layout", "render", "groups", "comp", "l3v2extendedmath"})
"""Drawings and labels, which change no number; comp is flattened, and libsbml counts new MathML as a package."""

_WHAT = {
    "qual": ("qualitative (logical) models", "GINsim or CellNOpt"),
    "multi": ("multistate and rule-based species", "BioNetGen or pySB"),
    "spatial": ("spatial processes", "Virtual Cell"),
    "distrib": ("distributions and uncertainties", None),
    "arrays": ("arrays of elements", "libSBML's arrays converter, which unrolls them"),
    "dyn": ("dynamic processes of agents", None),
    "req": ("required elements of other formalisms", None),
}


def check_packages(document: Document) -> None:
    """Refuses packages that give the model a meaning of its own.

    Raises:
        UnsupportedModelError: The model is a flux balance problem (fbc), or needs another package that we lack.
    """
    sbml: Any = document.sbml
    names = [sbml.getPlugin(index).getPackageName() for index in range(sbml.getNumPlugins())]
    if "fbc" in names and _has_objective(sbml.getModel()):
        raise UnsupportedModelError(
            "the package 'fbc' (flux balance constraints): the model asks for steady-state fluxes that maximise an "
            "objective, found by linear programming; it has no time course",
            where=document.where(sbml.getModel(), "model"),
            expected="a kinetic model",
            fix="use COBRApy: cobra.io.read_sbml_model(path).optimize()",
        )
    for name in names:
        if name in _IGNORED or name == "fbc" or not sbml.getPackageRequired(name):
            continue
        _refuse(name, document)
    for index in range(sbml.getNumUnknownPackages()):
        prefix = sbml.getUnknownPackagePrefix(index)
        if _unknown_required(sbml, prefix):
            _refuse(prefix, document)


def _has_objective(model: Any) -> bool:
    plugin = model.getPlugin("fbc")
    if plugin is None:
        return False
    bounds = getattr(plugin, "getNumFluxBounds", lambda: 0)()
    return plugin.getNumObjectives() > 0 or bounds > 0


def _unknown_required(sbml: Any, prefix: str) -> bool:
    attributes = sbml.getUnknownAttributes() if hasattr(sbml, "getUnknownAttributes") else None
    value = attributes.getValue("required", prefix) if attributes is not None else ""
    return value != "false"


def _refuse(name: str, document: Document) -> None:
    what, tool = _WHAT.get(name, ("a meaning that the core of SBML does not have", None))
    raise UnsupportedModelError(
        f"the package {name!r} ({what}) is required to understand the model",
        where=document.label,
        expected="core SBML, with or without the package 'comp'",
        fix=f"use {tool}" if tool else None,
    )
