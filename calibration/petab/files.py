"""The YAML file of a PEtab problem, and the files it names: all of them inside its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from calibration.petab.errors import PetabError

LARGEST_YAML = 2**20
"""Bytes; larger files are no list of file names."""


@dataclass(frozen=True)
class ProblemFile:
    """The content of the YAML file.

    Args:
        path: Where it is.
        content: Its top level.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def version(self) -> int:
        """Major version of the format, 1 or 2.

        Raises:
            PetabError: there is none, or another one.
        """
        given = self.content.get("format_version")
        major = str(given).split(".")[0]
        if given is None or isinstance(given, bool) or major not in ("1", "2"):
            raise PetabError(
                f"the format version is {given!r}", where=f"{self.path.name}, format_version", expected="1 or 2.0.0"
            )
        return int(major)

    def table(self, key: str) -> Mapping[str, Any]:
        """A mapping under a key, empty where there is none.

        Raises:
            PetabError: something else stands there.
        """
        found = self.content.get(key) or {}
        if not isinstance(found, Mapping):
            raise self.fault(key, found, "a mapping")
        return found

    def paths(self, key: str, content: Mapping[str, Any] | None = None) -> tuple[Path, ...]:
        """The files listed under a key.

        Args:
            key: The key; one file may stand there without a list.
            content: The mapping that has the key; default the top level.

        Raises:
            PetabError: not a list of names, a file outside the folder, or one that is not there.
        """
        found = (self.content if content is None else content).get(key)
        if found is None:
            return ()
        names = found if isinstance(found, list) else [found]
        return tuple(self.inside(name, key) for name in names)

    def inside(self, name: object, key: str) -> Path:
        """The path of a file named in the YAML file.

        Raises:
            PetabError: it is not a name, lies outside the folder of the YAML file, or is not there.
        """
        if not isinstance(name, str) or not name.strip():
            raise self.fault(key, name, "the name of a file")
        if "://" in name or "\0" in name:
            raise self.fault(key, name, "a file in the folder of the problem; nothing is fetched from elsewhere")
        folder = self.path.parent.resolve()
        try:
            path = (folder / name).resolve()
            inside = path.is_relative_to(folder) and not Path(name).is_absolute()
            there = inside and path.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise self.fault(key, name, f"the name of a file ({error})") from None
        if not inside:
            raise self.fault(key, name, "a file in the folder of the problem or below it")
        if not there:
            raise self.fault(key, name, "a file that exists")
        return path

    def fault(self, key: str, found: object, expected: str) -> PetabError:
        """What to raise for a bad value under a key."""
        shown = repr(found)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return PetabError(f"{shown} stands there", where=f"{self.path.name}, {key}", expected=expected)


def open_problem(path: str | PathLike[str]) -> ProblemFile:
    """Reads the YAML file.

    Raises:
        PetabError: it is not there, too large, or no YAML mapping.
    """
    import yaml

    try:
        file = Path(path)
        if file.is_dir():
            raise PetabError(f"{str(path)!r} is a folder", where="read_petab", fix="name the YAML file in it")
        if file.stat().st_size > LARGEST_YAML:
            raise PetabError("the file is larger than a megabyte", where=file.name, expected="a list of file names")
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, PetabError):
            raise
        raise PetabError(
            f"{str(path)!r} cannot be read ({error})", where="read_petab", expected="a YAML file"
        ) from None
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        message = " ".join(str(error).split())[:200]
        raise PetabError(f"this is no YAML: {message}", where=file.name, expected="the YAML file of PEtab") from None
    if not isinstance(content, Mapping):
        raise PetabError(
            f"the file holds a {type(content).__name__}", where=file.name, expected="a mapping with format_version"
        )
    return ProblemFile(file, {str(key): value for key, value in content.items()})
