"""Study of the ampicillin time-kill curves of Regoes 2004.

All five hours are used, although the authors take their rates from the first: the mechanism is expected to
fail late, most of all at the highest concentration, and an assessment should see it.
"""

from __future__ import annotations

import math

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

#: Concentrations of ampicillin [microgram/ml].
CONCENTRATIONS = (0.0, 3.0, 6.0, 24.0, 48.0, 96.0, 128.0, 256.0)

TIMEKILL_REGOES2004 = Study(
    name="timekill_regoes2004",
    model="ampicillin_timekill",
    dataset="timekill_regoes2004",
    description="Time-kill curves at eight concentrations: later hours, and concentrations not seen",
    experiments={
        f"ampicillin_{a:g}": Experiment(parameters={"a": a}, description=f"{a:g} microgram/ml of ampicillin throughout")
        for a in CONCENTRATIONS
    },
    estimates=(
        Estimate(
            "psi_max",
            0.05,
            3.0,
            prior=Prior("normal", -0.2, 0.3, "E. coli in broth doubles in 15 to 120 min"),
        ),
        Estimate(
            "psi_min",
            -30.0,
            -0.05,
            scale="lin",
            prior=Prior("normal", -4.0, 4.0, "beta-lactams kill one to ten powers of ten an hour at most; wide"),
        ),
        Estimate(
            "zMIC",
            0.1,
            100.0,
            prior=Prior("normal", 0.6, 0.5, "wild-type E. coli: MIC 2 to 8 microgram/ml, loosened"),
        ),
        Estimate(
            "kappa",
            0.05,
            10.0,
            prior=Prior("normal", 0.0, 0.5, "Hill coefficients of antibiotics are of order 1"),
        ),
        Estimate("B0", 1e5, 1e7, prior=Prior("normal", 6.0, 0.3, "inoculum of the usual time-kill protocol")),
        Estimate(
            "sd_log",
            0.05,
            10.0,
            nominal=0.7,
            prior=Prior("normal", -0.3, 0.4, "replicate colony counts differ by a factor of 1.2 to 2"),
        ),
    ),
    noise={"cfu": Noise("log_normal", "sd_log")},
    splits=("time", "experiment"),
    score_scale={"cfu": "log10"},
    held_out_experiments=("ampicillin_24", "ampicillin_256"),
    # Concentrations on a logarithmic axis, as doses are read: log10(1 + a).
    covariate={f"ampicillin_{a:g}": math.log10(1.0 + a) for a in CONCENTRATIONS},
)
