"""Study of the CD8 T-cell model: mean counts of Crauste 2017.

Counts span four decades and their standard deviations are roughly proportional, so the noise is log-normal
with one estimated width; a normal error of the published size would allow negative counts. Three rates
stay at their published values, which lie on the lower bound of that fit and are as good as 0. The published
best fit is a poor starting point: see the card on its nearness to the blow-up of the pathogen.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

_SAME_DATA = "wide, because the published estimate comes from these very data"
_CROWDING = f"takes hold between 1e3 and 1e7 cells; {_SAME_DATA}"

CD8_CRAUSTE2017 = Study(
    name="cd8_crauste2017",
    model="cd8_crauste",
    dataset="cd8_crauste2017",
    description="Mean CD8 T-cell counts in four stages: is the later course, mostly memory, predicted?",
    experiments={"infection": Experiment(description="Acute infection at time 0, pathogen 1 relative to the dose")},
    estimates=(
        Estimate(
            "mu_N",
            1e-4,
            1e2,
            prior=Prior("normal", -0.5, 1.0, f"naive cells leave within days; {_SAME_DATA}"),
        ),
        Estimate("delta_NE", 1e-5, 1e2, prior=Prior("normal", -1.5, 1.0, f"recruitment over days; {_SAME_DATA}")),
        Estimate("rho_E", 1e-3, 2e1, prior=Prior("normal", 0.0, 0.7, "a few divisions a day at most; wide below")),
        Estimate("mu_EE", 1e-9, 1e-1, prior=Prior("normal", -5.0, 1.0, _CROWDING)),
        Estimate(
            "delta_EL",
            1e-3,
            1e2,
            prior=Prior("normal", -0.5, 0.7, f"early effectors last days; {_SAME_DATA}"),
        ),
        Estimate("mu_LL", 1e-9, 1e-1, prior=Prior("normal", -5.0, 1.0, _CROWDING)),
        Estimate("delta_LM", 1e-5, 1e1, prior=Prior("normal", -1.5, 1.0, f"memory forms over weeks; {_SAME_DATA}")),
        # Above 1 per day the pathogen would be infinite within a day, before any T cell divides.
        Estimate("rho_P", 1e-3, 1.0, prior=Prior("normal", -1.0, 0.5, "an acute infection grows for about a week")),
        Estimate("mu_PL", 1e-9, 1e-1, prior=Prior("normal", -5.0, 1.0, _CROWDING)),
        Estimate(
            "sd_log",
            0.05,
            3.0,
            nominal=0.5,
            prior=Prior("normal", -0.3, 0.3, "counts of mice differ by a factor of about 1.6"),
        ),
    ),
    noise={name: Noise("log_normal", "sd_log") for name in ("naive", "early_effector", "late_effector", "memory")},
    splits=("time",),
    score_scale=dict.fromkeys(("naive", "early_effector", "late_effector", "memory"), "log10"),
    # Median over the readings of sqrt(ln(1 + (SD / mean)^2)) / ln 10, SD and mean as published.
    floor={"naive": 0.29, "early_effector": 0.19, "late_effector": 0.18, "memory": 0.15},
)
