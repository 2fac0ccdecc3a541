"""Tables of receptors: AIRR rearrangements out and in, exports of VDJdb in.

The schema is that of the AIRR Community (Vander Heiden et al. 2018, doi:10.3389/fimmu.2018.02206), whose required
columns may be empty.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from calibration.receptors.alphabet import AMINO_ACIDS
from twin.errors import MeasurementError

REQUIRED = (
    "sequence_id", "sequence", "rev_comp", "productive", "v_call", "d_call", "j_call", "sequence_alignment",
    "germline_alignment", "junction", "junction_aa", "v_cigar", "d_cigar", "j_cigar",
)  # fmt: skip
"""Columns that an AIRR rearrangement table must have."""

RECEPTOR_COLUMNS = ("cdr3", "v", "j", "epitope", "study")
_NAMES = {
    "cdr3": ("cdr3_beta", "cdr3", "junction_aa", "cdr3b"),
    "v": ("v_beta", "v", "v_call", "v.segm"),
    "j": ("j_beta", "j", "j_call", "j.segm"),
    "epitope": ("epitope", "antigen.epitope", "antigen_epitope"),
    "study": ("study", "meta.study.id", "reference", "reference.id", "repertoire_id"),
}


def to_airr(receptors: pd.DataFrame, repertoire: str) -> pd.DataFrame:
    """An AIRR rearrangement table; columns of ours beside the standard's keep their names.

    Args:
        receptors: Columns junction, junction_aa, v_call, d_call, j_call, and any others.
        repertoire: Its identifier.
    """
    table = receptors.reset_index(drop=True)
    given = {
        "sequence_id": [f"{repertoire}-{i}" for i in range(len(table))],
        "sequence": table["junction"],
        "rev_comp": "F",
        "productive": "T",
    }
    standard = {name: given.get(name, table.get(name, "")) for name in REQUIRED}
    rest = {name: table[name] for name in table.columns if name not in standard}
    return pd.DataFrame({**standard, "repertoire_id": repertoire, **rest})


def write_airr(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write tab-separated text."""
    table.to_csv(path, sep="\t", index=False)


def read_receptors(path: str | os.PathLike[str], *, drop: bool = True) -> pd.DataFrame:
    """Receptors with their epitopes, from an export of VDJdb or an AIRR table with an ``epitope`` column.

    Args:
        path: A tab-separated file.
        drop: Leave rows out whose CDR3 is not made of the twenty amino acids between C and F or W, as incomplete
            entries are; otherwise they are an error.

    Returns:
        Columns `RECEPTOR_COLUMNS`, duplicates of all but the study removed; genes without alleles, empty if unknown.

    Raises:
        MeasurementError: no such file, no table, a missing column, a row that cannot be used, or no row.
    """
    path = Path(path)
    if not path.is_file():
        raise MeasurementError("there is no such file", where=str(path), expected="a table of VDJdb or AIRR (.tsv)")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise MeasurementError(
            f"it cannot be read ({error})", where=str(path), expected="tab-separated text"
        ) from error
    by_header = {str(header).strip().lower(): header for header in table.columns}
    found = {}
    for name, headers in _NAMES.items():
        header = next((by_header[h] for h in headers if h in by_header), None)
        if header is None and name != "study":
            raise MeasurementError(
                f"there is no column of {name!r}", where=f"{path}, header", expected=f"one of {', '.join(headers)}"
            )
        found[name] = table[header].str.strip() if header is not None else ""
    result = pd.DataFrame(found, columns=list(RECEPTOR_COLUMNS))
    shape = f"C[{AMINO_ACIDS}]{{6,28}}[FW]"
    good = result["cdr3"].str.fullmatch(shape) & (result["epitope"] != "")
    if not drop and not good.all():
        row = int((~good).to_numpy().argmax())
        raise MeasurementError(
            f"the CDR3 is {result['cdr3'][row]!r}, the epitope {result['epitope'][row]!r}",
            where=f"{path}, line {row + 2}",
            expected="amino acids from C to F or W, and an epitope",
        )
    result = result[good]
    if result.empty:
        raise MeasurementError("no row is a receptor with its epitope", where=str(path), expected="at least one")
    for name in ("v", "j"):
        result[name] = result[name].str.split("*").str[0]
    return result.drop_duplicates(["cdr3", "v", "j", "epitope"], ignore_index=True)
