"""Two mechanistic posteriors with reference draws, and their moments.

Models, data and reference draws are those of posteriordb (Magnusson et al., "posteriordb: testing, benchmarking and
developing Bayesian inference algorithms", AISTATS 2025; github.com/stan-dev/posteriordb, read 2026-11):

- hudson_lynx_hare-lotka_volterra: pelts of hares and lynxes of the Hudson's Bay Company, 1900 to 1920, in thousands
  (Howard, "Modeling Basic Population Dynamics", 2009, after Hewitt 1921), with Carpenter's Stan case study's model.
- one_comp_mm_elim_abs: simulated concentrations, first-order absorption and Michaelis-Menten elimination (Margossian
  & Gillespie, "Differential equation based models in Stan", 2017).

Moments are those of 10,000 independent reference draws: mean, standard deviation and three quantiles.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from calibration import Problem
from twin.model import Model
from twin.model.parts import Observable, Parameter, Reaction, State
from twin.study import Estimate, Noise, Prior

REFERENCE_DRAWS = 10_000

HARE = [30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1, 40.3, 57, 76.6, 52.3, 19.5, 11.2, 7.6, 14.6]
HARE += [16.2, 24.7]
LYNX = [4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7, 10.1, 8.6]
CONCENTRATION = [5.70812264865215, 7.10126075072086, 8.38520678426651, 9.79008249883381, 13.4390409239245]
CONCENTRATION += [11.4478987597702, 11.2124282696837, 11.4269217682577, 12.2432859438401, 13.8201804108938]
CONCENTRATION += [13.8408670746042, 11.422291744251, 10.5031943081843, 11.9121452242965, 14.0849980781312]
CONCENTRATION += [10.5505145523917, 10.1905539351877, 12.2232272590821, 11.7290653047821, 12.2719396535996]

MOMENTS = {
    "hudson_lynx_hare": {
        "alpha": (0.546864, 0.0630548, 0.448216, 0.543648, 0.655042),
        "beta": (0.0277473, 0.00415472, 0.0213779, 0.0275017, 0.0350212),
        "gamma": (0.800095, 0.0893702, 0.664221, 0.794057, 0.957676),
        "delta": (0.0240859, 0.00352809, 0.0188565, 0.0238252, 0.030307),
        "u0": (34.0352, 2.9169, 29.3442, 33.9441, 39.0376),
        "v0": (5.9359, 0.530552, 5.1149, 5.91134, 6.83391),
        "sigma_hare": (0.248057, 0.0432627, 0.18781, 0.242489, 0.327797),
        "sigma_lynx": (0.251017, 0.0435903, 0.191075, 0.244836, 0.331295),
    },
    "one_comp_mm_elim_abs": {
        "k_a": (0.761013, 0.0779038, 0.646002, 0.755026, 0.896418),
        "K_m": (2.53728, 7.27581, 0.0859063, 0.979539, 8.6852),
        "V_m": (0.981821, 0.563317, 0.648975, 0.897298, 1.47506),
        "sigma": (0.128835, 0.0234023, 0.0966811, 0.125453, 0.171583),
    },
}
"""Mean, standard deviation, 5 %, 50 % and 95 % quantiles."""


def _table(observable: str, times: np.ndarray, values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment": "e",
            "subject": "1",
            "observable": observable,
            "time": times,
            "value": values,
            "noise": np.nan,
            "censoring": "",
        }
    )


def hudson_lynx_hare() -> Problem:
    """Predator and prey; a normal prior cut off at 0 has its lower bound there."""
    model = Model(
        "lotka_volterra",
        [State("u", "u0"), State("v", "v0")],
        [Parameter(n, x) for n, x in zip(("alpha", "beta", "gamma", "delta"), (0.5, 0.03, 0.8, 0.02), strict=True)]
        + [Parameter("u0", 30.0), Parameter("v0", 5.0)],
        odes={"u": "(alpha - beta * v) * u", "v": "(-gamma + delta * u) * v"},
        observables=[Observable("hare", "u"), Observable("lynx", "v")],
    )
    years = np.arange(21.0)
    wide, small = Prior("normal", 1.0, 0.5), Prior("normal", 0.05, 0.05)
    # The range of a lognormal prior that is left out has a probability below 1e-8.
    spread, first = Prior("normal", -1.0, 1.0), Prior("normal", float(np.log(10.0)), 1.0)
    return Problem(
        model,
        pd.concat([_table("hare", years, HARE), _table("lynx", years, LYNX)], ignore_index=True),
        [
            Estimate("alpha", 0.0, 4.0, scale="lin", prior=wide),
            Estimate("beta", 0.0, 0.4, scale="lin", prior=small),
            Estimate("gamma", 0.0, 4.0, scale="lin", prior=wide),
            Estimate("delta", 0.0, 0.4, scale="lin", prior=small),
            Estimate("u0", np.exp(-4.0), np.exp(8.5), scale="log", prior=first),
            Estimate("v0", np.exp(-4.0), np.exp(8.5), scale="log", prior=first),
            Estimate("sigma_hare", np.exp(-7.0), np.exp(5.0), nominal=0.3, scale="log", prior=spread),
            Estimate("sigma_lynx", np.exp(-7.0), np.exp(5.0), nominal=0.3, scale="log", prior=spread),
        ],
        {"hare": Noise("log_normal", "sigma_hare"), "lynx": Noise("log_normal", "sigma_lynx")},
        name="hudson_lynx_hare",
    )


def one_comp_mm_elim_abs() -> Problem:
    """A dose of 30 absorbed at rate k_a into a volume of 2, Michaelis-Menten elimination; half-Cauchy priors."""
    model = Model(
        "one_comp_mm_elim_abs",
        [State("gut", 30.0), State("C", 0.0)],
        [Parameter("k_a", 0.8), Parameter("K_m", 1.0), Parameter("V_m", 1.0), Parameter("V", 2.0)],
        [Reaction("absorption", "gut ->", "k_a * gut")],
        odes={"C": "k_a * gut / V - V_m / V * C / (K_m + C)"},
        observables=[Observable("concentration", "C")],
    )
    half_cauchy = Prior("cauchy", 0.0, 1.0, linear=True)
    # A half-Cauchy variable lies outside these bounds with probability 6e-6.
    estimates = [
        Estimate(name, 1e-6, 2e5, nominal=1.0, scale="log", prior=half_cauchy)
        for name in ("k_a", "K_m", "V_m", "sigma")
    ]
    times = np.arange(0.5, 10.25, 0.5)
    return Problem(
        model,
        _table("concentration", times, CONCENTRATION),
        estimates,
        Noise("log_normal", "sigma"),
        name="one_comp_mm_elim_abs",
    )


PROBLEMS = {"hudson_lynx_hare": hudson_lynx_hare, "one_comp_mm_elim_abs": one_comp_mm_elim_abs}
