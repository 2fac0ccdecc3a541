"""Random T-cell receptor beta chains from V(D)J recombination: OLGA's model, or a coarse one of ours.

OLGA (Sethna et al. 2019, doi:10.1093/bioinformatics/btz035; extra `receptors`) samples a model that was inferred from
sequences. Ours needs nothing: germline ends of some V genes, both D and all functional J genes, joined after random
trimming and insertion of some nucleotides, the orders of magnitude of Murugan et al. (2012,
doi:10.1073/pnas.1212755109). Genes are used evenly and nothing is fitted: it gives chains of the right build, not their
probabilities. Its CDR3s are longer than OLGA's by about one residue.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration.receptors.alphabet import translate
from twin.errors import ProblemError, TwinError

V_ENDS = {
    "TRBV2": "TGTGCCAGCAGTGAAGC", "TRBV3-1": "TGTGCCAGCAGCCAAGA", "TRBV4-1": "TGCGCCAGCAGCCAAGA",
    "TRBV5-1": "TGCGCCAGCAGCTTGG", "TRBV6-1": "TGTGCCAGCAGTGAAGC", "TRBV6-5": "TGTGCCAGCAGTTACTC",
    "TRBV7-2": "TGTGCCAGCAGCTTAGC", "TRBV7-9": "TGTGCCAGCAGCTTAGC", "TRBV9": "TGTGCCAGCAGCGTAG",
    "TRBV10-3": "TGTGCCATCAGTGAGTC", "TRBV11-2": "TGTGCCAGCAGCTTAGA", "TRBV12-3": "TGTGCCAGCAGTTTAGC",
    "TRBV15": "TGTGCCACCAGCAGAGA", "TRBV18": "TGTGCCAGCTCACCACC", "TRBV19": "TGTGCCAGTAGTATAGA",
    "TRBV20-1": "TGCAGTGCTAGAGA", "TRBV24-1": "TGTGCCACCAGTGATTTG", "TRBV27": "TGTGCCAGCAGTTTATC",
    "TRBV28": "TGTGCCAGCAGTTTATG", "TRBV29-1": "TGCAGCGTTGAAGA", "TRBV30": "TGTGCCTGGAGTGT",
}  # fmt: skip
"""From the conserved cysteine to the end of the germline gene: IMGT's first alleles, as in OLGA's table."""
D_GENES = {"TRBD1": "GGGACAGGGGGC", "TRBD2": "GGGACTAGCGGGGGGG"}
J_STARTS = {
    "TRBJ1-1": "TGAACACTGAAGCTTTCTTT", "TRBJ1-2": "CTAACTATGGCTACACCTTC", "TRBJ1-3": "CTCTGGAAACACCATATATTTT",
    "TRBJ1-4": "CAACTAATGAAAAACTGTTTTTT", "TRBJ1-5": "TAGCAATCAGCCCCAGCATTTT", "TRBJ1-6": "CTCCTATAATTCACCCCTCCACTTT",
    "TRBJ2-1": "CTCCTACAATGAGCAGTTCTTC", "TRBJ2-2": "CGAACACCGGGGAGCTGTTTTTT", "TRBJ2-3": "AGCACAGATACGCAGTATTTT",
    "TRBJ2-4": "AGCCAAAAACATTCAGTACTTC", "TRBJ2-5": "ACCAAGAGACCCAGTACTTC", "TRBJ2-6": "CTCTGGGGCCAACGTCCTGACTTTC",
    "TRBJ2-7": "CTCCTACGAGCAGTACTTC",
}  # fmt: skip
"""From the start of the germline gene to the conserved phenylalanine."""

V_TRIM, D_TRIM, J_TRIM, INSERTED = 3.0, 3.0, 4.0, 4.5
"""Mean nucleotides trimmed from ends and inserted at each junction; Poisson here."""
SHORTEST, LONGEST = 8, 22
COLUMNS = ("junction", "junction_aa", "v_call", "d_call", "j_call")


def recombine(count: int, seed: int = 0, model: str = "coarse") -> pd.DataFrame:
    """Productive beta chains: in frame, without stop, from cysteine to phenylalanine.

    Args:
        count: How many.
        seed: Seed.
        model: "coarse", or "olga" (extra `receptors`).

    Returns:
        Columns `COLUMNS`; OLGA does not say the D gene, which is empty then.

    Raises:
        ProblemError: an unknown model or count.
        TwinError: OLGA is not installed.
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ProblemError(f"count is {count!r}", where="recombine", expected="a whole number of at least 1")
    if model == "olga":
        return _by_olga(count, seed)
    if model != "coarse":
        raise ProblemError(f"there is no model {model!r}", where="recombine", expected="coarse or olga")
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, ...]] = []
    while len(rows) < count:
        rows += _some(rng, 4 * (count - len(rows)) + 64)
    return pd.DataFrame(rows[:count], columns=list(COLUMNS))


