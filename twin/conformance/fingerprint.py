"""A key of everything that decides the results of a suite: our sources and the versions of what they stand on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


def fingerprint(packages: Sequence[str], requires: Sequence[str], *more: object) -> str:
    """A short hash.

    Args:
        packages: Import names of our packages; all their Python files count.
        requires: Distributions whose versions count.
        more: What else counts.
    """
    digest = hashlib.sha256()
    for package in packages:
        spec = find_spec(package)
        folder = Path(spec.origin).parent if spec is not None and spec.origin else Path(package)
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(path.read_bytes() + b"\0")
    for name in requires:
        digest.update(f"{name} {_version(name)}\0".encode())
    for part in more:
        digest.update(f"{part!r}\0".encode())
    return digest.hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
