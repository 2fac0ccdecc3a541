"""Oral theophylline: one compartment, first-order absorption and elimination, per kg of body weight."""

from __future__ import annotations

from twin.experiment.experiment import Bolus, Experiment
from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Published, Reaction, State
from twin.plausibility import InRange, Monotone, PeakTime

PAPER = "Pinheiro and Bates 1995, doi:10.1080/10618600.1995.10474663"
_FIT = (
    f"Rounded maximum-likelihood estimates for these data after {PAPER}, as the starting values of the "
    "SAS/STAT example of PROC NLMIXED give them: log CL = -3.22, log ka = 0.47, log ke = -2.45"
)
PARAMETERS = (
    Parameter(
        "ka",
        1.60,
        "1/hour",
        "Absorption rate constant",
        f"{_FIT}; exp(0.47)",
        (Published(1.60, source=_FIT, kind="typical value of 12 subjects"),),
    ),
    Parameter(
        "CL",
        0.0400,
        "liter/kilogram/hour",
        "Apparent clearance (CL/F) per kg of body weight",
        f"{_FIT}; exp(-3.22)",
        (Published(0.0400, source=_FIT, kind="typical value of 12 subjects"),),
    ),
    Parameter(
        "V",
        0.463,
        "liter/kilogram",
        "Apparent volume of distribution (V/F) per kg of body weight",
        f"{_FIT}; CL/ke = exp(-3.22 + 2.45)",
        (Published(0.463, source=_FIT, kind="typical value of 12 subjects"),),
    ),
)

MODEL = Model(
    name="theophylline",
    description="Theophylline after an oral dose: gut and one compartment, amounts per kg of body weight",
    time_unit="hour",
    states=(
        State("gut", 0.0, "milligram/kilogram", "Drug not yet absorbed, per kg; receives oral doses"),
        State("body", 0.0, "milligram/kilogram", "Drug in the body, per kg; receives intravenous doses"),
    ),
    parameters=PARAMETERS,
    assignments=(Assignment("ke", "CL / V", "1/hour", "Elimination rate constant"),),
    reactions=(
        Reaction("absorption", "gut -> body", "ka * gut", "First-order absorption"),
        Reaction("elimination", "body ->", "ke * body", "First-order elimination"),
    ),
    observables=(Observable("concentration", "body / V", "milligram/liter", "Serum concentration of theophylline"),),
    references=(PAPER,),
)

BIBTEX = """@article{pinheiro1995approximations,
  author  = {Pinheiro, Jos{\\'e} C. and Bates, Douglas M.},
  title   = {Approximations to the Log-Likelihood Function in the Nonlinear Mixed-Effects Model},
  journal = {Journal of Computational and Graphical Statistics},
  year    = {1995},
  volume  = {4},
  number  = {1},
  pages   = {12--35},
  doi     = {10.1080/10618600.1995.10474663}
}"""

BIBTEX_NONMEM = """@manual{boeckmann1994nonmem,
  author       = {Boeckmann, A. J. and Sheiner, L. B. and Beal, S. L.},
  title        = {{NONMEM} Users Guide: Part {V}},
  organization = {NONMEM Project Group, University of California, San Francisco},
  year         = {1994}
}"""

CARD = Card(
    model=MODEL,
    title="Oral theophylline, one compartment with first-order absorption",
    equations=(
        ("amount in the gut", r"\frac{dA_g}{dt} = -k_a A_g"),
        ("amount in the body", r"\frac{dA_b}{dt} = k_a A_g - \frac{CL}{V} A_b"),
        ("reading", r"C = A_b / V"),
        (
            "closed form",
            r"C(t) = \frac{D\, k_e k_a}{CL (k_a - k_e)}\left(e^{-k_e t} - e^{-k_a t}\right),"
            r" \quad k_e = \frac{CL}{V}",
        ),
    ),
    references=(BIBTEX, BIBTEX_NONMEM),
    valid_range=(
        "Therapeutic doses of 3 to 6 mg/kg in healthy adults; elimination saturates at higher "
        "concentrations. Absorption without lag; bioavailability F is contained in CL and V."
    ),
    notes=(
        "Doses go into `gut` in mg per kg of body weight, as the data give them.",
        (
            "When ka and ke are exchanged and V is adapted the curve is the same (flip-flop); bounds and "
            "priors keep ka above."
        ),
    ),
    rules=(
        InRange(
            "elimination half-life",
            "ln(2) / ke",
            3.0,
            16.0,
            "Bioavailability and Pharmacokinetics in Man of Orally Administered Theophylline (abstract): about 3 "
            "to 16 h in six patients",
        ),
        PeakTime(
            "peak of the concentration",
            "concentration",
            0.25,
            6.0,
            "Absolute bioavailability of oral theophylline (abstract; 20 asthmatic adults): peak at 2 h after "
            "tablets, 1.4 h after a solution; the range around them is ours",
        ),
        Monotone(
            "concentration rises with the dose",
            "body / V",
            tuple(Experiment(doses=(Bolus("gut", dose),)) for dose in (1.5, 3.0, 6.0)),
            2.0,
            True,
            "Pharmacokinetics of theophylline: a dose-range study (1982), "
            "doi:10.1111/j.1365-2125.1982.tb02035.x, abstract: peak and area are linear in the dose from 1.6 to "
            "10.4 mg/kg",
        ),
    ),
)
