"""Influenza A in the upper airways, limited by target cells, with an eclipse phase (Baccam 2006)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Published, Reaction, State
from twin.plausibility import InRange, PeakTime

PAPER = "Baccam et al. 2006, doi:10.1128/JVI.01623-05"
_FIT = f"{PAPER}, fit of the delayed model to the mean of six volunteers"
_VALUE = "value from two secondary sources; the paper's table was not seen, interval not found"
_CHECKED = "value from two secondary sources and interval from one; the paper's table was not seen"

PARAMETERS = (
    Parameter(
        "beta",
        3.2e-5,
        "milliliter/day",
        "Rate constant of infection of target cells, per TCID50/ml",
        f"{_FIT}; {_CHECKED}",
        (Published(3.2e-5, 6.0e-6, 1.7e-4, _FIT, "95 % CI"),),
    ),
    Parameter(
        "k",
        4.0,
        "1/day",
        "Rate of leaving the eclipse phase; 1/k is its mean length",
        f"{_FIT}; {_CHECKED}",
        (Published(4.0, 3.0, 5.2, _FIT, "95 % CI"),),
    ),
    Parameter(
        "delta",
        5.2,
        "1/day",
        "Death rate of cells that produce virus",
        f"{_FIT}; {_VALUE}",
        (Published(5.2, source=_FIT),),
    ),
    Parameter(
        "p",
        4.6e-2,
        "1/milliliter/day",
        "Rate at which one producing cell raises the titre, in TCID50/ml per day",
        f"{_FIT}; {_CHECKED}",
        (Published(4.6e-2, 1.2e-2, 1.7e-1, _FIT, "95 % CI"),),
    ),
    Parameter(
        "c",
        5.2,
        "1/day",
        "Rate of loss of infectious virus",
        f"{_FIT}; {_VALUE}",
        (Published(5.2, source=_FIT),),
    ),
    Parameter(
        "T0",
        4.0e8,
        "dimensionless",
        "Epithelial cells of the upper airways open to infection at the start",
        f"{PAPER}, held fixed there",
    ),
    Parameter(
        "V0",
        7.5e-2,
        "1/milliliter",
        "Titre at the start, TCID50/ml",
        f"{_FIT}; one secondary source has 0.075, another 0.75, so the power of ten is not certain",
        (Published(7.5e-2, source=f"{_FIT}; power of ten not certain"),),
    ),
    Parameter(
        "efficacy",
        0.0,
        "dimensionless",
        "Fraction by which a neuraminidase inhibitor lowers p while it is given; used by experiments only",
        "0 is no drug; the reduction of p is how the paper's section on zanamivir treats the drug",
    ),
    Parameter(
        "V_guard",
        1.0e-3,
        "1/milliliter",
        "Titre added before the logarithm so that late times with V near 0 stay finite",
        "Numerical guard of ours; at the detection limit (0.5 log10) it shifts the reading by 1e-4",
    ),
    Parameter(
        "V_zero",
        1.0,
        "1/milliliter",
        "Titre that an undetectable reading counts as in a mean of logarithms: log10(1) = 0",
        "Our reading of Hayden 1996, Figure 2: means below the detection limit, down to 0, occur",
    ),
)

MODEL = Model(
    name="influenza_teiv",
    description="Influenza A in the upper airways: target cells, eclipse, producing cells, virus",
    time_unit="day",
    states=(
        State("T", "T0", "dimensionless", "Target cells"),
        State("E", 0.0, "dimensionless", "Infected cells in the eclipse phase (I1 in the paper)"),
        State("I", 0.0, "dimensionless", "Infected cells that produce virus (I2 in the paper)"),
        State("V", "V0", "1/milliliter", "Infectious virus, TCID50 per ml of nasal wash"),
    ),
    parameters=PARAMETERS,
    reactions=(
        Reaction("infection", "T -> E", "beta * T * V", "Virus infects a target cell"),
        Reaction("maturation", "E -> I", "k * E", "An infected cell begins to produce virus"),
        Reaction("death", "I ->", "delta * I", "A producing cell dies"),
        Reaction("production", "-> V", "p * I", "Producing cells release virus"),
        Reaction("clearance", "V ->", "c * V", "Virus loses infectivity or is removed"),
    ),
    assignments=(
        Assignment(
            "R0",
            "beta * p * T0 / (c * delta)",
            "dimensionless",
            "Basic reproductive number: cells that one infected cell infects at the start",
        ),
    ),
    observables=(
        Observable(
            "log10_titre",
            "log10(V + V_guard)",
            "dimensionless",
            "log10 of the titre of one volunteer in TCID50/ml",
        ),
        Observable(
            "mean_log10_titre",
            "log10(V + V_zero)",
            "dimensionless",
            "log10 of TCID50/ml averaged over a group in which undetectable virus counts as 0",
        ),
    ),
    references=(PAPER,),
)

BIBTEX = """@article{baccam2006kinetics,
  author  = {Baccam, Prasith and Beauchemin, Catherine and Macken, Catherine A. and Hayden, Frederick G.
             and Perelson, Alan S.},
  title   = {Kinetics of Influenza {A} Virus Infection in Humans},
  journal = {Journal of Virology},
  year    = {2006},
  volume  = {80},
  number  = {15},
  pages   = {7590--7599},
  doi     = {10.1128/JVI.01623-05}
}"""

BIBTEX_HAYDEN = """@article{hayden1996safety,
  author  = {Hayden, Frederick G. and Treanor, John J. and Betts, Robert F. and Lobo, Monica and
             Esinhart, James D. and Hussey, Elizabeth K.},
  title   = {Safety and Efficacy of the Neuraminidase Inhibitor {GG167} in Experimental Human Influenza},
  journal = {JAMA},
  year    = {1996},
  volume  = {275},
  number  = {4},
  pages   = {295--299},
  doi     = {10.1001/jama.1996.03530280047035}
}"""

CARD = Card(
    model=MODEL,
    title="Influenza A in the human upper airways, target-cell limited, with eclipse phase",
    equations=(
        ("2 (delayed model)", r"\frac{dT}{dt} = -\beta T V"),
        ("2 (delayed model)", r"\frac{dI_1}{dt} = \beta T V - k I_1"),
        ("2 (delayed model)", r"\frac{dI_2}{dt} = k I_1 - \delta I_2"),
        ("2 (delayed model)", r"\frac{dV}{dt} = p I_2 - c V"),
        ("text", r"R_0 = \frac{\beta p T_0}{c \delta}"),
    ),
    references=(BIBTEX, BIBTEX_HAYDEN),
    valid_range=(
        "The first infection of a healthy adult over about a week, without adaptive immunity. It has one "
        "peak: the second peak that about half of the volunteers show needs an interferon response, which "
        "it lacks."
    ),
    notes=(
        "E and I are I1 and I2 of the paper. The equations follow the paper's delayed model; their number "
        "in the paper was not seen by us.",
        "Virus lost by entering cells is neglected, as in the paper.",
        "The paper fits each volunteer as well; those tables were not available to us, so only the fit to "
        "the mean stands as published value.",
        "efficacy is not part of the natural course: an experiment lowers p to p * (1 - efficacy) from "
        "the start of treatment on.",
        "k, delta and c enter early growth and late decay symmetrically, so titres alone hardly tell "
        "delta from c; T0 and p enter only as their product, which is why T0 is held fixed.",
    ),
    rules=(
        InRange(
            "reproductive number R0",
            "R0",
            1.0,
            float("inf"),
            "Threshold of the target-cell model: an infection grows only if R0 is above 1 (textbook knowledge)",
        ),
        PeakTime(
            "peak of the titre",
            "log10_titre",
            1.0,
            4.0,
            "Carrat et al. 2008, doi:10.1093/aje/kwm375, abstract: shedding of 1,280 volunteers rose between day "
            "0.5 and 1 and peaked on day 2; the range around it is ours",
        ),
    ),
)
