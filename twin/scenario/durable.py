"""Files that are whole or not there: written beside, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twin.errors import StoreError

PART = ".part"
"""Ending of a file that is being written."""

_FIXES = {
    errno.ENOSPC: "free space, then resume: finished chunks are safe",
    errno.EDQUOT: "free space, then resume: finished chunks are safe",
    errno.EROFS: "write to another folder",
    errno.EACCES: "give yourself the right to write there, or write to another folder",
    errno.EPERM: "give yourself the right to write there, or write to another folder",
}


@contextmanager
def plain_faults(path: Path, doing: str = "written") -> Iterator[None]:
    """Faults of the operating system as errors that say what to do."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "see that the disk and its folder can be used, then resume")
        said = error.strerror or type(error).__name__
        raise StoreError(f"it cannot be {doing} ({said})", where=str(error.filename or path), fix=fix) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on the disk; a kill leaves the old file, or the new one.

    Raises:
        StoreError: The disk is full, or the folder cannot be written.
    """
    part = path.with_name(path.name + PART)
    with plain_faults(path):
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            sync_folder(path.parent)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def append_line(path: Path, line: str) -> None:
    """Append a line and wait until it is on the disk.

    Raises:
        StoreError: The disk is full, or the file cannot be written.
    """
    with plain_faults(path), open(path, "ab") as file:
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until names in a folder are on the disk. Not every system allows it; the files themselves are safe."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except (PermissionError, IsADirectoryError):  # Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def checksum_of(path: Path) -> str | None:
    """SHA-256 of a file; None where there is none."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
