"""Study of oral theophylline: twelve subjects, absorption and clearance by subject.

The volume is shared, as Pinheiro and Bates (1995) share the elimination rate: three random effects would be
asked of eleven readings each otherwise.
"""

from __future__ import annotations

from twin.experiment.experiment import Bolus, Experiment
from twin.study import Estimate, Noise, Prior, Study

#: Oral doses of the twelve subjects [mg/kg]; two doses occur twice.
DOSES = (3.1, 4.0, 4.02, 4.4, 4.53, 4.92, 4.95, 5.3, 5.5, 5.86)

THEOPHYLLINE = Study(
    name="theophylline",
    model="theophylline",
    dataset="theophylline",
    description="Serum theophylline of twelve subjects: late readings, and a new subject",
    experiments={
        f"oral_{dose:g}": Experiment(doses=(Bolus("gut", dose),), description=f"{dose:g} mg/kg by mouth at time 0")
        for dose in DOSES
    },
    estimates=(
        Estimate(
            "ka",
            0.1,
            30.0,
            prior=Prior("normal", 0.0, 0.5, "absorption of an oral solution or tablet takes from minutes to hours"),
            per="subject",
            between=Prior("half_normal", scale=0.4, source="absorption differs by a factor of several"),
        ),
        Estimate(
            "CL",
            0.004,
            0.4,
            prior=Prior(
                "normal",
                -1.4,
                0.5,
                "textbook clearance of adults about 0.04 L/h/kg, loosened to a factor of 10",
            ),
            per="subject",
            between=Prior("half_normal", scale=0.2, source="clearance differs by a factor of two or so"),
        ),
        Estimate(
            "V",
            0.05,
            5.0,
            prior=Prior("normal", -0.3, 0.5, "textbook volume about 0.5 L/kg, loosened to a factor of 10"),
        ),
        Estimate(
            "sd_add",
            0.01,
            3.0,
            nominal=0.3,
            prior=Prior("normal", -0.5, 0.4, "smallest readings and baselines differ by some tenths of mg/L"),
        ),
        Estimate(
            "sd_prop",
            0.005,
            1.0,
            nominal=0.1,
            prior=Prior("normal", -1.0, 0.4, "assays of serum concentrations are good to about 10 %"),
        ),
    ),
    noise={"concentration": Noise("normal", "sd_add + sd_prop * concentration")},
    splits=("time", "subject"),
    score_scale={"concentration": "lin"},
    covariate={f"oral_{dose:g}": dose for dose in DOSES},
)
