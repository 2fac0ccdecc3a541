"""Study of mRNA induction: three trials of Golding 2005, the rate of transcription by trial."""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

MRNA_GOLDING2005 = Study(
    name="mrna_golding2005",
    model="mrna_golding",
    dataset="mrna_golding2005",
    description="Mean mRNA per cell after induction: the approach to the steady state, and another trial",
    experiments={"induction": Experiment(description="Full induction at time 0 of cells without mRNA")},
    # The rates of switching are those seen in single cells; means cannot tell them from k_tx.
    estimates=(
        Estimate(
            "k_tx",
            0.01,
            100.0,
            prior=Prior("normal", -0.3, 0.5, "one to fifty transcripts in the 6 min of an on-period"),
            per="subject",
            between=Prior("half_normal", scale=0.1, source="one strain under one protocol on different days"),
        ),
        Estimate(
            "gamma",
            1e-3,
            0.3,
            prior=Prior("normal", -1.86, 0.2, "doubling times of E. coli of 20 min to two hours"),
        ),
        Estimate(
            "sd_add",
            0.005,
            5.0,
            nominal=0.2,
            prior=Prior("normal", -0.7, 0.4, "counting of spots errs by a tenth of a molecule to one per cell"),
        ),
        Estimate(
            "sd_prop",
            0.005,
            2.0,
            nominal=0.1,
            prior=Prior("normal", -1.0, 0.3, "a mean over some hundred cells of wide spread is good to 10 %"),
        ),
    ),
    noise={"mrna": Noise("normal", "sd_add + sd_prop * mrna")},
    splits=("time", "subject"),
    score_scale={"mrna": "lin"},
)
