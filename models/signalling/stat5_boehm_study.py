"""Study of the STAT5 dimerisation model: the 48 readings of Boehm 2014.

Homodimer import is known only to be fast and heterodimer export only to be slow: their priors stop them
from running away, and their posteriors will follow the priors on the open side.
"""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.study import Estimate, Noise, Prior, Study

_READINGS = ("pSTAT5A_rel", "pSTAT5B_rel", "rSTAT5A_rel")
_SAME_DATA = "wide, because the published estimate comes from these very data"

STAT5_BOEHM2014 = Study(
    name="stat5_boehm2014",
    model="stat5_boehm",
    dataset="stat5_boehm2014",
    description="STAT5 phosphorylation after Epo: is the decline of the last hours predicted?",
    experiments={"epo": Experiment(description="Epo at time 0")},
    estimates=(
        Estimate(
            "k_phos",
            1e1,
            1e7,
            prior=Prior("normal", 4.7, 1.0, f"half of STAT5 phosphorylated within a minute or so; {_SAME_DATA}"),
        ),
        Estimate(
            "Epo_degradation_BaF3",
            1e-5,
            1e1,
            prior=Prior("normal", -2.0, 1.0, f"the stimulus fades over an hour or so; {_SAME_DATA}"),
        ),
        Estimate(
            "k_imp_homo",
            1e-4,
            1e6,
            prior=Prior(
                "student_t",
                -0.5,
                1.0,
                f"nuclear import takes minutes; heavy tail to the fast side; {_SAME_DATA}",
            ),
        ),
        Estimate(
            "k_imp_hetero",
            1e-5,
            1e4,
            prior=Prior("normal", -1.0, 1.0, f"nuclear import takes minutes to hours; {_SAME_DATA}"),
        ),
        Estimate(
            "k_exp_homo",
            1e-6,
            1e3,
            prior=Prior("normal", -2.0, 1.0, f"nuclear export takes minutes to hours; {_SAME_DATA}"),
        ),
        Estimate(
            "k_exp_hetero",
            1e-6,
            1e3,
            prior=Prior("student_t", -2.0, 1.0, f"nuclear export; heavy tail to the slow side; {_SAME_DATA}"),
        ),
        *(
            Estimate(
                f"sd_{name}",
                0.1,
                50.0,
                nominal=nominal,
                prior=Prior("normal", 0.7, 0.4, "mass spectrometry of shares is good to some percent"),
            )
            for name, nominal in zip(_READINGS, (3.85, 6.59, 3.15), strict=True)
        ),
    ),
    noise={name: Noise("normal", f"sd_{name}") for name in _READINGS},
    splits=("time",),
    score_scale=dict.fromkeys(_READINGS, "lin"),
)
