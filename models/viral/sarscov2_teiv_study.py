"""Study of SARS-CoV-2 in sputum: nine patients of Woelfel 2020, height and decay of the load by patient.

Nobody was read before the peak, so R0 is shared and hardly determined; c, k and T0 are fixed as in Goncalves 2020.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

#: Days from infection to the onset of symptoms, fixed at 5 in Goncalves 2020 (as remembered).
INCUBATION = 5.0

_OTHERS = "other patients (Goncalves 2020, as remembered)"

SARSCOV2_WOELFEL2020 = Study(
    name="sarscov2_woelfel2020",
    model="sarscov2_teiv",
    dataset="sarscov2_woelfel2020",
    description="SARS-CoV-2 RNA in sputum of nine patients: later days, and a new patient",
    experiments={
        "infection": Experiment(t0=-INCUBATION, description="Infection five days before the onset of symptoms (time 0)")
    },
    estimates=(
        Estimate("R0", 1.1, 200.0, prior=Prior("normal", 0.9, 0.3, f"{_OTHERS}: 2 to 18, loosened")),
        Estimate(
            "delta",
            0.02,
            20.0,
            prior=Prior("normal", -0.2, 0.3, f"{_OTHERS}: 0.2 to 1 per day, loosened"),
            per="subject",
            between=Prior("half_normal", scale=0.2, source="patients differ by a factor of two or so"),
        ),
        Estimate(
            "p",
            1e-2,
            1e9,
            prior=Prior("normal", 3.0, 2.0, "sputum is not the swab of other patients: order of magnitude open"),
            per="subject",
            between=Prior("half_normal", scale=1.0, source="peak loads differ by decades"),
        ),
        Estimate(
            "sd_log10",
            0.05,
            5.0,
            nominal=0.7,
            prior=Prior("normal", -0.3, 0.3, "sampling of sputum varies by a factor of several from day to day"),
        ),
    ),
    noise={"log10_load": Noise("normal", "sd_log10")},
    splits=("time", "subject"),
    score_scale={"log10_load": "lin"},
)
