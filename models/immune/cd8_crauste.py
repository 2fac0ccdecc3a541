"""Differentiation of CD8 T cells after an acute infection, from naive cells to memory (Crauste 2017)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Observable, Parameter, Published, Reaction, State
from twin.plausibility import InRange, PeakTime

PAPER = "Crauste et al. 2017, doi:10.1016/j.cels.2017.01.014"
_FIT = f"{PAPER}; best fit as carried by the PEtab benchmark collection (Crauste_CellSystems2017)"
_LCMV = "De Boer et al. 2001, doi:10.1128/JVI.75.22.10663-10669.2001, abstract, CD8 cells of mice against LCMV"


def _rate(name: str, value: float, unit: str, description: str, *, at_bound: bool = False) -> Parameter:
    source = f"{_FIT}; on the lower bound of that fit, so effectively 0" if at_bound else _FIT
    return Parameter(name, value, unit, description, source, (Published(value, source=source),))


PARAMETERS = (
    _rate("mu_N", 0.739907304399124, "1/day", "Death rate of naive cells"),
    _rate(
        "delta_NE",
        0.011930787933602,
        "1/day",
        "Rate at which pathogen turns naive cells into early effectors",
    ),
    _rate("rho_E", 0.507415649004014, "1/day", "Rate of proliferation of early effectors per pathogen"),
    _rate("mu_EE", 3.91359465940441e-05, "1/day", "Rate of killing among early effectors, per cell"),
    _rate("delta_EL", 0.517945937424841, "1/day", "Rate at which early effectors become late effectors"),
    _rate("mu_LL", 8.11520130499257e-06, "1/day", "Rate of killing among late effectors, per cell"),
    _rate("mu_LE", 1.0e-10, "1/day", "Rate of killing of late by early effectors, per cell", at_bound=True),
    _rate("delta_LM", 0.022580636941607, "1/day", "Rate at which late effectors become memory cells"),
    _rate("rho_P", 0.126382292625502, "1/day", "Rate of multiplication of the pathogen, per pathogen"),
    _rate(
        "mu_PE",
        1.41248724084794e-10,
        "1/day",
        "Clearance of pathogen by early effectors, per cell",
        at_bound=True,
    ),
    _rate("mu_PL", 3.63403086241783e-05, "1/day", "Clearance of pathogen by late effectors, per cell"),
    _rate("mu_P", 1.00000003522094e-05, "1/day", "Natural clearance rate of the pathogen", at_bound=True),
    Parameter("naive_0", 8090.0, "dimensionless", "Specific naive cells at infection", f"{_FIT}; fixed there"),
)

MODEL = Model(
    name="cd8_crauste",
    description="CD8 T cells: naive, early effector, late effector, memory, driven by a pathogen",
    time_unit="day",
    states=(
        State("Naive", "naive_0", "dimensionless", "Naive specific CD8 T cells, N"),
        State("EarlyEffector", 0.0, "dimensionless", "Early effector cells, E"),
        State("LateEffector", 0.0, "dimensionless", "Late effector cells, L"),
        State("Memory", 0.0, "dimensionless", "Memory cells, M"),
        State("Pathogen", 1.0, "dimensionless", "Pathogen relative to the dose, P"),
    ),
    parameters=PARAMETERS,
    reactions=(
        Reaction("naive_death", "Naive ->", "mu_N * Naive", "Naive cells die"),
        Reaction(
            "activation",
            "Naive -> EarlyEffector",
            "delta_NE * Naive * Pathogen",
            "Pathogen activates naive cells",
        ),
        Reaction("expansion", "-> EarlyEffector", "rho_E * EarlyEffector * Pathogen", "Early effectors proliferate"),
        Reaction("early_death", "EarlyEffector ->", "mu_EE * EarlyEffector^2", "Early effectors kill each other"),
        Reaction(
            "maturation",
            "EarlyEffector -> LateEffector",
            "delta_EL * EarlyEffector",
            "Early become late effectors",
        ),
        Reaction("late_death", "LateEffector ->", "mu_LL * LateEffector^2", "Late effectors kill each other"),
        Reaction(
            "late_killing",
            "LateEffector ->",
            "mu_LE * EarlyEffector * LateEffector",
            "Early kill late effectors",
        ),
        Reaction(
            "memory_formation",
            "LateEffector -> Memory",
            "delta_LM * LateEffector",
            "Late effectors become memory",
        ),
        Reaction("multiplication", "-> Pathogen", "rho_P * Pathogen^2", "Pathogen multiplies"),
        Reaction("clearance_E", "Pathogen ->", "mu_PE * EarlyEffector * Pathogen", "Early effectors clear pathogen"),
        Reaction("clearance_L", "Pathogen ->", "mu_PL * LateEffector * Pathogen", "Late effectors clear pathogen"),
        Reaction("clearance", "Pathogen ->", "mu_P * Pathogen", "Pathogen is cleared without the cells"),
    ),
    observables=(
        Observable("naive", "Naive", "dimensionless", "Naive cells per mouse"),
        Observable("early_effector", "EarlyEffector", "dimensionless", "Early effector cells per mouse"),
        Observable("late_effector", "LateEffector", "dimensionless", "Late effector cells per mouse"),
        Observable("memory", "Memory", "dimensionless", "Memory cells per mouse"),
    ),
    references=(PAPER,),
)

BIBTEX = """@article{crauste2017identification,
  author  = {Crauste, Fabien and Mafille, Julien and Boucinha, Lilia and Djebali, Sophia and
             Gandrillon, Olivier and Marvel, Jacqueline and Arpin, Christophe},
  title   = {Identification of Nascent Memory {CD8} {T} Cells and Modeling of Their Ontogeny},
  journal = {Cell Systems},
  year    = {2017},
  volume  = {4},
  number  = {3},
  pages   = {306--317.e4},
  doi     = {10.1016/j.cels.2017.01.014}
}"""

CARD = Card(
    model=MODEL,
    title="Murine CD8 T-cell response in four stages of differentiation",
    equations=(
        ("model of the paper", r"\frac{dN}{dt} = -\mu_N N - \delta_{NE} P N"),
        (
            "model of the paper",
            r"\frac{dE}{dt} = \delta_{NE} P N + \left(\rho_E P - \mu_{EE} E - \delta_{EL}\right) E",
        ),
        (
            "model of the paper",
            r"\frac{dL}{dt} = \delta_{EL} E - \left(\mu_{LL} L + \mu_{LE} E + \delta_{LM}\right) L",
        ),
        ("model of the paper", r"\frac{dM}{dt} = \delta_{LM} L"),
        ("model of the paper", r"\frac{dP}{dt} = \left(\rho_P P - \mu_{PE} E - \mu_{PL} L - \mu_P\right) P"),
    ),
    references=(BIBTEX,),
    valid_range=(
        "One acute infection over about four weeks, mean of a group of mice. The pathogen grows as its "
        "square and would reach infinity in 1/rho_P days (about 8) if the effector cells did not stop it: "
        "parameters that clear it too late cannot be simulated past that moment."
    ),
    notes=(
        "Equations and parameters agree with the SBML of the PEtab benchmark collection; the paper's "
        "numbering was not seen. Time is in days (that SBML declares hours, but its data and rates are "
        "per day).",
        "Pathogen is relative to the dose, so all rates that multiply it are per day and per dose.",
        "Memory cells do not die in this model.",
        "At the peak of its pathogen the published fit lets early effectors divide at 31 per day, every half hour; the "
        "rule below calls that implausible.",
        "The published best fit lies beside the blow-up: of parameter sets that differ from it by 0.3 % "
        "(independent, normal), about half let the pathogen win and have no solution beyond day 8 or so.",
    ),
    rules=(
        InRange(
            "rate of proliferation",
            "rho_E * Pathogen",
            0.0,
            6.0,
            f"{_LCMV}: 3 per day on average; twice that is ours",
            always=True,
        ),
        PeakTime(
            "peak of the early effectors",
            "early_effector",
            4.0,
            12.0,
            f"{_LCMV}: largest on day 5 or 6; later for other infections, the range is ours",
        ),
    ),
)
