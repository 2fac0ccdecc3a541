"""A fixed spread over PEtab's suites: conditions, overrides, noise, priors, pre-equilibration; all of the maths."""

from __future__ import annotations

import pytest
from committed import check

from calibration.conformance.petab_case import judge
from calibration.conformance.petab_suite import find_cases

CASES = (
    "v1-sbml-0001",
    "v1-sbml-0003",
    "v1-sbml-0009",
    "v1-sbml-0016",
    "v1-sbml-0020",
    "v2-sbml-0005",
    "v2-sbml-0012",
    "v2-sbml-0018",
    "v2-sbml-0024",
    "v2-sbml-0028",
    "v2-sbml-0031",
)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, suite_folder) -> None:
    cases = {case.name: case for case in find_cases(suite_folder("petab-testsuite"))}
    check("petab", name, judge(cases[name]))


def test_maths(suite_folder) -> None:
    cases = [case for case in find_cases(suite_folder("petab-testsuite")) if case.kind == "maths"]
    assert len(cases) >= 98
    for case in cases:
        check("petab", case.name, judge(case))
