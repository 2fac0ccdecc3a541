"""Oral warfarin and the prothrombin complex: one compartment, and a turnover whose synthesis the drug inhibits."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Published, Reaction, State

PAPER = "Holford 1986, doi:10.2165/00003088-198611060-00005"
_REVIEW = f"{PAPER}, abstract; per 70 kg there, divided by 70 here"
_EXAMPLE = (
    "Typical values of a fit of the same turnover model to the data of O'Reilly 1963 and 1968, as the R package "
    "posologyr carries them (its example warfarin model, after nlmixr)"
)

PARAMETERS = (
    Parameter(
        "ktr",
        1.11,
        "1/hour",
        "Rate of the step before absorption, which delays it",
        f"{_EXAMPLE}: exp(0.106)",
        (Published(1.11, source=_EXAMPLE, kind="typical value of 32 subjects"),),
    ),
    Parameter(
        "ka",
        0.917,
        "1/hour",
        "Absorption rate constant",
        f"{_EXAMPLE}: exp(-0.087)",
        (Published(0.917, source=_EXAMPLE, kind="typical value of 32 subjects"),),
    ),
    Parameter(
        "CL",
        2.86e-3,
        "liter/kilogram/hour",
        "Clearance per kg of body weight",
        f"{_REVIEW}: 0.2 l/h per 70 kg",
        (
            Published(2.86e-3, source=_REVIEW, kind="review of several studies"),
            Published(1.88e-3, source=f"{_EXAMPLE}: exp(-2.03) l/h, divided by 70 kg by us"),
        ),
    ),
    Parameter(
        "V",
        0.143,
        "liter/kilogram",
        "Volume of distribution per kg of body weight",
        f"{_REVIEW}: 10 l per 70 kg",
        (
            Published(0.143, source=_REVIEW, kind="review of several studies"),
            Published(0.113, source=f"{_EXAMPLE}: exp(2.07) l, divided by 70 kg by us"),
        ),
    ),
    Parameter(
        "Imax",
        0.968,
        "dimensionless",
        "Fraction of the synthesis that the drug can inhibit at most",
        f"{_EXAMPLE}: inverse logit of 3.4; the review takes complete inhibition",
        (Published(0.968, source=_EXAMPLE, kind="typical value of 32 subjects"),),
    ),
    Parameter(
        "IC50",
        1.5,
        "milligram/liter",
        "Concentration that halves the synthesis of the prothrombin complex (if Imax is 1)",
        f"{PAPER}, abstract",
        (
            Published(1.5, source=f"{PAPER}, abstract", kind="review of several studies"),
            Published(1.01, source=f"{_EXAMPLE}: exp(0.00724)", kind="typical value of 32 subjects"),
        ),
    ),
    Parameter(
        "kout",
        0.0408,
        "1/hour",
        "Rate of loss of prothrombin complex activity",
        f"{PAPER}, abstract: half-life 17 h, as ln 2 / 17 h",
        (
            Published(0.0408, source=f"{PAPER}, abstract: half-life 17 h", kind="review of several studies"),
            Published(0.0550, source=f"{_EXAMPLE}: exp(-2.9)", kind="typical value of 32 subjects"),
        ),
    ),
    Parameter(
        "pca0",
        100.0,
        "dimensionless",
        "Prothrombin complex activity without drug, in percent of normal",
        "Definition of the scale: a normal subject has 100 %",
        (Published(96.5, source=f"{_EXAMPLE}: exp(4.57)", kind="typical value of 32 subjects"),),
    ),
)

MODEL = Model(
    name="warfarin_pkpd",
    description="Warfarin after an oral dose, per kg of body weight, and prothrombin complex activity",
    time_unit="hour",
    states=(
        State("depot", 0.0, "milligram/kilogram", "Drug swallowed, per kg; receives oral doses"),
        State("gut", 0.0, "milligram/kilogram", "Drug ready for absorption, per kg"),
        State("body", 0.0, "milligram/kilogram", "Drug in the body, per kg"),
        State("P", "pca0", "dimensionless", "Prothrombin complex activity in percent of normal"),
    ),
    parameters=PARAMETERS,
    assignments=(
        Assignment("C", "body / V", "milligram/liter", "Plasma concentration"),
        Assignment("inhibition", "Imax * C / (IC50 + C)", "dimensionless", "Fraction of the synthesis inhibited"),
    ),
    reactions=(
        Reaction("transit", "depot -> gut", "ktr * depot", "The dose becomes ready for absorption"),
        Reaction("absorption", "gut -> body", "ka * gut", "First-order absorption"),
        Reaction("elimination", "body ->", "CL * C", "First-order elimination"),
        Reaction("synthesis", "-> P", "kout * pca0 * (1 - inhibition)", "Clotting factors are made"),
        Reaction("loss", "P ->", "kout * P", "Clotting factors are lost"),
    ),
    observables=(
        Observable("concentration", "C", "milligram/liter", "Plasma concentration of warfarin"),
        Observable("pca", "P", "dimensionless", "Prothrombin complex activity in percent of normal"),
    ),
    references=(PAPER,),
)

BIBTEX = """@article{holford1986clinical,
  author  = {Holford, Nicholas H. G.},
  title   = {Clinical Pharmacokinetics and Pharmacodynamics of Warfarin: Understanding the Dose-Effect
             Relationship},
  journal = {Clinical Pharmacokinetics},
  year    = {1986},
  volume  = {11},
  number  = {6},
  pages   = {483--504},
  doi     = {10.2165/00003088-198611060-00005}
}"""

BIBTEX_1963 = """@article{oreilly1963studies,
  author  = {O'Reilly, Robert A. and Aggeler, Paul M. and Leong, Lois S.},
  title   = {Studies on the Coumarin Anticoagulant Drugs: The Pharmacodynamics of Warfarin in Man},
  journal = {Journal of Clinical Investigation},
  year    = {1963},
  volume  = {42},
  number  = {10},
  pages   = {1542--1551},
  doi     = {10.1172/JCI104839}
}"""

BIBTEX_1968 = """@article{oreilly1968initiation,
  author  = {O'Reilly, Robert A. and Aggeler, Paul M.},
  title   = {Studies on Coumarin Anticoagulant Drugs: Initiation of Warfarin Therapy without a Loading Dose},
  journal = {Circulation},
  year    = {1968},
  volume  = {38},
  number  = {1},
  pages   = {169--177},
  doi     = {10.1161/01.CIR.38.1.169}
}"""

CARD = Card(
    model=MODEL,
    title="Oral warfarin and prothrombin complex activity, indirect response",
    equations=(
        ("absorption", r"\frac{dA_d}{dt} = -k_{tr} A_d, \quad \frac{dA_g}{dt} = k_{tr} A_d - k_a A_g"),
        ("amount in the body", r"\frac{dA_b}{dt} = k_a A_g - CL\, C, \quad C = A_b / V"),
        (
            "prothrombin complex",
            r"\frac{dP}{dt} = k_{out} P_0 \left(1 - \frac{I_{max} C}{IC_{50} + C}\right) - k_{out} P",
        ),
    ),
    references=(BIBTEX, BIBTEX_1963, BIBTEX_1968),
    valid_range=(
        "One dose of racemic warfarin in healthy adults without vitamin K. The two enantiomers, which differ in "
        "clearance and potency, are taken as one drug; clotting factors of different half-lives are taken as one."
    ),
    notes=(
        "Doses go into `depot` in mg per kg of body weight; clearance and volume are proportional to weight, where "
        "newer work lets clearance grow with a power of 3/4.",
        "Only the abstract of Holford 1986 was seen. It names the parts (one drug compartment, inhibition of "
        "synthesis, turnover); the step before absorption is that of the example of the nlmixr package.",
        "The nominal values of absorption and Imax come from a fit to the very dataset warfarin_oreilly1968.",
    ),
)
