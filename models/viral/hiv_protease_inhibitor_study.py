"""Study of the HIV model: two patients of Perelson 1996.

Only c, delta and V0 show in the RNA; N, T0 and the infectivity cancel at steady state and stay fixed.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

_SAME_DATA = "wide, because the published estimate comes from these very data"

HIV_PERELSON1996 = Study(
    name="hiv_perelson1996",
    model="hiv_protease_inhibitor",
    dataset="hiv_perelson1996",
    description="HIV-1 RNA of two patients in the first week of ritonavir: later days, and the other patient",
    experiments={"ritonavir": Experiment(description="Ritonavir from time 0 on, taken as fully effective")},
    estimates=(
        Estimate(
            "c",
            0.05,
            200.0,
            prior=Prior("normal", 0.5, 0.5, f"virions live for hours, 0.03 to 3 d; {_SAME_DATA}"),
            per="subject",
            between=Prior("half_normal", scale=0.2, source="clearance differs little between adults"),
        ),
        Estimate(
            "delta",
            0.01,
            20.0,
            prior=Prior("normal", -0.3, 0.5, f"infected cells live for about a day or two, 0.2 to 20 d; {_SAME_DATA}"),
            per="subject",
            between=Prior("half_normal", scale=0.2, source="patients differ by less than a factor of two or so"),
        ),
        Estimate(
            "V0",
            1e2,
            1e8,
            prior=Prior("normal", 5.0, 0.8, "plasma RNA of untreated adults, 3 to 7 log10"),
            per="subject",
            between=Prior("half_normal", scale=1.0, source="set points of untreated adults differ by decades"),
        ),
        Estimate(
            "sd_log",
            0.02,
            3.0,
            nominal=0.3,
            prior=Prior("normal", -0.5, 0.3, "repeated RNA assays differ by a factor of about 1.3"),
        ),
    ),
    noise={"rna": Noise("log_normal", "sd_log")},
    splits=("time", "subject"),
    score_scale={"rna": "log10"},
)
