"""Cases of PEtab's test suites and of its collection of benchmark problems: where their files are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twin.conformance.suite import Case, Suite
from twin.errors import TwinError

TEST, MATHS, BENCHMARK = "test", "maths", "benchmark"
"""Kinds of cases: a problem with a solution, an expression with a value, a real problem."""

MATHS_FILE = "math_tests.yaml"
REFERENCE_FILE = "reference.tsv"

_LARGEST_YAML = 2**20
_BENCHMARK_PATIENCE = 10.0
"""Real problems have dozens of states and hundreds of conditions."""


def find_cases(folder: Path) -> list[Case]:
    """The cases in a folder and in all below it.

    A folder is a case if it holds ``_NNNN.yaml`` with ``_NNNN_solution.yaml`` (test suites; called
    ``v2-sbml-0001``), or a YAML file called as itself (benchmarks; called as they are). Every expression of a
    ``math_tests.yaml`` is one, too (``maths-001``).

    Raises:
        TwinError: There is none.
    """
    found: list[Case] = []
    for place in sorted({folder, *(path for path in folder.rglob("*") if path.is_dir())}):
        if (place / MATHS_FILE).is_file():
            found += _maths(place / MATHS_FILE)
        elif solution_file(place).is_file():
            version, language = _kind(problem_file(place))
            found.append(Case(f"v{version}-{language}-{place.name}", place, (f"v{version}", language), TEST))
        elif (place / f"{place.name}.yaml").is_file():
            found.append(Case(place.name, place, ("benchmark",), BENCHMARK, _BENCHMARK_PATIENCE))
    if not found:
        raise TwinError(
            "there is no case of PEtab's test suites and no benchmark problem",
            where=str(folder),
            expected="folders such as 0001 with _0001.yaml and _0001_solution.yaml, or Boehm_JProteomeRes2014 with "
            "Boehm_JProteomeRes2014.yaml",
        )
    return found


def problem_file(folder: Path) -> Path:
    """The YAML file of a case."""
    plain = folder / f"{folder.name}.yaml"
    return plain if plain.is_file() else folder / f"_{folder.name}.yaml"


def solution_file(folder: Path) -> Path:
    """The YAML file with what is expected of a case of the test suites."""
    return folder / f"_{folder.name}_solution.yaml"


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of a suite.

    Raises:
        TwinError: It cannot be read.
    """
    import yaml

    try:
        if path.stat().st_size > _LARGEST_YAML:
            raise TwinError("the file is larger than a megabyte", where=str(path), expected="a file of the suite")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise TwinError(f"the file cannot be read ({error})", where=str(path), expected="YAML") from None


def _maths(path: Path) -> list[Case]:
    content = read_yaml(path)
    cases = content.get("cases") if isinstance(content, dict) else None
    if not isinstance(cases, list):
        raise TwinError("there is no list of cases", where=str(path), expected="cases: with expression and expected")
    return [Case(f"maths-{place:03d}", path, ("maths",), MATHS) for place in range(1, len(cases) + 1)]


def _kind(path: Path) -> tuple[str, str]:
    """Major version of the format, and language of the model."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise TwinError("the file is no mapping", where=str(path), expected="the YAML file of a PEtab problem")
    version = str(content.get("format_version", "?")).split(".")[0]
    places = [content, *(entry for entry in content.get("problems") or () if isinstance(entry, dict))]
    for place in places:
        for model in (place.get("model_files") or {}).values():
            return version, str(model.get("language", "?"))
    return version, "sbml"


PETAB = Suite(
    name="petab",
    find=find_cases,
    judge="calibration.conformance.petab_case:judge",
    packages=("twin", "calibration"),
    requires=("jax", "jaxlib", "numpy", "petab", "python-libsbml", "sympy"),
    title="PEtab test suites and benchmark problems",
)
