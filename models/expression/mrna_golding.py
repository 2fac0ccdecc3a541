"""Mean mRNA per cell after induction of a gene that switches between on and off (Golding 2005)."""

from __future__ import annotations

from twin.library import Card
from twin.model.model import Model
from twin.model.parts import Observable, Parameter, Published, Reaction, State

PAPER = "Golding et al. 2005, doi:10.1016/j.cell.2005.09.031"
_REMEMBERED = f"{PAPER}; value as remembered; the paper was not seen"

PARAMETERS = (
    Parameter(
        "k_on",
        1.0 / 37.0,
        "1/minute",
        "Rate of switching on",
        f"{_REMEMBERED}: off for 37 min on average",
        (Published(1.0 / 37.0, source=f"{_REMEMBERED}: off for 37 min on average"),),
    ),
    Parameter(
        "k_off",
        1.0 / 6.0,
        "1/minute",
        "Rate of switching off",
        f"{_REMEMBERED}: on for 6 min on average",
        (Published(1.0 / 6.0, source=f"{_REMEMBERED}: on for 6 min on average"),),
    ),
    Parameter(
        "k_tx",
        0.5,
        "1/minute",
        "Transcripts per minute of a gene that is on",
        "Order of magnitude: some transcripts in the 6 min of an on-period",
    ),
    Parameter(
        "gamma",
        0.0139,
        "1/minute",
        "Loss of mRNA per cell, by growth alone: the tagged mRNA is not degraded",
        "Choice of ours: ln 2 / 50 min, a doubling time of E. coli in minimal medium with supplements",
    ),
)

MODEL = Model(
    name="mrna_golding",
    description="Mean of the two-state model of transcription: share of genes that are on, mRNA per cell",
    time_unit="minute",
    states=(
        State("on", 0.0, "dimensionless", "Share of cells whose gene is on"),
        State("m", 0.0, "dimensionless", "Mean number of mRNA molecules per cell"),
    ),
    parameters=PARAMETERS,
    reactions=(
        Reaction("switching_on", "-> on", "k_on * (1 - on)", "Genes switch on"),
        Reaction("switching_off", "on ->", "k_off * on", "Genes switch off"),
        Reaction("transcription", "-> m", "k_tx * on", "Genes that are on are transcribed"),
        Reaction("dilution", "m ->", "gamma * m", "Growth dilutes"),
    ),
    observables=(Observable("mrna", "m", "dimensionless", "Mean number of mRNA molecules per cell"),),
    references=(PAPER,),
)

BIBTEX = """@article{golding2005realtime,
  author  = {Golding, Ido and Paulsson, Johan and Zawilski, Scott M. and Cox, Edward C.},
  title   = {Real-Time Kinetics of Gene Activity in Individual Bacteria},
  journal = {Cell},
  year    = {2005},
  volume  = {123},
  number  = {6},
  pages   = {1025--1036},
  doi     = {10.1016/j.cell.2005.09.031}
}"""

CARD = Card(
    model=MODEL,
    title="Induction of a bursting gene in E. coli: the mean number of mRNA molecules",
    equations=(
        ("mean of the gene", r"\frac{dp}{dt} = k_{on} (1 - p) - k_{off} p"),
        ("mean of the mRNA", r"\frac{dm}{dt} = k_{tx} p - \gamma m"),
    ),
    references=(BIBTEX,),
    valid_range=(
        "Full induction at time 0 of cells without mRNA, and means over many cells. The model is linear, so the mean "
        "of the random process obeys these equations exactly; its spread and its zero class are not in them."
    ),
    notes=(
        "From means alone only k_tx k_on / (k_on + k_off), gamma and, faintly, k_on + k_off can be told; the two rates "
        "of switching come from single cells.",
        "The time that the inducer takes to act is not in it.",
        "As a jump process (twin.simulate_jumps) it is the two-state gene itself: `on` is 0 or 1, `m` the number of "
        "molecules in one cell.",
    ),
)
