"""The twenty amino acids: the genetic code, BLOSUM62, hydropathy and charge."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

AMINO_ACIDS = "ARNDCQEGHILKMFPSTWYV"
INDEX = {letter: i for i, letter in enumerate(AMINO_ACIDS)}

_BLOSUM62 = """
 4 -1 -2 -2  0 -1 -1  0 -2 -1 -1 -1 -1 -2 -1  1  0 -3 -2  0
-1  5  0 -2 -3  1  0 -2  0 -3 -2  2 -1 -3 -2 -1 -1 -3 -2 -3
-2  0  6  1 -3  0  0  0  1 -3 -3  0 -2 -3 -2  1  0 -4 -2 -3
-2 -2  1  6 -3  0  2 -1 -1 -3 -4 -1 -3 -3 -1  0 -1 -4 -3 -3
 0 -3 -3 -3  9 -3 -4 -3 -3 -1 -1 -3 -1 -2 -3 -1 -1 -2 -2 -1
-1  1  0  0 -3  5  2 -2  0 -3 -2  1  0 -3 -1  0 -1 -2 -1 -2
-1  0  0  2 -4  2  5 -2  0 -3 -3  1 -2 -3 -1  0 -1 -3 -2 -2
 0 -2  0 -1 -3 -2 -2  6 -2 -4 -4 -2 -3 -3 -2  0 -2 -2 -3 -3
-2  0  1 -1 -3  0  0 -2  8 -3 -3 -1 -2 -1 -2 -1 -2 -2  2 -3
-1 -3 -3 -3 -1 -3 -3 -4 -3  4  2 -3  1  0 -3 -2 -1 -3 -1  3
-1 -2 -3 -4 -1 -2 -3 -4 -3  2  4 -2  2  0 -3 -2 -1 -2 -1  1
-1  2  0 -1 -3  1  1 -2 -1 -3 -2  5 -1 -3 -1  0 -1 -3 -2 -2
-1 -1 -2 -3 -1  0 -2 -3 -2  1  2 -1  5  0 -2 -1 -1 -1 -1  1
-2 -3 -3 -3 -2 -3 -3 -3 -1  0  0 -3  0  6 -4 -2 -2  1  3 -1
-1 -2 -2 -1 -3 -1 -1 -2 -2 -3 -3 -1 -2 -4  7 -1 -1 -4 -3 -2
 1 -1  1  0 -1  0  0  0 -1 -2 -2  0 -1 -2 -1  4  1 -3 -2 -2
 0 -1  0 -1 -1 -1 -1 -2 -2 -1 -1 -1 -1 -2 -1  1  5 -2 -2  0
-3 -3 -4 -4 -2 -2 -3 -2 -2 -3 -2 -3 -1  1 -4 -3 -2 11  2 -3
-2 -2 -2 -3 -2 -1 -2 -3  2 -1 -1 -2 -1  3 -3 -2 -2  2  7 -1
 0 -3 -3 -3 -1 -2 -2 -3 -3  3  1 -2  1 -1 -2 -2  0 -3 -1  4
"""
BLOSUM62: Int[np.ndarray, "20 20"] = np.array(_BLOSUM62.split(), dtype=int).reshape(20, 20)
"""Henikoff & Henikoff, PNAS 89:10915 (1992), doi:10.1073/pnas.89.22.10915; half bits, in the order of `AMINO_ACIDS`."""

HYDROPATHY: Float[np.ndarray, " 20"] = np.array(
    [1.8, -4.5, -3.5, -3.5, 2.5, -3.5, -3.5, -0.4, -3.2, 4.5, 3.8, -3.9, 1.9, 2.8, -1.6, -0.8, -0.7, -0.9, -1.3, 4.2]
)
"""Kyte & Doolittle, J Mol Biol 157:105 (1982), doi:10.1016/0022-2836(82)90515-0, table 2."""

CHARGE: Float[np.ndarray, " 20"] = np.array(
    [{"K": 1.0, "R": 1.0, "D": -1.0, "E": -1.0}.get(a, 0.0) for a in AMINO_ACIDS]
)

_CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODON = {a + b + c: _CODE[16 * i + 4 * j + k] for i, a in enumerate("TCAG") for j, b in enumerate("TCAG")
         for k, c in enumerate("TCAG")}  # fmt: skip
"""The standard genetic code."""


def translate(nucleotides: str) -> str:
    """Amino acids of a reading frame that begins at the first nucleotide; ``*`` is a stop."""
    return "".join(CODON[nucleotides[i : i + 3]] for i in range(0, len(nucleotides) - 2, 3))


def encode(sequence: str) -> Int[np.ndarray, " residue"]:
    """Positions in `AMINO_ACIDS`."""
    return np.array([INDEX[letter] for letter in sequence], dtype=int)
