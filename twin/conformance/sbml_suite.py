"""Cases of the SBML test suite: where their files are, and what they ask."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twin.conformance.suite import Case, Suite
from twin.errors import TwinError

TIME_COURSE = "TimeCourse"


@dataclass(frozen=True)
class Settings:
    """What ``settings.txt`` says.

    Args:
        amounts: Symbols to be given as amounts.
        concentrations: Symbols to be given as concentrations.
        absolute: Absolute tolerance.
        relative: Relative tolerance.
    """

    amounts: frozenset[str]
    concentrations: frozenset[str]
    absolute: float
    relative: float


@dataclass(frozen=True)
class Expected:
    """What ``results.csv`` says.

    Args:
        symbols: What the columns are, in SBML's ids.
        times: First column.
        values: The others, a row per time.
    """

    symbols: tuple[str, ...]
    times: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


def find_cases(folder: Path) -> list[Case]:
    """The cases in a folder, sorted by name.

    Two layouts are known: folders with ``model.xml``, ``settings.txt`` and ``results.csv`` beside an ``index.tsv``, and
    that of the suite as published, whose files bear the case's number (the highest level and version is taken).

    Raises:
        TwinError: There is none.
    """
    index = _index(folder)
    cases = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        if model_file(place) is None:
            continue
        kind, tags = index.get(place.name) or _described(place)
        cases.append(Case(place.name, place, tags, kind))
    if not cases:
        raise TwinError(
            "there is no case of the SBML test suite",
            where=str(folder),
            expected="folders such as 00001, with a model, settings and results each",
            fix="name the folder 'semantic' of the suite",
        )
    return cases


def model_file(folder: Path) -> Path | None:
    """The model of a case: the highest level and version there is."""
    if (plain := folder / "model.xml").is_file():
        return plain
    found = sorted(folder.glob(f"{folder.name}-sbml-l?v?.xml"))
    return found[-1] if found else None


def read_settings(folder: Path) -> Settings:
    """The settings of a case.

    Raises:
        TwinError: A tolerance is missing, or no number.
    """
    path = _file(folder, "settings.txt")
    entries = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        entries[key.strip()] = value.strip()
    try:
        absolute, relative = float(entries["absolute"]), float(entries["relative"])
    except (KeyError, ValueError):
        raise TwinError("the tolerances cannot be read", where=str(path), expected="absolute: and relative:") from None
    return Settings(_ids(entries.get("amount", "")), _ids(entries.get("concentration", "")), absolute, relative)


def read_expected(folder: Path) -> Expected:
    """The expected results of a case.

    Raises:
        TwinError: They are no table of numbers.
    """
    path = _file(folder, "results.csv")
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if any(cell.strip() for cell in row)]
    try:
        head, *body = rows
        numbers = [[float(cell) for cell in row[: len(head)]] for row in body]
        if not numbers or any(len(row) != len(head) for row in numbers):
            raise ValueError
    except ValueError:
        raise TwinError("the results cannot be read", where=str(path), expected="a head, then numbers") from None
    return Expected(tuple(head[1:]), tuple(row[0] for row in numbers), tuple(tuple(row[1:]) for row in numbers))


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{folder.name}-{name}"):
        if path.is_file():
            return path
    raise TwinError(f"there is no {name}", where=str(folder), expected="the files of a case")


def _ids(text: str) -> frozenset[str]:
    return frozenset(entry.strip() for entry in text.split(",") if entry.strip())


def _index(folder: Path) -> Mapping[str, tuple[str, tuple[str, ...]]]:
    """Kind and tags of the cases, by name, if the folder has an index."""
    path = folder / "index.tsv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    found = {}
    for row in rows:
        tags = ",".join(row.get(column) or "" for column in ("componentTags", "testTags"))
        found[row["case"]] = (row.get("testType") or TIME_COURSE, _tags(tags))
    return found


def _described(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Kind and tags from the head of the case's description."""
    path = folder / f"{folder.name}-model.m"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    entries = dict(re.findall(r"^\s*(componentTags|testTags|testType)\s*:\s*(.*?)\s*$", text, re.MULTILINE))
    tags = f"{entries.get('componentTags', '')},{entries.get('testTags', '')}"
    return entries.get("testType", TIME_COURSE), _tags(tags)


def _tags(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip() not in ("", "-")))


SBML = Suite(
    name="sbml",
    find=find_cases,
    judge="twin.conformance.sbml_case:judge",
    packages=("twin",),
    requires=("jax", "jaxlib", "numpy", "python-libsbml", "sympy"),
    title="SBML test suite, semantic part",
    aside="fbc",
)
