"""Study of oral warfarin: 32 subjects, clearance and sensitivity to the drug by subject.

Absorption is shared: half of the subjects were first read after 24 h, when it is over. So is the volume per kg,
which differs less between healthy adults than clearance does.
"""

from __future__ import annotations

from twin.experiment.experiment import Bolus, Experiment
from twin.study import Estimate, Noise, Prior, Study

_REVIEW = "order of magnitude in the review of Holford 1986, loosened to a factor of 10"

WARFARIN_OREILLY1968 = Study(
    name="warfarin_oreilly1968",
    model="warfarin_pkpd",
    dataset="warfarin_oreilly1968",
    description="Plasma warfarin and prothrombin complex activity: late concentrations, and a new subject",
    experiments={
        "oral": Experiment(doses=(Bolus("depot", 1.5),), description="1.5 mg/kg by mouth at time 0"),
    },
    estimates=(
        Estimate("ktr", 0.05, 50.0, prior=Prior("normal", 0.0, 0.5, "a swallowed dose dissolves in minutes to hours")),
        Estimate("ka", 0.05, 50.0, prior=Prior("normal", 0.0, 0.5, "peak between 2 and 6 h (Holford 1986), loosened")),
        Estimate(
            "CL",
            1e-4,
            0.1,
            prior=Prior("normal", -2.54, 0.5, _REVIEW),
            per="subject",
            between=Prior("half_normal", scale=0.2, source="clearance differs by a factor of two or so"),
        ),
        Estimate(
            "V",
            0.01,
            2.0,
            prior=Prior("normal", -0.85, 0.5, _REVIEW),
        ),
        Estimate(
            "IC50",
            0.05,
            50.0,
            prior=Prior("normal", 0.18, 0.5, _REVIEW),
            per="subject",
            between=Prior("half_normal", scale=0.2, source="sensitivity differs by a factor of two or so"),
        ),
        Estimate("kout", 2e-3, 0.8, prior=Prior("normal", -1.39, 0.5, _REVIEW)),
        Estimate(
            "sd_add",
            0.01,
            5.0,
            nominal=0.3,
            prior=Prior("normal", -0.5, 0.5, "assays of the time resolve some tenths of mg/l"),
        ),
        Estimate(
            "sd_prop",
            0.005,
            1.0,
            nominal=0.1,
            prior=Prior("normal", -1.0, 0.4, "assays of plasma concentrations are good to about 10 %"),
        ),
        Estimate(
            "sd_log_pca",
            0.01,
            2.0,
            nominal=0.15,
            prior=Prior("normal", -0.8, 0.4, "clotting times of one plasma agree to 5 to 40 %"),
        ),
    ),
    # Complete inhibition, as in the review.
    fixed={"Imax": 1.0},
    noise={
        "concentration": Noise("normal", "sd_add + sd_prop * concentration"),
        "pca": Noise("log_normal", "sd_log_pca"),
    },
    splits=("time", "subject"),
    # Both on a logarithmic scale, so that neither mg/l nor percent decides alone.
    score_scale={"concentration": "log10", "pca": "log10"},
)
