"""JAK2-STAT5 signalling induced by IL-13 in MedB-1 lymphoma cells (Raia 2011)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, ConservedTotal, Observable, Parameter, Published, Reaction, State

PAPER = "Raia et al. 2011, doi:10.1158/0008-5472.CAN-10-2987"
_FIT = f"{PAPER}; optimum as carried by the PEtab benchmark collection (Raia_CancerResearch2011)"
_SBML = f"{PAPER}; constant of the SBML model of the PEtab benchmark collection"


def _estimate(name: str, value: float, unit: str, description: str) -> Parameter:
    return Parameter(name, value, unit, description, _FIT, (Published(value, source=_FIT),))


PARAMETERS = (
    _estimate("Kon_IL13Rec", 0.002278141087201, "1/minute", "Binding of IL-13 to the receptor, per nM of IL-13"),
    _estimate("DecoyR_binding", 0.003851039137402, "1/minute", "Binding of IL-13 to the decoy receptor, per nM"),
    _estimate("Rec_intern", 0.344129281159739, "1/minute", "Internalisation of the free receptor"),
    _estimate("Rec_recycle", 0.00209774906794, "1/minute", "Return of the internalised receptor"),
    _estimate("Rec_phosphorylation", 999.999816483984, "1/minute", "Phosphorylation of the receptor, per pJAK2"),
    _estimate("pRec_intern", 0.585271535297764, "1/minute", "Internalisation of the phosphorylated receptor"),
    _estimate("pRec_degradation", 0.209573978543856, "1/minute", "Degradation of the internalised receptor"),
    _estimate("JAK2_phosphorylation", 1.01721171826747, "1/minute", "Phosphorylation of JAK2, per bound receptor"),
    _estimate("JAK2_p_inhibition", 0.078140000505809, "dimensionless", "Inhibition of that by SOCS3, per SOCS3"),
    _estimate("pJAK2_dephosphorylation", 0.000175894009439, "1/minute", "Dephosphorylation of JAK2, per SHP1"),
    _estimate("STAT5_phosphorylation", 0.01948207479306, "1/minute", "Phosphorylation of STAT5, per pJAK2"),
    _estimate("pSTAT5_dephosphorylation", 0.000274832319318, "1/minute", "Dephosphorylation of STAT5, per SHP1"),
    _estimate("SOCS3mRNA_production", 0.14337151776186, "1/minute", "Transcription of SOCS3, per pSTAT5"),
    _estimate("SOCS3_translation", 15.7186888386006, "1/minute", "Fastest translation of SOCS3"),
    _estimate("SOCS3_accumulation", 451.777901711184, "dimensionless", "SOCS3 mRNA of half the fastest translation"),
    _estimate("SOCS3_degradation", 0.043380223348167, "1/minute", "Degradation of SOCS3"),
    _estimate("CD274mRNA_production", 0.021208853684209, "1/minute", "Transcription of CD274, per pSTAT5"),
    _estimate("init_Rec_i", 235.058493601113, "dimensionless", "Internalised receptor before stimulation"),
    _estimate("scaling_pJAK2", 0.857246885626022, "dimensionless", "Reading of pJAK2 per state"),
    _estimate("scaling_pIL4Ra", 2.9757729322919, "dimensionless", "Reading of phosphorylated receptor per state"),
    _estimate("scaling_IL13_cell", 5.50098613841361, "dimensionless", "Reading of IL-13 on and in cells per state"),
    _estimate("scaling_SOCS3mRNA", 0.581287913862507, "dimensionless", "Reading of SOCS3 mRNA per state"),
    _estimate("scaling_CD274mRNA", 0.00815283660871, "dimensionless", "Reading of CD274 mRNA per state"),
    Parameter("il13_level", 0.0, "dimensionless", "Dose of IL-13 in ng/ml, constant", "Condition of the experiment"),
    Parameter("il13_per_dose", 2.265, "dimensionless", "IL-13 in the unit of the rate constants per ng/ml", _SBML),
    Parameter("SHP1", 91.0, "dimensionless", "Phosphatase, constant", _SBML),
    Parameter("Rec_0", 1.3, "dimensionless", "Receptor on the surface before stimulation", _SBML),
    Parameter("JAK2_0", 2.8, "dimensionless", "JAK2 before stimulation", _SBML),
    Parameter("STAT5_0", 165.0, "dimensionless", "STAT5 before stimulation", _SBML),
    Parameter("DecoyR_0", 0.34, "dimensionless", "Decoy receptor before stimulation", _SBML),
)

MODEL = Model(
    name="il13_raia",
    description="IL-13 receptor, JAK2, STAT5 and the feedback of SOCS3 in MedB-1 lymphoma cells",
    time_unit="minute",
    states=(
        State("Rec", "Rec_0", "dimensionless", "Receptor on the surface, free"),
        State("Rec_i", "init_Rec_i", "dimensionless", "Receptor inside the cell"),
        State("IL13_Rec", 0.0, "dimensionless", "Receptor with IL-13"),
        State("p_IL13_Rec", 0.0, "dimensionless", "Phosphorylated receptor with IL-13, on the surface"),
        State("p_IL13_Rec_i", 0.0, "dimensionless", "Phosphorylated receptor with IL-13, inside the cell"),
        State("JAK2", "JAK2_0", "dimensionless", "JAK2"),
        State("pJAK2", 0.0, "dimensionless", "Phosphorylated JAK2"),
        State("STAT5", "STAT5_0", "dimensionless", "STAT5"),
        State("pSTAT5", 0.0, "dimensionless", "Phosphorylated STAT5"),
        State("SOCS3mRNA", 0.0, "dimensionless", "mRNA of SOCS3"),
        State("DecoyR", "DecoyR_0", "dimensionless", "Decoy receptor, free"),
        State("IL13_DecoyR", 0.0, "dimensionless", "Decoy receptor with IL-13"),
        State("SOCS3", 0.0, "dimensionless", "SOCS3"),
        State("CD274mRNA", 0.0, "dimensionless", "mRNA of CD274"),
    ),
    parameters=PARAMETERS,
    assignments=(
        Assignment("il13", "il13_per_dose * il13_level", "dimensionless", "Concentration of IL-13"),
        Assignment("brake", "1 / (1 + JAK2_p_inhibition * SOCS3)", "dimensionless", "What SOCS3 leaves of JAK2's rate"),
    ),
    reactions=(
        Reaction("binding", "Rec -> IL13_Rec", "Kon_IL13Rec * il13 * Rec", "IL-13 binds"),
        Reaction("internalisation", "Rec -> Rec_i", "Rec_intern * Rec", "Free receptor leaves the surface"),
        Reaction("recycling", "Rec_i -> Rec", "Rec_recycle * Rec_i", "Internalised receptor comes back"),
        Reaction("activation", "IL13_Rec -> p_IL13_Rec", "Rec_phosphorylation * IL13_Rec * pJAK2", "By active JAK2"),
        Reaction(
            "jak_by_bound", "JAK2 -> pJAK2", "JAK2_phosphorylation * IL13_Rec * JAK2 * brake", "By bound receptor"
        ),
        Reaction(
            "jak_by_active", "JAK2 -> pJAK2", "JAK2_phosphorylation * p_IL13_Rec * JAK2 * brake", "By active receptor"
        ),
        Reaction("active_internalisation", "p_IL13_Rec -> p_IL13_Rec_i", "pRec_intern * p_IL13_Rec", "Uptake"),
        Reaction("degradation", "p_IL13_Rec_i ->", "pRec_degradation * p_IL13_Rec_i", "Internalised receptor is lost"),
        Reaction("jak_off", "pJAK2 -> JAK2", "pJAK2_dephosphorylation * SHP1 * pJAK2", "Dephosphorylation"),
        Reaction("stat_on", "STAT5 -> pSTAT5", "STAT5_phosphorylation * pJAK2 * STAT5", "By active JAK2"),
        Reaction("stat_off", "pSTAT5 -> STAT5", "pSTAT5_dephosphorylation * SHP1 * pSTAT5", "Dephosphorylation"),
        Reaction("decoy", "DecoyR -> IL13_DecoyR", "DecoyR_binding * il13 * DecoyR", "IL-13 binds to the decoy"),
        Reaction("socs3_transcription", "-> SOCS3mRNA", "SOCS3mRNA_production * pSTAT5", "Transcription"),
        Reaction(
            "socs3_translation",
            "-> SOCS3",
            "SOCS3_translation * SOCS3mRNA / (SOCS3_accumulation + SOCS3mRNA)",
            "Translation, saturating",
        ),
        Reaction("socs3_degradation", "SOCS3 ->", "SOCS3_degradation * SOCS3", "Degradation"),
        Reaction("cd274_transcription", "-> CD274mRNA", "CD274mRNA_production * pSTAT5", "Transcription"),
    ),
    observables=(
        Observable("RecSurf_obs", "Rec + IL13_Rec + p_IL13_Rec", "dimensionless", "Receptor on the surface"),
        Observable(
            "IL13_cell_obs",
            "scaling_IL13_cell * (IL13_Rec + IL13_DecoyR + p_IL13_Rec + p_IL13_Rec_i)",
            "dimensionless",
            "IL-13 on and in cells, arbitrary units",
        ),
        Observable(
            "pIL4Ra_obs",
            "scaling_pIL4Ra * (p_IL13_Rec + p_IL13_Rec_i)",
            "dimensionless",
            "Phosphorylated receptor chain by immunoblot, arbitrary units",
        ),
        Observable("pJAK2_obs", "scaling_pJAK2 * pJAK2", "dimensionless", "pJAK2 by immunoblot, arbitrary units"),
        Observable("pSTAT5_obs", "pSTAT5", "dimensionless", "pSTAT5 by quantitative immunoblot"),
        Observable("SOCS3_obs", "SOCS3", "dimensionless", "SOCS3 by quantitative immunoblot"),
        Observable("SOCS3mRNA_obs", "scaling_SOCS3mRNA * SOCS3mRNA", "dimensionless", "SOCS3 mRNA, arbitrary units"),
        Observable("CD274mRNA_obs", "scaling_CD274mRNA * CD274mRNA", "dimensionless", "CD274 mRNA, arbitrary units"),
    ),
    conserved=(
        ConservedTotal("JAK2", "JAK2 + pJAK2"),
        ConservedTotal("STAT5", "STAT5 + pSTAT5"),
        ConservedTotal("decoy receptor", "DecoyR + IL13_DecoyR"),
    ),
    references=(PAPER,),
)

BIBTEX = """@article{raia2011dynamic,
  author  = {Raia, Valentina and Schilling, Marcel and B{\\"o}hm, Martin and Hahn, Bettina and
             Kowarsch, Andreas and Raue, Andreas and Sticht, Carsten and Bohl, Sebastian and Saile, Maria and
             M{\\"o}ller, Peter and Gretz, Norbert and Timmer, Jens and Theis, Fabian and
             Lehmann, Wolf-Dieter and Lichter, Peter and Klingm{\\"u}ller, Ursula},
  title   = {Dynamic Mathematical Modeling of {IL13}-Induced Signaling in {Hodgkin} and Primary Mediastinal
             {B}-Cell Lymphoma Allows Prediction of Therapeutic Targets},
  journal = {Cancer Research},
  year    = {2011},
  volume  = {71},
  number  = {3},
  pages   = {693--704},
  doi     = {10.1158/0008-5472.CAN-10-2987}
}"""

CARD = Card(
    model=MODEL,
    title="IL-13 induced JAK2-STAT5 signalling with feedback by SOCS3",
    equations=(
        ("receptor", r"\frac{d[R]}{dt} = k_{rec} [R_i] - (k_{int} + k_{on} [IL13]) [R]"),
        ("bound receptor", r"\frac{d[LR]}{dt} = k_{on} [IL13] [R] - k_{act} [LR] [pJ]"),
        (
            "active receptor",
            r"\frac{d[pLR]}{dt} = k_{act} [LR] [pJ] - k_{pint} [pLR],"
            r" \quad \frac{d[pLR_i]}{dt} = k_{pint} [pLR] - k_{deg} [pLR_i]",
        ),
        (
            "JAK2",
            r"\frac{d[pJ]}{dt} = \frac{k_J ([LR] + [pLR]) [J]}{1 + k_{inh} [SOCS3]} - k_{Jd} [SHP1] [pJ]",
        ),
        ("STAT5", r"\frac{d[pS]}{dt} = k_S [pJ] [S] - k_{Sd} [SHP1] [pS]"),
        (
            "SOCS3",
            r"\frac{d[m]}{dt} = k_m [pS], \quad"
            r" \frac{d[SOCS3]}{dt} = \frac{k_{tr} [m]}{K + [m]} - k_{sd} [SOCS3]",
        ),
        ("CD274", r"\frac{d[CD274]}{dt} = k_c [pS]"),
        ("decoy", r"\frac{d[LD]}{dt} = k_D [IL13] [D]"),
    ),
    references=(BIBTEX,),
    valid_range=(
        "MedB-1 cells for two hours after one dose of IL-13 between 0 and 80 ng/ml. mRNA is made and never lost; "
        "nothing is phosphorylated without IL-13."
    ),
    notes=(
        "Equations and values follow the SBML model of the PEtab benchmark collection; the paper was not seen. "
        "tests/models compares the two numerically.",
        "That SBML model makes the two mRNAs in the nucleus (a tenth of the cell) and counts them as concentrations "
        "of that compartment; the volumes cancel, so none are here.",
        "Units of the states are relative: the collection states none. That doses are in ng/ml and that 2.265 converts "
        "them is as remembered.",
        "Rec_phosphorylation sits at the upper bound of the fit (1,000 per minute): only known to be fast.",
    ),
)
