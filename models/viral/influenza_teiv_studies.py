"""Studies of the influenza model: six volunteers (Baccam 2006) and the zanamivir arms (Hayden 1996).

What titres can tell: T0 enters only as p * T0, k hardly at all at daily sampling, so both are fixed at the
paper's values; delta and c exchange roles, so their priors keep them apart a little.
"""

from __future__ import annotations

from twin.experiment.experiment import Change, Experiment
from twin.study import Estimate, Noise, Prior, Study

_SAME_DATA = "wide, because the published estimate comes from these very data"

INFLUENZA_BACCAM2006 = Study(
    name="influenza_baccam2006",
    model="influenza_teiv",
    dataset="influenza_baccam2006",
    description="Titres of six volunteers: how well are later days and a new volunteer predicted?",
    experiments={"infection": Experiment(description="Intranasal inoculation at time 0, no treatment")},
    # The inoculum is the same for all, so V0 is shared; beta shifts the growth and p the height of the peak.
    estimates=(
        Estimate(
            "beta",
            1e-9,
            1e-1,
            prior=Prior("normal", -5.0, 1.5, f"order of magnitude only; {_SAME_DATA}"),
            per="subject",
            between=Prior("half_normal", scale=0.5, source="volunteers differ by a factor of a few"),
        ),
        Estimate(
            "p",
            1e-6,
            1e3,
            prior=Prior("normal", -2.0, 1.5, f"order of magnitude only; {_SAME_DATA}"),
            per="subject",
            between=Prior("half_normal", scale=0.5, source="volunteers differ by a factor of a few"),
        ),
        Estimate(
            "c",
            0.1,
            100.0,
            prior=Prior("normal", 0.7, 0.5, f"infectivity is lost within hours, half-life 0.3 to 30 h; {_SAME_DATA}"),
        ),
        Estimate(
            "delta",
            0.1,
            100.0,
            prior=Prior("normal", 0.3, 0.5, f"producing cells live for hours to days, 0.05 to 5 d; {_SAME_DATA}"),
        ),
        Estimate(
            "V0",
            1e-6,
            1e4,
            prior=Prior("normal", -1.0, 1.0, f"most of the inoculum is lost at once; {_SAME_DATA}"),
        ),
        Estimate(
            "sd_log10",
            0.05,
            5.0,
            nominal=0.7,
            prior=Prior("normal", -0.3, 0.3, "titration in steps of 0.5 log10 plus sampling of nasal wash"),
        ),
    ),
    noise={"log10_titre": Noise("normal", "sd_log10")},
    splits=("time", "subject"),
    score_scale={"log10_titre": "lin"},
)

#: Start of treatment [day after inoculation], from the source of the data: 29 h, 50 h; placebo is 200 h.
TREATMENT_START = {"early": 29 / 24, "delayed": 50 / 24, "placebo": 200 / 24}


def _zanamivir(arm: str) -> Experiment:
    return Experiment(
        changes=(Change("p", "p * (1 - efficacy)", start=TREATMENT_START[arm]),),
        description=f"Inoculation at time 0, zanamivir from {24 * TREATMENT_START[arm]:.0f} h on",
    )


_OTHER_VOLUNTEERS = "Baccam 2006 (other volunteers, another strain), loosened"
# The mean over a group of which some shed nothing lies decades below a single shedder. Titres scale as
# V -> V / s with p -> p / s and beta -> beta * s, so both priors are moved by one power of ten and left wide.
_GROUP = f"{_OTHER_VOLUNTEERS}, moved by a power of ten because a mean of logarithms is lower; wide"

INFLUENZA_HAYDEN1996 = Study(
    name="influenza_hayden1996",
    model="influenza_teiv",
    dataset="influenza_hayden1996",
    description="Mean titres: does placebo predict the arms under early and delayed zanamivir?",
    experiments={
        "placebo": Experiment(description="Inoculation at time 0, no treatment"),
        "early": _zanamivir("early"),
        "delayed": _zanamivir("delayed"),
    },
    estimates=(
        Estimate("beta", 1e-9, 1e1, prior=Prior("normal", -3.5, 1.5, _GROUP)),
        Estimate("p", 1e-8, 1e2, prior=Prior("normal", -3.5, 1.5, _GROUP)),
        Estimate("c", 0.1, 100.0, prior=Prior("normal", 0.7, 0.3, _OTHER_VOLUNTEERS)),
        Estimate("delta", 0.1, 100.0, prior=Prior("normal", 0.5, 0.4, _OTHER_VOLUNTEERS)),
        Estimate("V0", 1e-6, 1e2, prior=Prior("normal", -1.1, 1.0, _OTHER_VOLUNTEERS)),
        Estimate(
            "efficacy",
            0.0,
            1.0,
            scale="lin",
            nominal=0.9,
            prior=Prior("normal", 0.9, 0.15, "a potent inhibitor given topically; not from these arms"),
        ),
        Estimate(
            "sd_mean",
            0.02,
            2.0,
            nominal=0.3,
            prior=Prior("normal", -0.6, 0.3, "standard error of a mean over some ten volunteers of SD 1 log10"),
        ),
    ),
    noise={"mean_log10_titre": Noise("normal", "sd_mean")},
    splits=("time", "experiment"),
    score_scale={"mean_log10_titre": "lin"},
    held_out_experiments=("early", "delayed"),
    covariate=TREATMENT_START,
)
