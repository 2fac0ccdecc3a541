"""Study of biphasic HIV decay: 46 adults of ACTG 315, their RNA at the start and their second phase by subject.

The first phase, seen in two or three readings of a subject, and the share of long-lived cells are shared.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

HIV_ACTG315 = Study(
    name="hiv_actg315",
    model="hiv_biphasic",
    dataset="hiv_actg315",
    description="HIV-1 RNA of 46 adults under triple therapy: later weeks, and a new subject",
    experiments={
        "haart": Experiment(description="Ritonavir, lamivudine and zidovudine from time 0 on, fully effective")
    },
    estimates=(
        Estimate(
            "V0",
            1e2,
            1e8,
            prior=Prior("normal", 5.0, 0.8, "plasma RNA of untreated adults, 3 to 7 log10"),
            per="subject",
            between=Prior("half_normal", scale=1.0, source="set points of untreated adults differ by decades"),
        ),
        Estimate(
            "f_long",
            1e-4,
            0.9,
            prior=Prior("normal", -1.5, 0.5, "1 to 7 % in other patients (Perelson 1997, as remembered), loosened"),
        ),
        Estimate(
            "delta",
            0.02,
            10.0,
            prior=Prior("normal", -0.3, 0.3, "other patients (Perelson 1996), half-life 0.4 to 6 d"),
        ),
        Estimate(
            "mu",
            1e-4,
            1.0,
            prior=Prior("normal", -1.3, 0.3, "half-life of 1 to 4 weeks in other patients (Perelson 1997), loosened"),
            per="subject",
            between=Prior("half_normal", scale=0.3, source="1 to 4 weeks is a factor of four between patients"),
        ),
        Estimate(
            "sd_log10",
            0.02,
            3.0,
            nominal=0.3,
            prior=Prior("normal", -0.7, 0.3, "repeated RNA assays differ by 0.1 to 0.3 log10; wide"),
        ),
    ),
    noise={"log10_rna": Noise("normal", "sd_log10")},
    splits=("time", "subject"),
    score_scale={"log10_rna": "lin"},
)
