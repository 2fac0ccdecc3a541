"""Study of the JAK2-STAT5 model with its measured input: Swameye 2003.

Import (k3) is known only to be fast; k2 and the two scales are correlated.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

_SAME_DATA = "wide, because the published estimate comes from these very data"

JAKSTAT_SWAMEYE2003 = Study(
    name="jakstat_swameye2003",
    model="jakstat_swameye",
    dataset="jakstat_swameye2003",
    description="Cytoplasmic STAT5 under measured receptor activity: is the return to rest predicted?",
    experiments={"epo": Experiment(description="Epo at time 0; the receptor's phosphorylation is the measured input")},
    estimates=(
        Estimate("k1", 1e-3, 1e3, prior=Prior("normal", 0.0, 1.0, f"phosphorylation within minutes; {_SAME_DATA}")),
        Estimate("k2", 1e-4, 1e3, prior=Prior("normal", -0.5, 1.0, f"dimerisation within minutes; {_SAME_DATA}")),
        Estimate(
            "k3",
            1e-3,
            1e6,
            prior=Prior("student_t", 0.0, 1.0, f"import within minutes; heavy tail to the fast side; {_SAME_DATA}"),
        ),
        Estimate(
            "k4",
            1e-2,
            1e2,
            prior=Prior("normal", 0.0, 0.5, f"ten steps through the nucleus, 1 to 100 min; {_SAME_DATA}"),
        ),
        Estimate(
            "scale_tSTAT5",
            0.1,
            10.0,
            prior=Prior("normal", 0.0, 0.3, "readings were scaled to the order of 1"),
        ),
        Estimate(
            "scale_pSTAT5",
            0.05,
            20.0,
            prior=Prior("normal", 0.0, 0.5, "readings were scaled to the order of 1"),
        ),
    ),
    noise={"tSTAT5_au": Noise("normal"), "pSTAT5_au": Noise("normal")},
    splits=("time",),
    score_scale={"tSTAT5_au": "lin", "pSTAT5_au": "lin"},
    # Median of the published standard deviations.
    floor={"tSTAT5_au": 0.038, "pSTAT5_au": 0.052},
)
