"""Comma- or tab-separated text to a raw table that remembers the line of every record."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from twin.errors import MeasurementError, nearest
from twin.measurements.raw import RawTable

# A table of readings of this size would hold millions of rows: far more than a mechanism is calibrated to,
# and most likely the wrong file.
LARGEST_BYTES = 256 * 2**20

_BY_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_DELIMITERS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a bar"}
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed by gzip",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "encoded as UTF-16",
    b"\xfe\xff": "encoded as UTF-16",
}


def read_delimited(path: str | os.PathLike[str], delimiter: str | None = None) -> RawTable:
    """Reads a delimited text file.

    UTF-8, with or without a byte-order mark. Lines whose first character is ``#`` are comments; blank lines
    and rows without any entry are skipped.

    Args:
        path: The file.
        delimiter: One character; by default that of the suffix, or what the header line shows.

    Raises:
        MeasurementError: Not a readable text file, no header, a single column, an unclosed quote, or a row
            with more or fewer cells than the header.
    """
    source = _path_text(path)
    text = _text(Path(path), source)
    if delimiter is None:
        delimiter = _delimiter(text, Path(path).suffix.lower())
    elif not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise MeasurementError(f"delimiter is {delimiter!r}", where=source, expected="one character")
    records = _records(text, delimiter, source)
    first = next(records, None)
    if first is None:
        raise MeasurementError(
            "there is no header line", where=source, expected="column names, then one row per reading"
        )
    header_line, header = first
    names = tuple(name.strip() for name in header)
    if len(names) == 1:
        raise _one_column(names[0], f"{source}:{header_line}", delimiter)
    lines, rows = [], []
    for line, cells in records:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise MeasurementError(
                f"the row has {len(cells)} cells",
                where=f"{source}:{line}",
                expected=f"{len(names)}, as in the header (line {header_line})",
                fix="put text that contains the delimiter in double quotes, and write empty cells out",
            )
        lines.append(line)
        rows.append(cells)
    columns = tuple(zip(*rows, strict=True)) if rows else tuple(() for _ in names)
    return RawTable(source, names, columns, lines, is_file=True, header_line=header_line)


def _path_text(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise MeasurementError(
            f"the path is a {type(path).__name__}",
            expected="the path of a CSV or TSV file",
            fix="use Measurements.from_table for a data frame",
        )
    return os.fsdecode(path)


def _text(path: Path, source: str) -> str:
    try:
        if path.is_dir():
            raise MeasurementError("it is a directory", where=source, expected="a CSV or TSV file")
        if not path.exists():
            raise MeasurementError("there is no such file", where=source, fix=_similar(path))
        if not path.is_file():
            raise MeasurementError("it is not a regular file", where=source, expected="a CSV or TSV file")
        if (size := path.stat().st_size) > LARGEST_BYTES:
            raise MeasurementError(
                f"the file has {size / 2**20:.0f} MiB",
                where=source,
                expected=f"a table of readings of at most {LARGEST_BYTES / 2**20:.0f} MiB",
                fix="keep the readings to calibrate to; Measurements.from_table takes any data frame",
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, MeasurementError):
            raise
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise MeasurementError(f"the file cannot be read ({reason})", where=source) from error
    return _decode(data, source)


def _decode(data: bytes, source: str) -> str:
    expected, fix = "text in UTF-8", "save it as 'CSV UTF-8'"
    for magic, what in _OTHER_FORMATS.items():
        if data.startswith(magic):
            raise MeasurementError(f"the file is {what}", where=source, expected=expected, fix=fix)
    if (position := data.find(b"\0")) >= 0:
        raise MeasurementError(
            f"the file is binary (a zero byte at position {position})",
            where=source,
            expected=expected,
            fix=fix,
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise MeasurementError(
            f"the byte 0x{data[error.start]:02x} is not UTF-8",
            where=f"{source}:{line}",
            expected=expected,
            fix=fix,
        ) from None


def _similar(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r} either"
    match = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    return f"did you mean {match!r}?" if match else None


def _delimiter(text: str, suffix: str) -> str:
    """The suffix's delimiter if the header has it, else the one that makes the most columns of the header."""
    lines = (line for line in io.StringIO(text, newline="") if line.strip() and not line.startswith("#"))
    header = next(lines, "")
    counts = {each: len(next(csv.reader([header], delimiter=each), [])) for each in _DELIMITERS}
    usual = _BY_SUFFIX.get(suffix, ",")
    return usual if counts[usual] > 1 else max(counts, key=lambda each: (counts[each], each == usual))


def _records(text: str, delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Yields each record with the number of its first line."""
    state = {"line": 0, "started": 0}

    def lines() -> Iterator[str]:
        for number, line in enumerate(io.StringIO(text, newline=""), start=1):
            state["line"] = number
            if not state["started"]:
                # Only the first line of a record can be a comment: inside quotes, # is text.
                if line.startswith("#") or not line.strip():
                    continue
                state["started"] = number
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    while True:
        state["started"] = 0
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise MeasurementError(
                f"the row cannot be split into cells ({error})",
                where=f"{source}:{state['started'] or state['line']}",
                fix='close every double quote; write a quote inside quotes as ""',
            ) from None
        yield state["started"], cells


def _one_column(name: str, where: str, delimiter: str) -> MeasurementError:
    fix = None
    if len(name.split()) > 1:
        fix = "the columns seem to be separated by spaces: save the table with commas or tabs"
    return MeasurementError(
        f"only one column was found, {name!r}",
        where=where,
        expected=f"several columns separated by {_DELIMITERS.get(delimiter, repr(delimiter))}",
        fix=fix or "name the delimiter, for instance delimiter=';'",
    )
