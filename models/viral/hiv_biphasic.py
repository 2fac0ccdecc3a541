"""Two phases of decay of plasma HIV-1 under potent therapy: short-lived and long-lived producers (Perelson 1997)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Observable, Parameter, Published, Reaction, State

PAPER = "Perelson et al. 1997, doi:10.1038/387188a0"
WU_DING = "Wu and Ding 1999, doi:10.1111/j.0006-341X.1999.00410.x"
_FIRST = (
    "Perelson et al. 1996, doi:10.1126/science.271.5255.1582, five other patients; as quoted in the abstract of a "
    "later fit of those data by the same group"
)
_SECOND = f"{PAPER}, abstract as remembered: half-life of long-lived infected cells 1 to 4 weeks, as ln 2 / half-life"

PARAMETERS = (
    Parameter(
        "V0",
        1.0e5,
        "1/milliliter",
        "HIV-1 RNA per ml of plasma at the start of treatment",
        "Order of magnitude of untreated adults; differs by subject and is to be estimated",
    ),
    Parameter(
        "f_long",
        0.03,
        "dimensionless",
        "Share of the RNA at the start that comes from long-lived infected cells",
        f"{PAPER}, 1 to 7 % as remembered; the paper was not seen",
        (Published(0.03, 0.01, 0.07, f"{PAPER}, as remembered", "range over patients; middle chosen by us"),),
    ),
    Parameter(
        "delta",
        0.49,
        "1/day",
        "Loss rate of short-lived, productively infected cells: the first phase",
        _FIRST,
        (Published(0.49, source=_FIRST, kind="mean of five patients"),),
    ),
    Parameter(
        "mu",
        0.0495,
        "1/day",
        "Loss rate of long-lived infected cells: the second phase",
        f"{_SECOND}; half-life of two weeks",
        (Published(0.0495, 0.0248, 0.099, _SECOND, "range over patients; middle chosen by us"),),
    ),
    Parameter(
        "V_guard",
        0.1,
        "1/milliliter",
        "RNA added before the logarithm so that late times with V near 0 stay finite",
        "Numerical guard of ours; at the detection limit of 100 copies/ml it shifts the reading by 4e-4",
    ),
)

MODEL = Model(
    name="hiv_biphasic",
    description="Plasma HIV-1 under potent therapy: decay in two phases",
    time_unit="day",
    states=(
        State("V_short", "V0 * (1 - f_long)", "1/milliliter", "RNA from short-lived infected cells"),
        State("V_long", "V0 * f_long", "1/milliliter", "RNA from long-lived infected cells"),
    ),
    parameters=PARAMETERS,
    reactions=(
        Reaction("first_phase", "V_short ->", "delta * V_short", "Short-lived infected cells die, virus with them"),
        Reaction("second_phase", "V_long ->", "mu * V_long", "Long-lived infected cells die, virus with them"),
    ),
    observables=(
        Observable(
            "log10_rna",
            "log10(V_short + V_long + V_guard)",
            "dimensionless",
            "log10 of HIV-1 RNA copies per ml of plasma",
        ),
    ),
    references=(PAPER, WU_DING),
)

BIBTEX = """@article{perelson1997decay,
  author  = {Perelson, Alan S. and Essunger, Paulina and Cao, Yunzhen and Vesanen, Mika and Hurley, Arlene and
             Saksela, Kalle and Markowitz, Martin and Ho, David D.},
  title   = {Decay Characteristics of {HIV-1}-Infected Compartments during Combination Therapy},
  journal = {Nature},
  year    = {1997},
  volume  = {387},
  number  = {6629},
  pages   = {188--191},
  doi     = {10.1038/387188a0}
}"""

BIBTEX_WU = """@article{wu1999population,
  author  = {Wu, Hulin and Ding, A. Adam},
  title   = {Population {HIV-1} Dynamics In Vivo: Applicable Models and Inferential Tools for Virological Data
             from {AIDS} Clinical Trials},
  journal = {Biometrics},
  year    = {1999},
  volume  = {55},
  number  = {2},
  pages   = {410--418},
  doi     = {10.1111/j.0006-341X.1999.00410.x}
}"""

BIBTEX_LEDERMAN = """@article{lederman1998immunologic,
  author  = {Lederman, Michael M. and Connick, Elizabeth and Landay, Alan and Kuritzkes, Daniel R. and
             Spritzler, John and St. Clair, Marty and Kotzin, Brian L. and Fox, Lawrence and
             Chiozzi, Margaret Heath and Leonard, John M. and others},
  title   = {Immunologic Responses Associated with 12 Weeks of Combination Antiretroviral Therapy Consisting of
             Zidovudine, Lamivudine, and Ritonavir: Results of {AIDS} Clinical Trials Group Protocol 315},
  journal = {Journal of Infectious Diseases},
  year    = {1998},
  volume  = {178},
  number  = {1},
  pages   = {70--79}
}"""

CARD = Card(
    model=MODEL,
    title="Biphasic decay of plasma HIV-1 under potent therapy",
    equations=(
        ("first phase", r"\frac{dV_1}{dt} = -\delta V_1, \quad V_1(0) = (1 - f) V_0"),
        ("second phase", r"\frac{dV_2}{dt} = -\mu V_2, \quad V_2(0) = f V_0"),
        ("closed form", r"V(t) = V_0 \left[(1 - f) e^{-\delta t} + f e^{-\mu t}\right]"),
    ),
    references=(BIBTEX, BIBTEX_WU, BIBTEX_LEDERMAN),
    valid_range=(
        "From some two days after the start of a fully effective therapy, when virions are in balance with the cells "
        "that make them, to some months. The rebound of a failing therapy and the third phase from latent cells are "
        "not in it."
    ),
    notes=(
        "Virions are cleared within hours, so each part of the RNA follows its producing cells; the delay of the first "
        "day, in which the RNA hardly falls, is neglected.",
        "Wu and Ding fit this sum of two exponentials to these subjects; their estimates were not available to us. The "
        "nominal values are from other patients.",
        "Neither paper was seen; what is remembered only is marked as such.",
    ),
)