def _some(rng: np.random.Generator, tries: int) -> list[tuple[str, ...]]:
    """Productive chains among some tries: about a quarter."""
    vs, ds, js = (list(genes.items()) for genes in (V_ENDS, D_GENES, J_STARTS))
    choice = rng.integers([len(vs), len(ds), len(js)], size=(tries, 3))
    trims = rng.poisson([V_TRIM, D_TRIM, D_TRIM, J_TRIM], size=(tries, 4))
    inserted = rng.poisson(INSERTED, size=(tries, 2))
    letters = "".join(np.array(list("ACGT"))[rng.integers(4, size=int(inserted.sum()))])
    rows, at = [], 0
    for (v, d, j), (trim_v, trim_5, trim_3, trim_j), (left, right) in zip(choice, trims, inserted, strict=True):
        of_v, of_d, of_j = vs[v][1], ds[d][1], js[j][1]
        of_v = of_v[: max(3, len(of_v) - trim_v)]
        of_d = of_d[trim_5 : max(trim_5, len(of_d) - trim_3)]
        of_j = of_j[min(trim_j, len(of_j) - 3) :]
        whole = of_v + letters[at : at + left] + of_d + letters[at + left : at + left + right] + of_j
        at += left + right
        if len(whole) % 3:
            continue
        protein = translate(whole)
        if "*" not in protein and SHORTEST <= len(protein) <= LONGEST:
            rows.append((whole, protein, vs[v][0], ds[d][0] if of_d else "", js[j][0]))
    return rows


def _by_olga(count: int, seed: int) -> pd.DataFrame:
    import warnings

    try:
        with warnings.catch_warnings():
            # Escapes in OLGA's docstrings, which Python complains about once.
            warnings.simplefilter("ignore", SyntaxWarning)
            import olga.load_model as load_model  # pyright: ignore[reportMissingImports]
            import olga.sequence_generation as generation  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise TwinError(
            "OLGA is not installed", where="recombine(model='olga')", fix="pip install 'cytotwin[receptors]'"
        ) from error
    from pathlib import Path

    folder = Path(load_model.__file__).parent / "default_models" / "human_T_beta"
    genes = load_model.GenomicDataVDJ()
    anchors = (str(folder / "V_gene_CDR3_anchors.csv"), str(folder / "J_gene_CDR3_anchors.csv"))
    law = load_model.GenerativeModelVDJ()
    with warnings.catch_warnings():
        # OLGA leaves the closing of its files to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        genes.load_igor_genomic_data(str(folder / "model_params.txt"), *anchors)
        law.load_and_process_igor_model(str(folder / "model_marginals.txt"))
    maker = generation.SequenceGenerationVDJ(law, genes)
    v_names, j_names = ([str(each[0]) for each in side or ()] for side in (genes.genV, genes.genJ))
    # OLGA draws from NumPy's global state, which is the user's.
    before = np.random.get_state()
    try:
        np.random.seed(seed)
        rows = []
        for _ in range(count):
            nucleotides, protein, v, j = tuple(maker.gen_rnd_prod_CDR3())[:4]
            names = (v_names[v], j_names[j])
            rows.append((nucleotides, protein, names[0].split("*")[0], "", names[1].split("*")[0]))
    finally:
        np.random.set_state(before)
    return pd.DataFrame(rows, columns=list(COLUMNS))
