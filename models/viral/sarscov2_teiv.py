"""SARS-CoV-2 in a part of the airways, limited by target cells, with an eclipse phase (Goncalves 2020)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Published, Reaction, State

PAPER = "Goncalves et al. 2020, doi:10.1002/psp4.12543"
_FIT = f"{PAPER}, fit to 13 patients of Young et al. 2020"
_REMEMBERED = "as remembered; the paper's table was not seen"
_FIXED = f"{PAPER}, held fixed there; {_REMEMBERED}"

PARAMETERS = (
    Parameter(
        "R0",
        8.6,
        "dimensionless",
        "Basic reproductive number: cells that one infected cell infects at the start",
        f"{_FIT}; {_REMEMBERED}",
        (Published(8.6, 1.9, 17.6, f"{_FIT}; {_REMEMBERED}", "95 % interval"),),
    ),
    Parameter(
        "delta",
        0.60,
        "1/day",
        "Death rate of cells that produce virus",
        f"{_FIT}; {_REMEMBERED}",
        (Published(0.60, 0.22, 0.97, f"{_FIT}; {_REMEMBERED}", "95 % interval"),),
    ),
    Parameter(
        "p",
        22.7,
        "1/day",
        "RNA copies that one producing cell releases per day into the reading's volume",
        f"{_FIT}; {_REMEMBERED}",
        (Published(22.7, source=f"{_FIT}; {_REMEMBERED}"),),
    ),
    Parameter("c", 10.0, "1/day", "Rate of clearance of virus", _FIXED),
    Parameter("k", 3.0, "1/day", "Rate of leaving the eclipse phase; 1/k is its mean length", _FIXED),
    Parameter(
        "T0",
        1.33e5,
        "1/milliliter",
        "Target cells per ml at the start",
        f"{_FIXED}: 1 % of 4e8 cells of the upper airways, in 30 ml",
    ),
    Parameter(
        "I0",
        1.0 / 30.0,
        "1/milliliter",
        "Producing cells per ml at the moment of infection: one cell in 30 ml",
        _FIXED,
    ),
    Parameter(
        "V_guard",
        1.0e-3,
        "1/milliliter",
        "Load added before the logarithm so that late times with V near 0 stay finite",
        "Numerical guard of ours; at 2 log10 it shifts the reading by less than 1e-5",
    ),
)

MODEL = Model(
    name="sarscov2_teiv",
    description="SARS-CoV-2 in a part of the airways: target cells, eclipse, producing cells, virus",
    time_unit="day",
    states=(
        State("T", "T0", "1/milliliter", "Target cells"),
        State("E", 0.0, "1/milliliter", "Infected cells in the eclipse phase"),
        State("I", "I0", "1/milliliter", "Infected cells that produce virus"),
        State("V", 0.0, "1/milliliter", "RNA copies"),
    ),
    parameters=PARAMETERS,
    assignments=(
        Assignment(
            "beta",
            "R0 * c * delta / (p * T0)",
            "milliliter/day",
            "Rate constant of infection per RNA copy, from R0 = beta p T0 / (c delta)",
        ),
    ),
    reactions=(
        Reaction("infection", "T -> E", "beta * T * V", "Virus infects a target cell"),
        Reaction("maturation", "E -> I", "k * E", "An infected cell begins to produce virus"),
        Reaction("death", "I ->", "delta * I", "A producing cell dies"),
        Reaction("production", "-> V", "p * I", "Producing cells release virus"),
        Reaction("clearance", "V ->", "c * V", "Virus is cleared"),
    ),
    observables=(Observable("log10_load", "log10(V + V_guard)", "dimensionless", "log10 of RNA copies per ml"),),
    references=(PAPER,),
)

BIBTEX = """@article{goncalves2020timing,
  author  = {Gon{\\c{c}}alves, Antonio and Bertrand, Julie and Ke, Ruian and Comets, Emmanuelle and
             de Lamballerie, Xavier and Malvy, Denis and Pizzorno, Andr{\\'e}s and Terrier, Olivier and
             Rosa Calatrava, Manuel and Mentr{\\'e}, France and Smith, Patrick and Perelson, Alan S. and
             Guedj, J{\\'e}r{\\'e}mie},
  title   = {Timing of Antiviral Treatment Initiation is Critical to Reduce {SARS-CoV-2} Viral Load},
  journal = {CPT: Pharmacometrics \\& Systems Pharmacology},
  year    = {2020},
  volume  = {9},
  number  = {9},
  pages   = {509--514},
  doi     = {10.1002/psp4.12543}
}"""

BIBTEX_WOELFEL = """@article{woelfel2020virological,
  author  = {W{\\"o}lfel, Roman and Corman, Victor M. and Guggemos, Wolfgang and Seilmaier, Michael and
             Zange, Sabine and M{\\"u}ller, Marcel A. and Niemeyer, Daniela and Jones, Terry C. and
             Vollmar, Patrick and Rothe, Camilla and others},
  title   = {Virological Assessment of Hospitalized Patients with {COVID-2019}},
  journal = {Nature},
  year    = {2020},
  volume  = {581},
  number  = {7809},
  pages   = {465--469},
  doi     = {10.1038/s41586-020-2196-x}
}"""

CARD = Card(
    model=MODEL,
    title="SARS-CoV-2 in the airways, target-cell limited, with eclipse phase",
    equations=(
        ("target cells", r"\frac{dT}{dt} = -\beta T V"),
        ("eclipse", r"\frac{dE}{dt} = \beta T V - k E"),
        ("producing cells", r"\frac{dI}{dt} = k E - \delta I"),
        ("virus", r"\frac{dV}{dt} = p I - c V"),
        ("text", r"R_0 = \frac{\beta p T_0}{c \delta}"),
    ),
    references=(BIBTEX, BIBTEX_WOELFEL),
    valid_range=(
        "The first infection, from the moment of infection to some three weeks after. One site only, without exchange "
        "between upper and lower airways, and without an immune response: one peak, one rate of decay."
    ),
    notes=(
        "The paper counts infectious virus (a fixed share of the RNA) apart; here beta is per RNA copy, which changes "
        "the meaning of beta only.",
        "The structure is that of influenza_teiv with another parametrisation: R0 in place of beta.",
        "The paper's p belongs to nasopharyngeal swabs of other patients; loads per ml of sputum need another one.",
        "I0 scales the load of the first days only, so R0, I0 and the time of infection trade off against each other; "
        "the first two days after onset are the earliest that anyone was read.",
    ),
)
