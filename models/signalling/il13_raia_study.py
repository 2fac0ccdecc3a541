"""Study of IL-13 signalling: four doses of Raia 2011, one of them held out.

The middle dose of 4 ng/ml is held out: it has readings of the receptor, JAK2 and STAT5, whose scales the other doses
determine. At 80 ng/ml only receptor, IL-13 and SOCS3 were read.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

#: Doses of IL-13 [ng/ml].
DOSES = (0, 4, 20, 80)

_SAME_DATA = "wide, because the published estimate comes from these very data"
_MINUTES = f"seconds to hours; {_SAME_DATA}"
_SHARE = f"of order 1 in the unit of the readings, open by decades; {_SAME_DATA}"


def _rate(name: str, location: float, source: str, lower: float = 1e-6, upper: float = 1e3) -> Estimate:
    return Estimate(name, lower, upper, prior=Prior("normal", location, 1.0, source))


def _sd(observable: str, location: float, source: str) -> Estimate:
    return Estimate(f"sd_{observable}", 1e-4, 1e3, nominal=10.0**location, prior=Prior("normal", location, 0.7, source))


IL13_RAIA2011 = Study(
    name="il13_raia2011",
    model="il13_raia",
    dataset="il13_raia2011",
    description="IL-13 signalling in lymphoma cells: later times, and a dose not seen",
    experiments={
        f"il13_{dose}": Experiment(parameters={"il13_level": float(dose)}, description=f"{dose} ng/ml of IL-13")
        for dose in DOSES
    },
    estimates=(
        _rate("Kon_IL13Rec", -2.0, f"a tenth to all receptors bind within minutes at 20 ng/ml; {_SAME_DATA}"),
        _rate("DecoyR_binding", -2.0, f"as the receptor; {_SAME_DATA}"),
        _rate("Rec_intern", -1.0, _MINUTES),
        _rate("Rec_recycle", -2.0, _MINUTES),
        Estimate(
            "Rec_phosphorylation",
            1e-3,
            1e5,
            prior=Prior("student_t", 1.0, 1.0, f"fast; heavy tail to the fast side; {_SAME_DATA}"),
        ),
        _rate("pRec_intern", -1.0, _MINUTES),
        _rate("pRec_degradation", -1.0, _MINUTES),
        _rate("JAK2_phosphorylation", -0.5, _MINUTES),
        _rate("JAK2_p_inhibition", -1.0, f"half inhibition between 1 and 100 of SOCS3; {_SAME_DATA}"),
        _rate("pJAK2_dephosphorylation", -3.0, f"minutes to hours, divided by 91 of SHP1; {_SAME_DATA}", 1e-7),
        _rate("STAT5_phosphorylation", -1.0, _MINUTES),
        _rate("pSTAT5_dephosphorylation", -3.0, f"minutes to hours, divided by 91 of SHP1; {_SAME_DATA}", 1e-7),
        _rate("SOCS3mRNA_production", -1.0, _SHARE),
        _rate("SOCS3_translation", 1.0, _SHARE),
        _rate("SOCS3_accumulation", 2.0, _SHARE, 1e-3, 1e5),
        _rate("SOCS3_degradation", -1.3, "half-life of SOCS3 about a quarter of an hour to hours"),
        _rate("CD274mRNA_production", -1.0, _SHARE),
        _rate("init_Rec_i", 1.0, f"more receptor inside than on the surface; {_SAME_DATA}", 1e-3, 1e4),
        _rate("scaling_pJAK2", 0.0, _SHARE),
        _rate("scaling_pIL4Ra", 0.0, _SHARE),
        _rate("scaling_IL13_cell", 0.5, _SHARE),
        _rate("scaling_SOCS3mRNA", 0.0, _SHARE),
        _rate("scaling_CD274mRNA", -1.5, _SHARE),
        _sd("RecSurf", -1.0, "a tenth of the readings, which were scaled to the order of 1"),
        _sd("IL13_cell", -0.3, "a tenth of the readings, which are of order 1 to 10"),
        _sd("pIL4Ra", -0.7, "a fifth of the readings, which were scaled to the order of 1"),
        _sd("pJAK2", -0.7, "a fifth of the readings, which were scaled to the order of 1"),
        _sd("pSTAT5", 0.5, "some percent of the readings, which are of order 100"),
        _sd("SOCS3", 1.0, "a tenth of the readings, which are of order 100"),
        _sd("SOCS3mRNA", 1.0, "a tenth of the readings, which are of order 100"),
        _sd("CD274mRNA", -1.0, "a tenth of the readings, which are of order 1"),
        Estimate(
            "sd_rel",
            0.005,
            2.0,
            nominal=0.15,
            prior=Prior("normal", -0.8, 0.3, "immunoblots and PCR repeat to 10 to 30 %"),
        ),
    ),
    noise={
        f"{name}_obs": Noise("normal", f"sd_{name} + sd_rel * {name}_obs")
        for name in ("RecSurf", "IL13_cell", "pIL4Ra", "pJAK2", "pSTAT5", "SOCS3", "SOCS3mRNA", "CD274mRNA")
    },
    splits=("time", "experiment"),
    # The readings at dose 0 scatter around 0, so no logarithm: pSTAT5 and SOCS3, the largest, weigh most.
    score_scale={
        f"{name}_obs": "lin"
        for name in ("RecSurf", "IL13_cell", "pIL4Ra", "pJAK2", "pSTAT5", "SOCS3", "SOCS3mRNA", "CD274mRNA")
    },
    held_out_experiments=("il13_4",),
    covariate={f"il13_{dose}": float(dose) for dose in DOSES},
)
