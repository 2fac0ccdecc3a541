"""Is a finished store what its run wrote? Every file against the checksums that the run left.

Zarr takes a missing file for one full of its fill value: a store that has lost a file would look as if those patients
had failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from twin.errors import StoreError
from twin.scenario.durable import checksum_of, plain_faults
from twin.scenario.journal import Journal
from twin.scenario.store import FOLDER, open_store

FIX = "twin scenario resume FOLDER makes missing and damaged files again"


def check_finished(folder: Path, *, contents: bool) -> None:
    """Refuse a finished store that has lost a file, or one that is damaged.

    Args:
        folder: The folder of a run that is complete.
        contents: Read all files and compare their checksums, too; without, only look whether they are there.

    Raises:
        StoreError: A file is missing or damaged, or the list of files cannot be understood.
    """
    journal = Journal(folder)
    header, finished = journal.header(), journal.finished()
    try:
        sums = dict(_sums(folder, header or {}, finished or {}))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        found = f"the list of its files cannot be understood ({type(error).__name__}: {error})"
        raise StoreError(found, where=str(folder), fix=FIX) from error
    with plain_faults(folder, "read"):
        for path, expected in sums.items():
            if not path.is_file():
                raise StoreError("a file of the store is missing", where=str(path), fix=FIX)
            if contents and checksum_of(path) != expected:
                raise StoreError("a file of the store is not what the run wrote", where=str(path), fix=FIX)


def _sums(folder: Path, header: Mapping[str, Any], finished: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Path and checksum of every file that holds numbers of patients or bands."""
    raw = open_store(folder)
    wanted = {(arm, chunk) for arm in range(len(header["arms"])) for chunk in range(header["chunks"])}
    listed = {(int(arm), int(chunk)) for arm, chunk, *_ in finished["chunks"]}
    if listed != wanted:
        raise ValueError(f"{len(wanted - listed)} of {len(wanted)} chunks are not in it")
    for arm, chunk, sums, _ in finished["chunks"]:
        for name, value in sums.items():
            places = [arm if dim == "arm" else chunk if dim == "patient" else 0 for dim in raw[name].dims]
            yield folder / FOLDER / str(name) / "c" / Path(*map(str, places)), value
    for arm in range(len(header["arms"])) if "band" in raw else ():
        for name in ("band", "band_rank_error"):
            yield folder / FOLDER / name / "c" / str(arm) / "0/0/0", finished["bands"][str(arm)][name]
