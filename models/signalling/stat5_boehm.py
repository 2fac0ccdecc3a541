"""Homo- and heterodimerisation of STAT5A and STAT5B after erythropoietin (Boehm 2014)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, ConservedTotal, Observable, Parameter, Published, Reaction, State

PAPER = "Boehm et al. 2014, doi:10.1021/pr5006923"
_FIT = f"{PAPER}; best fit as carried by the PEtab benchmark collection (Boehm_JProteomeRes2014)"
_FIXED = f"{PAPER}; held fixed in the PEtab benchmark collection (Boehm_JProteomeRes2014)"
_EPO = "1/nanomolar/molar/minute"


def _rate(name: str, value: float, unit: str, description: str, remark: str = "") -> Parameter:
    source = f"{_FIT}{remark}"
    return Parameter(name, value, unit, description, source, (Published(value, source=source),))


PARAMETERS = (
    _rate("k_phos", 15766.5070195731, _EPO, "Rate constant of phosphorylation and dimerisation per Epo"),
    _rate("Epo_degradation_BaF3", 0.026982514033029, "1/minute", "Rate at which the Epo stimulus fades"),
    _rate(
        "k_imp_homo",
        97749.3794024716,
        "1/minute",
        "Nuclear import rate of homodimers",
        "; at the upper bound of that fit, so only known to be fast",
    ),
    _rate("k_imp_hetero", 0.0163679184468, "1/minute", "Nuclear import rate of heterodimers"),
    _rate("k_exp_homo", 0.006170228086381, "1/minute", "Nuclear export rate of homodimers"),
    _rate(
        "k_exp_hetero",
        1.00067973851508e-05,
        "1/minute",
        "Nuclear export rate of heterodimers",
        "; at the lower bound of that fit, so only known to be slow",
    ),
    Parameter("ratio", 0.693, "dimensionless", "Fraction of STAT5 that is STAT5A", _FIXED),
    Parameter("specC17", 0.107, "dimensionless", "Share of the common peptide seen as specific for STAT5A", _FIXED),
    Parameter(
        "STAT5_total",
        207.6,
        "nanomolar",
        "Total STAT5 in the cytoplasm at rest",
        f"{_FIXED}; the collection states no unit, nanomolar is assumed and cancels from all readings",
    ),
    Parameter(
        "Epo_0",
        1.25e-7,
        "molar",
        "Epo stimulus at time 0",
        f"{_FIXED}; the collection states no unit, molar is assumed; only k_phos * Epo_0 enters",
    ),
    Parameter("cyt", 1.4, "picoliter", "Volume of the cytoplasm", _FIXED),
    Parameter("nuc", 0.45, "picoliter", "Volume of the nucleus", _FIXED),
)

_SEEN_A = "pApB + specC17 * (STAT5A + 2 * pApA)"
_SEEN_B = "pApB + (1 - specC17) * (STAT5B + 2 * pBpB)"

MODEL = Model(
    name="stat5_boehm",
    description="STAT5A and STAT5B: phosphorylation, dimerisation, nuclear shuttling after Epo",
    time_unit="minute",
    states=(
        State("STAT5A", "STAT5_total * ratio", "nanomolar", "Cytoplasmic STAT5A"),
        State("STAT5B", "STAT5_total * (1 - ratio)", "nanomolar", "Cytoplasmic STAT5B"),
        State("pApB", 0.0, "nanomolar", "Cytoplasmic phosphorylated heterodimer"),
        State("pApA", 0.0, "nanomolar", "Cytoplasmic phosphorylated STAT5A homodimer"),
        State("pBpB", 0.0, "nanomolar", "Cytoplasmic phosphorylated STAT5B homodimer"),
        State("nucpApA", 0.0, "nanomolar", "Nuclear STAT5A homodimer"),
        State("nucpApB", 0.0, "nanomolar", "Nuclear heterodimer"),
        State("nucpBpB", 0.0, "nanomolar", "Nuclear STAT5B homodimer"),
    ),
    parameters=PARAMETERS,
    assignments=(Assignment("BaF3_Epo", "Epo_0 * exp(-Epo_degradation_BaF3 * time)", "molar", "Epo that still acts"),),
    reactions=(
        Reaction("dimerisation_AA", "2 STAT5A -> pApA", "k_phos * BaF3_Epo * STAT5A^2", "Two STAT5A"),
        Reaction("dimerisation_AB", "STAT5A + STAT5B -> pApB", "k_phos * BaF3_Epo * STAT5A * STAT5B", "One of each"),
        Reaction("dimerisation_BB", "2 STAT5B -> pBpB", "k_phos * BaF3_Epo * STAT5B^2", "Two STAT5B"),
        # Crossing the envelope changes the volume, so what leaves here arrives through `odes`, scaled.
        Reaction("import_AA", "pApA ->", "k_imp_homo * pApA", "STAT5A homodimer leaves the cytoplasm"),
        Reaction("import_AB", "pApB ->", "k_imp_hetero * pApB", "Heterodimer leaves the cytoplasm"),
        Reaction("import_BB", "pBpB ->", "k_imp_homo * pBpB", "STAT5B homodimer leaves the cytoplasm"),
        Reaction("export_AA", "nucpApA ->", "k_exp_homo * nucpApA", "STAT5A homodimer leaves the nucleus"),
        Reaction("export_AB", "nucpApB ->", "k_exp_hetero * nucpApB", "Heterodimer leaves the nucleus"),
        Reaction("export_BB", "nucpBpB ->", "k_exp_homo * nucpBpB", "STAT5B homodimer leaves the nucleus"),
    ),
    odes={
        "nucpApA": "cyt / nuc * import_AA",
        "nucpApB": "cyt / nuc * import_AB",
        "nucpBpB": "cyt / nuc * import_BB",
        "STAT5A": "nuc / cyt * (2 * export_AA + export_AB)",
        "STAT5B": "nuc / cyt * (2 * export_BB + export_AB)",
    },
    observables=(
        Observable(
            "pSTAT5A_rel",
            f"100 * (pApB + 2 * specC17 * pApA) / ({_SEEN_A})",
            "dimensionless",
            "Phosphorylated share of what is seen as STAT5A in the cytoplasm, percent",
        ),
        Observable(
            "pSTAT5B_rel",
            f"100 * (pApB + 2 * (1 - specC17) * pBpB) / ({_SEEN_B})",
            "dimensionless",
            "Phosphorylated share of what is seen as STAT5B in the cytoplasm, percent",
        ),
        Observable(
            "rSTAT5A_rel",
            f"100 * ({_SEEN_A}) / ({_SEEN_A} + {_SEEN_B})",
            "dimensionless",
            "Share of STAT5A in the STAT5 that is seen, percent",
        ),
    ),
    conserved=(
        ConservedTotal("STAT5A in the cell", "cyt * (STAT5A + pApB + 2 * pApA) + nuc * (nucpApB + 2 * nucpApA)"),
        ConservedTotal("STAT5B in the cell", "cyt * (STAT5B + pApB + 2 * pBpB) + nuc * (nucpApB + 2 * nucpBpB)"),
    ),
    references=(PAPER,),
)

BIBTEX = """@article{boehm2014identification,
  author  = {Boehm, Martin E. and Adlung, Lorenz and Schilling, Marcel and Roth, Susanne and
             Klingm{\\"u}ller, Ursula and Lehmann, Wolf D.},
  title   = {Identification of Isoform-Specific Dynamics in Phosphorylation-Dependent {STAT5} Dimerization by
             Quantitative Mass Spectrometry and Mathematical Modeling},
  journal = {Journal of Proteome Research},
  year    = {2014},
  volume  = {13},
  number  = {12},
  pages   = {5685--5694},
  doi     = {10.1021/pr5006923}
}"""

CARD = Card(
    model=MODEL,
    title="STAT5A and STAT5B dimerisation and nuclear shuttling after erythropoietin",
    equations=(
        ("stimulus", r"[Epo] = [Epo]_0 e^{-k_{deg} t}"),
        (
            "STAT5A",
            r"\frac{d[A]}{dt} = -2 k_{phos}[Epo][A]^2 - k_{phos}[Epo][A][B]"
            r" + \frac{V_n}{V_c}\left(2 k_{exp,hom}[nAA] + k_{exp,het}[nAB]\right)",
        ),
        (
            "STAT5B",
            r"\frac{d[B]}{dt} = -2 k_{phos}[Epo][B]^2 - k_{phos}[Epo][A][B]"
            r" + \frac{V_n}{V_c}\left(2 k_{exp,hom}[nBB] + k_{exp,het}[nAB]\right)",
        ),
        ("dimers", r"\frac{d[AA]}{dt} = k_{phos}[Epo][A]^2 - k_{imp,hom}[AA], \text{ likewise } [AB], [BB]"),
        (
            "nuclear dimers",
            r"\frac{d[nAA]}{dt} = \frac{V_c}{V_n} k_{imp,hom}[AA] - k_{exp,hom}[nAA],"
            r" \text{ likewise } [nAB], [nBB]",
        ),
        ("reading", r"pSTAT5A = 100 \frac{[AB] + 2 s [AA]}{[AB] + s([A] + 2[AA])}, \quad s = specC17"),
    ),
    references=(BIBTEX,),
    valid_range=(
        "BaF3-EpoR cells for four hours after one dose of Epo. No STAT5 is phosphorylated at time 0, "
        "while the readings before the stimulus are 5 to 15 %: the first point is not described."
    ),
    notes=(
        "Equations, volumes and readings agree with the SBML and the observables of the PEtab benchmark "
        "collection; the paper's own numbering was not seen, so equations are named.",
        "The two import rates and two export rates sit at or near bounds in the published fit: homodimer "
        "import is fast, heterodimer export slow, and neither has a finite interval.",
        ("Units of concentration are assumed (nanomolar STAT5, molar Epo); the readings do not depend on them."),
    ),
)
