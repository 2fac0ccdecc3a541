"""A fixed spread over the SBML test suite: small models, at least one for every tag."""

from __future__ import annotations

import pytest
from committed import check

from twin.conformance.sbml_case import judge
from twin.conformance.sbml_suite import find_cases

CASES = {
    "00101": "function definition",
    "00241": "compartment without dimensions",
    "00508": "constant species",
    "00517": "assigned stoichiometry",
    "00519": "default values",
    "00566": "local parameters",
    "00613": "algebraic rule",
    "00908": "several compartments",
    "00936": "persistent event",
    "00945": "compartment that varies",
    "00989": "stoichiometry as maths",
    "01016": "only substance units",
    "01022": "reversible reaction",
    "01141": "composed: conversion factor",
    "01178": "composed: extent conversion factor",
    "01180": "composed: time conversion factor",
    "01265": "rateOf",
    "01285": "truth values as numbers",
    "01334": "event at the start",
    "01374": "composed: replaced by",
    "01416": "no maths",
    "01471": "composed: port, deletion",
    "01473": "composed: external definition",
    "01477": "composed: reference into a submodel",
    "01496": "maths of Level 3 Version 2",
    "01514": "rate of a concentration while the volume changes",
    "01515": "uncommon maths",
    "01522": "delay in a trigger",
    "01523": "delay in an event assignment",
    "01537": "delay",
    "01569": "several fast reactions",
    "01584": "event with values of the trigger's time",
    "01589": "events in random order, not persistent",
    "01658": "Avogadro's number",
    "01683": "events with priorities",
    "01716": "event with values of the assignment's time",
    "01721": "stoichiometry that varies",
    "01731": "conversion factors",
    "01766": "species reference in maths",
}
"""Case and what it is here for."""


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, suite_folder) -> None:
    cases = {case.name: case for case in find_cases(suite_folder("sbml-semantic"))}
    check("sbml", name, judge(cases[name]))
