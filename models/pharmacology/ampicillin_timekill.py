"""Growth and killing of E. coli at a constant ampicillin concentration (Regoes 2004)."""

from __future__ import annotations

from twin.experiment.experiment import Experiment
from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Assignment, Observable, Parameter, Published, Reaction, State
from twin.plausibility import InRange, Monotone

PAPER = "Regoes et al. 2004, doi:10.1128/AAC.48.10.3670-3676.2004"
_FIT = f"{PAPER}, ampicillin; value from one secondary source; the table was not seen"


def _estimate(name: str, value: float, unit: str, description: str) -> Parameter:
    return Parameter(name, value, unit, description, _FIT, (Published(value, source=_FIT),))


PARAMETERS = (
    _estimate("psi_max", 0.75, "1/hour", "Net growth rate without drug, powers of ten per hour"),
    _estimate("psi_min", -4.0, "1/hour", "Net growth rate at very high concentration, powers of ten per hour"),
    _estimate("zMIC", 3.4, "microgram/milliliter", "Concentration at which the population neither grows nor shrinks"),
    _estimate("kappa", 0.75, "dimensionless", "Steepness of the pharmacodynamic function (Hill coefficient)"),
    Parameter(
        "a",
        0.0,
        "microgram/milliliter",
        "Concentration of ampicillin, constant during an experiment",
        "Condition of the experiment",
    ),
    Parameter(
        "B0",
        1.08e6,
        "1/milliliter",
        "Viable bacteria at the start",
        f"{PAPER}, the authors' sample data: first count of every curve",
    ),
    Parameter(
        "a_trace",
        1.0e-9,
        "microgram/milliliter",
        "Concentration added to a, so that the power of a has a derivative at a = 0",
        "Numerical guard of ours; it lowers the drug-free growth rate by less than 1e-6 of itself",
    ),
    Parameter(
        "B_guard",
        1.0,
        "1/milliliter",
        "Density added to the reading, so that it stays positive when the population is dead",
        "Numerical guard of ours; one bacterium per ml, a tenth of the smallest count",
    ),
)

MODEL = Model(
    name="ampicillin_timekill",
    description="Viable bacteria under a constant concentration of ampicillin",
    time_unit="hour",
    states=(State("B", "B0", "1/milliliter", "Viable bacteria per ml"),),
    parameters=PARAMETERS,
    assignments=(
        Assignment("effect", "((a + a_trace) / zMIC)^kappa", "dimensionless", "Concentration term of equation 3"),
        Assignment(
            "psi",
            "psi_max - (psi_max - psi_min) * effect / (effect - psi_min / psi_max)",
            "1/hour",
            "Net growth rate, powers of ten per hour",
        ),
    ),
    reactions=(Reaction("net_growth", "-> B", "ln(10) * psi * B", "Growth less killing"),),
    observables=(
        Observable("cfu", "B + B_guard", "1/milliliter", "Colony-forming units per ml"),
        Observable("log10_cfu", "log10(B + B_guard)", "dimensionless", "log10 of colony-forming units per ml"),
    ),
    references=(PAPER,),
)

BIBTEX = """@article{regoes2004pharmacodynamic,
  author  = {Regoes, Roland R. and Wiuff, Camilla and Zappala, Renata M. and Garner, Kim N. and
             Baquero, Fernando and Levin, Bruce R.},
  title   = {Pharmacodynamic Functions: A Multiparameter Approach to the Design of Antibiotic Treatment
             Regimens},
  journal = {Antimicrobial Agents and Chemotherapy},
  year    = {2004},
  volume  = {48},
  number  = {10},
  pages   = {3670--3676},
  doi     = {10.1128/AAC.48.10.3670-3676.2004}
}"""

CARD = Card(
    model=MODEL,
    title="Time-kill of E. coli by ampicillin after the pharmacodynamic function",
    equations=(
        ("1", r"\frac{dB}{dt} = \ln(10)\, \psi(a)\, B"),
        (
            "3",
            r"\psi(a) = \psi_{max} - \frac{(\psi_{max} - \psi_{min}) (a / zMIC)^\kappa}"
            r"{(a / zMIC)^\kappa - \psi_{min} / \psi_{max}}",
        ),
    ),
    references=(BIBTEX,),
    valid_range=(
        "The first hour or so: the authors estimate rates from it. One rate for all times cannot describe "
        "what comes later: the killing slows down (persisters), the drug-free culture saturates near 4e9 "
        "per ml, and at the highest concentration the survivors regrow."
    ),
    notes=(
        "psi counts powers of ten per hour: the authors' R script regresses log10 of the counts, and 0.75 "
        "per hour agrees with the drug-free curve only on that scale.",
        "Fitting the first hour of these data as the script does gives psi_max 0.8, psi_min -3.4, zMIC "
        "3.2 and kappa 0.8, close to the published values, which supports the units; a fit to all five "
        "hours gives a zMIC ten times lower.",
        "The formula is that of the authors' R script; the numbers of the equations are as remembered.",
        "Growth to saturation is not in the paper's function and is not added here.",
        ("The detection limit of the counts is not known to us; counts below some 100 per ml are scarce colonies."),
    ),
    rules=(
        InRange(
            "doubling time without drug",
            "log10(2) / psi_max",
            0.25,
            2.0,
            "E. coli doubles in about 20 min in rich medium and in an hour or more in poor ones (textbook "
            "knowledge; the range is ours)",
        ),
        InRange(
            "pharmacodynamic MIC",
            "zMIC",
            0.5,
            16.0,
            "EUCAST's epidemiological cut-off of ampicillin for wild-type E. coli is 8 mg/l "
            "(doi:10.2903/j.efsa.2022.7209, table F.5); a step of two above, because zMIC is no MIC, and four "
            "below, are ours",
        ),
        Monotone(
            "more drug leaves fewer bacteria",
            "B",
            tuple(Experiment(parameters={"a": a}) for a in (0.0, 3.0, 24.0, 256.0)),
            1.0,
            False,
            f"{PAPER}: the pharmacodynamic function falls with the concentration",
        ),
    ),
)
