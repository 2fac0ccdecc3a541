"""JAK2-STAT5 signalling driven by measured receptor phosphorylation (Swameye 2003)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import ConservedTotal, Input, Observable, Parameter, Published, Reaction, State

PAPER = "Swameye et al. 2003, doi:10.1073/pnas.0237333100"
_FIT = (
    "Model of Schelker et al. 2012, doi:10.1093/bioinformatics/bts393, fitted to the data of Swameye et "
    "al. 2003; value as carried by pyPESTO's PEtab example of it"
)

#: Phosphorylated Epo receptor [relative to its maximum] at PEPOR_TIMES [minute]: Swameye 2003, as in the
#: pyPESTO example and dMod's data, which agree; the last reading is in dMod only.
PEPOR_TIMES = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0)
PEPOR_VALUES = (
    *(0.01713, 0.145, 0.2442, 0.7659, 1.0, 0.8605, 0.7829, 0.5705),
    *(0.6217, 0.331, 0.3388, 0.3116, 0.05062, 0.02504, 0.01163, 0.0),
)

#: Compartments of the chain that stands for the delay in the nucleus, beside the dimer (Schelker 2012).
STAGES = 9
_STAGE = tuple(f"nSTAT5_{i}" for i in range(1, STAGES + 1))
_ON_THE_WAY = " + ".join(_STAGE)


def _estimate(name: str, value: float, unit: str, description: str, remark: str = "") -> Parameter:
    source = f"{_FIT}{remark}"
    return Parameter(name, value, unit, description, source, (Published(value, source=source),))


PARAMETERS = (
    _estimate("k1", 1.95, "1/minute", "Phosphorylation rate of STAT5 at full receptor activity"),
    _estimate("k2", 0.11, "1/minute", "Rate constant of dimerisation, per relative concentration"),
    _estimate("k3", 98400.0, "1/minute", "Nuclear import rate of dimers", "; only known to be fast"),
    _estimate("k4", 1.49, "1/minute", "Rate of each of the ten steps from import to export"),
    _estimate("scale_tSTAT5", 0.95, "dimensionless", "Reading of total STAT5 per relative concentration"),
    _estimate("scale_pSTAT5", 1.25, "dimensionless", "Reading of phosphorylated STAT5 per relative concentration"),
    Parameter("cyt", 1.4, "picoliter", "Volume of the cytoplasm", f"{_FIT}; fixed there"),
    Parameter("nuc", 0.45, "picoliter", "Volume of the nucleus", f"{_FIT}; fixed there"),
)

MODEL = Model(
    name="jakstat_swameye",
    description="STAT5 phosphorylated by measured pEpoR, dimerisation, import, delay in the nucleus, export",
    time_unit="minute",
    states=(
        State("STAT5", 1.0, "dimensionless", "Cytoplasmic STAT5, relative to its start"),
        State("pSTAT5", 0.0, "dimensionless", "Cytoplasmic phosphorylated monomer"),
        State("pSTAT5_pSTAT5", 0.0, "dimensionless", "Cytoplasmic dimer"),
        State("npSTAT5_npSTAT5", 0.0, "dimensionless", "Nuclear dimer"),
        *(State(name, 0.0, "dimensionless", f"Nuclear STAT5, stage {i + 1}") for i, name in enumerate(_STAGE)),
    ),
    parameters=PARAMETERS,
    inputs=(
        Input(
            "pEpoR",
            PEPOR_TIMES,
            PEPOR_VALUES,
            "linear",
            "dimensionless",
            "Measured phosphorylation of the Epo receptor, relative to its maximum",
        ),
    ),
    reactions=(
        Reaction("phosphorylation", "STAT5 -> pSTAT5", "k1 * pEpoR * STAT5", "The receptor phosphorylates STAT5"),
        Reaction("dimerisation", "2 pSTAT5 -> pSTAT5_pSTAT5", "k2 * pSTAT5^2", "Monomers pair"),
        # Crossing the envelope changes the volume, so what leaves here arrives through `odes`, scaled.
        Reaction("import_dimer", "pSTAT5_pSTAT5 ->", "k3 * pSTAT5_pSTAT5", "Dimers leave the cytoplasm"),
        Reaction("dissociation", "npSTAT5_npSTAT5 -> 2 nSTAT5_1", "k4 * npSTAT5_npSTAT5", "Dimers fall apart"),
        *(
            Reaction(
                f"stage_{i}",
                f"{_STAGE[i - 1]} -> {_STAGE[i]}",
                f"k4 * {_STAGE[i - 1]}",
                "Delay in the nucleus",
            )
            for i in range(1, STAGES)
        ),
        Reaction("export", f"{_STAGE[-1]} ->", f"k4 * {_STAGE[-1]}", "STAT5 leaves the nucleus"),
    ),
    odes={
        "npSTAT5_npSTAT5": "cyt / nuc * import_dimer",
        "STAT5": "nuc / cyt * export",
    },
    observables=(
        Observable(
            "tSTAT5_au",
            "scale_tSTAT5 * (STAT5 + pSTAT5 + 2 * pSTAT5_pSTAT5)",
            "dimensionless",
            "Total cytoplasmic STAT5 by immunoblot, arbitrary units",
        ),
        Observable(
            "pSTAT5_au",
            "scale_pSTAT5 * (pSTAT5 + 2 * pSTAT5_pSTAT5)",
            "dimensionless",
            "Phosphorylated cytoplasmic STAT5 by immunoblot, arbitrary units",
        ),
    ),
    conserved=(
        ConservedTotal(
            "STAT5 in the cell",
            f"cyt * (STAT5 + pSTAT5 + 2 * pSTAT5_pSTAT5) + nuc * (2 * npSTAT5_npSTAT5 + {_ON_THE_WAY})",
        ),
    ),
    references=(PAPER, "Schelker et al. 2012, doi:10.1093/bioinformatics/bts393"),
)

BIBTEX = """@article{swameye2003identification,
  author  = {Swameye, I. and M{\\"u}ller, T. G. and Timmer, J. and Sandra, O. and Klingm{\\"u}ller, U.},
  title   = {Identification of Nucleocytoplasmic Cycling as a Remote Sensor in Cellular Signaling by Databased
             Modeling},
  journal = {Proceedings of the National Academy of Sciences},
  year    = {2003},
  volume  = {100},
  number  = {3},
  pages   = {1028--1033},
  doi     = {10.1073/pnas.0237333100}
}"""

BIBTEX_SCHELKER = """@article{schelker2012comprehensive,
  author  = {Schelker, M. and Raue, A. and Timmer, J. and Kreutz, C.},
  title   = {Comprehensive Estimation of Input Signals and Dynamics in Biochemical Reaction Networks},
  journal = {Bioinformatics},
  year    = {2012},
  volume  = {28},
  number  = {18},
  pages   = {i529--i534},
  doi     = {10.1093/bioinformatics/bts393}
}"""

CARD = Card(
    model=MODEL,
    title="JAK2-STAT5 signalling with measured receptor phosphorylation as input",
    equations=(
        ("x1", r"\frac{d[S]}{dt} = -k_1 [pEpoR] [S] + \frac{V_n}{V_c} k_4 [n_9]"),
        ("x2", r"\frac{d[pS]}{dt} = k_1 [pEpoR] [S] - 2 k_2 [pS]^2"),
        ("x3", r"\frac{d[pS_2]}{dt} = k_2 [pS]^2 - k_3 [pS_2]"),
        ("x4", r"\frac{d[npS_2]}{dt} = \frac{V_c}{V_n} k_3 [pS_2] - k_4 [npS_2]"),
        (
            "delay chain",
            r"\frac{d[n_1]}{dt} = 2 k_4 [npS_2] - k_4 [n_1],"
            r" \quad \frac{d[n_i]}{dt} = k_4 ([n_{i-1}] - [n_i])",
        ),
        ("readings", r"y_1 = s_t ([S] + [pS] + 2[pS_2]), \quad y_2 = s_p ([pS] + 2 [pS_2])"),
    ),
    references=(BIBTEX, BIBTEX_SCHELKER),
    valid_range=(
        "BaF3-EpoR cells for one hour after one dose of Epo. The input exists for that hour only and "
        "stays at its last reading (0) afterwards."
    ),
    notes=(
        "The paper has a discrete delay tau between import and export; here, as in Schelker 2012, ten "
        "steps of rate k4 stand for it, with mean 10/k4 (6.7 min at the nominal k4). Equations are those "
        "of that version; x1 to x4 name the four variables of the paper.",
        "The input is interpolated linearly between its readings and taken as exact, where Schelker 2012 "
        "estimates a spline: its noise (about 0.03 + 0.1 pEpoR there) is therefore not in our predictions.",
        "The paper's own estimates are in another parametrisation and were not seen.",
        "With the measured input taken as exact the best fit has chi-square 70 for 31 readings (published "
        "standard deviations): a good part of the misfit is noise of the input that is not modelled.",
        "k3 is bounded below only: import is faster than the sampling can resolve.",
    ),
)
