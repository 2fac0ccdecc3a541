"""Decay of plasma HIV-1 under a protease inhibitor given at steady state (Perelson 1996)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Published, Reaction, State
from twin.plausibility import InRange

PAPER = "Perelson et al. 1996, doi:10.1126/science.271.5255.1582"
_PATIENT = f"{PAPER}, patient 105, as carried by the PEtab benchmark collection (Perelson_Science1996)"
_HALF_LIVES = f"{PAPER}, abstract: mean over five patients, as ln 2 / half-life"

PARAMETERS = (
    Parameter(
        "c",
        2.06,
        "1/day",
        "Clearance rate of free virions",
        _PATIENT,
        (
            Published(2.06, source=_PATIENT),
            Published(2.89, source=f"{_HALF_LIVES} of 0.24 d", kind="mean of five patients"),
        ),
    ),
    Parameter(
        "delta",
        0.53,
        "1/day",
        "Loss rate of productively infected cells",
        _PATIENT,
        (
            Published(0.53, source=_PATIENT),
            Published(
                0.49,
                source=f"{PAPER}; as quoted in the abstract of a later fit of these data by the same "
                "group (effect of drug efficacy and the eclipse phase)",
                kind="mean of five patients",
            ),
        ),
    ),
    Parameter(
        "V0",
        1.86e6,
        "1/milliliter",
        "HIV-1 RNA per ml of plasma before treatment, at steady state",
        f"{_PATIENT}; there an initial value of the model, between the readings of the first hours",
    ),
    Parameter(
        "N",
        480.0,
        "dimensionless",
        "RNA copies released by one infected cell during its life",
        f"{_PATIENT}; cancels from the RNA time course at steady state",
    ),
    Parameter(
        "T0",
        1.1e4,
        "1/milliliter",
        "Target cells per ml, constant during the first week",
        f"{_PATIENT} (11 CD4 cells per cubic millimetre); cancels from the RNA time course at steady state",
    ),
)

MODEL = Model(
    name="hiv_protease_inhibitor",
    description="Plasma HIV-1 after a protease inhibitor that makes all new virions non-infectious",
    time_unit="day",
    states=(
        State("Tstar", "c * V0 / (N * delta)", "1/milliliter", "Productively infected cells (T* in the paper)"),
        State("V_I", "V0", "1/milliliter", "RNA in infectious virions, made before treatment"),
        State("V_NI", 0.0, "1/milliliter", "RNA in non-infectious virions, made under treatment"),
    ),
    parameters=PARAMETERS,
    assignments=(
        Assignment(
            "infectivity",
            "c / (N * T0)",
            "milliliter/day",
            "Rate constant of infection k; steady state before treatment asks for N k T0 = c",
        ),
    ),
    reactions=(
        Reaction("infection", "-> Tstar", "infectivity * V_I * T0", "Virus made before treatment still infects"),
        Reaction("death", "Tstar ->", "delta * Tstar", "An infected cell dies"),
        Reaction("clearance_I", "V_I ->", "c * V_I", "Infectious virions are cleared"),
        Reaction("production", "-> V_NI", "N * delta * Tstar", "Infected cells release non-infectious virions"),
        Reaction("clearance_NI", "V_NI ->", "c * V_NI", "Non-infectious virions are cleared"),
    ),
    observables=(Observable("rna", "V_I + V_NI", "1/milliliter", "HIV-1 RNA copies per ml of plasma"),),
    references=(PAPER,),
)

BIBTEX = """@article{perelson1996hiv,
  author  = {Perelson, Alan S. and Neumann, Avidan U. and Markowitz, Martin and Leonard, John M. and
             Ho, David D.},
  title   = {{HIV-1} Dynamics In Vivo: Virion Clearance Rate, Infected Cell Life-Span, and Viral
             Generation Time},
  journal = {Science},
  year    = {1996},
  volume  = {271},
  number  = {5255},
  pages   = {1582--1586},
  doi     = {10.1126/science.271.5255.1582}
}"""

CARD = Card(
    model=MODEL,
    title="Plasma HIV-1 in the first week of a protease inhibitor",
    equations=(
        ("3", r"\frac{dT^*}{dt} = k V_I T - \delta T^*"),
        ("4", r"\frac{dV_I}{dt} = -c V_I"),
        ("5", r"\frac{dV_{NI}}{dt} = N \delta T^* - c V_{NI}"),
        (
            "6",
            r"V(t) = V_0 e^{-ct} + \frac{c V_0}{c - \delta}\left[\frac{c}{c - \delta}"
            r"\left(e^{-\delta t} - e^{-ct}\right) - \delta t e^{-ct}\right]",
        ),
        ("text", r"N k T_0 = c, \quad T^*_0 = \frac{k V_0 T_0}{\delta} = \frac{c V_0}{N \delta}"),
    ),
    references=(BIBTEX,),
    valid_range=(
        "About the first week of treatment of a patient who was at steady state, while target cells stay "
        "constant. It has neither the slow second phase of decay nor resistance, and takes the drug as "
        "fully effective from time 0 (the pharmacological delay of a few hours shows in the data)."
    ),
    notes=(
        "The analytic solution (last but one equation) is used by the tests.",
        "The numbers of the equations are as remembered; the paper was not seen.",
        ("N, T0 and the infectivity cancel from the RNA time course at steady state and cannot be estimated from it."),
        "The paper's estimates by patient are known to us for patient 105 only. Least squares on the "
        "logarithm gives c 1.4 and delta 0.58 per day for subject A and c 3.3 and delta 0.47 for subject "
        "B of the dataset.",
        ("V counts RNA copies where the paper counts virions (two copies each); only the meaning of N changes."),
    ),
    rules=(
        InRange(
            "half-life of free virions",
            "ln(2) / c",
            0.0,
            1.0,
            "Ramratnam et al. 1999, doi:10.1016/S0140-6736(99)02035-8: cleared within minutes to hours when "
            "plasma was exchanged, other patients (as remembered); the end of the range is ours, longer as no "
            "drug is fully effective",
        ),
        InRange(
            "half-life of infected cells",
            "ln(2) / delta",
            0.8,
            7.0,
            "Little et al. 1999, doi:10.1084/jem.190.6.841, abstract: 0.3 per day, so 2.3 d, in patients treated "
            "during acute infection; a third to three times that is ours",
        ),
    ),
)
