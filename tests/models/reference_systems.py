"""The mechanisms of the library written by hand in NumPy from the papers, to hold the library's models against.

Nothing here uses `models` or `twin`: states, parameters and values are typed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Values = Mapping[str, float]


@dataclass(frozen=True)
class Reference:
    """A mechanism as a plain right-hand side.

    Args:
        states: Names in the order of the state vector.
        parameters: Nominal values.
        rhs: ``rhs(t, y, p)``, shape [state].
        y0: ``y0(p)``, shape [state]; after a dose at time 0 where the experiment has one.
        times: Output times in the model's unit, the first is the start.
        observables: ``observables(y, p)`` by name, for one state vector.
    """

    states: tuple[str, ...]
    parameters: Values
    rhs: Callable[[float, Vector, Values], Vector]
    y0: Callable[[Values], Vector]
    times: Vector
    observables: Callable[[Vector, Values], dict[str, float]]


def _influenza_rhs(t: float, y: Vector, p: Values) -> Vector:
    target, eclipse, producing, virus = y
    infection = p["beta"] * target * virus
    return np.array(
        [
            -infection,
            infection - p["k"] * eclipse,
            p["k"] * eclipse - p["delta"] * producing,
            p["p"] * producing - p["c"] * virus,
        ]
    )


INFLUENZA = Reference(
    states=("T", "E", "I", "V"),
    parameters={"beta": 3.2e-5, "k": 4.0, "delta": 5.2, "p": 4.6e-2, "c": 5.2, "T0": 4e8, "V0": 7.5e-2},
    rhs=_influenza_rhs,
    y0=lambda p: np.array([p["T0"], 0.0, 0.0, p["V0"]]),
    times=np.linspace(0.0, 7.0, 29),
    observables=lambda y, p: {
        "log10_titre": np.log10(y[3] + 1e-3),
        "mean_log10_titre": np.log10(y[3] + 1.0),
    },
)


def _hiv_rhs(t: float, y: Vector, p: Values) -> Vector:
    infected, infectious, harmless = y
    k = p["c"] / (p["N"] * p["T0"])  # steady state before treatment: N k T0 = c
    return np.array(
        [
            k * infectious * p["T0"] - p["delta"] * infected,
            -p["c"] * infectious,
            p["N"] * p["delta"] * infected - p["c"] * harmless,
        ]
    )


def hiv_total(t: Vector, p: Values) -> Vector:
    """Total virus in closed form (Perelson 1996), shape [time]."""
    c, delta, v0 = p["c"], p["delta"], p["V0"]
    decay = np.exp(-c * t)
    return v0 * decay + c * v0 / (c - delta) * (c / (c - delta) * (np.exp(-delta * t) - decay) - delta * t * decay)


HIV = Reference(
    states=("Tstar", "V_I", "V_NI"),
    parameters={"c": 2.06, "delta": 0.53, "V0": 1.86e6, "N": 480.0, "T0": 1.1e4},
    rhs=_hiv_rhs,
    y0=lambda p: np.array([p["c"] * p["V0"] / (p["N"] * p["delta"]), p["V0"], 0.0]),
    times=np.linspace(0.0, 7.0, 29),
    observables=lambda y, p: {"rna": y[1] + y[2]},
)


def _cd8_rhs(t: float, y: Vector, p: Values) -> Vector:
    n, e, l_, _, pathogen = y
    return np.array(
        [
            -p["mu_N"] * n - p["delta_NE"] * n * pathogen,
            p["delta_NE"] * n * pathogen + (p["rho_E"] * pathogen - p["mu_EE"] * e - p["delta_EL"]) * e,
            p["delta_EL"] * e - (p["mu_LL"] * l_ + p["mu_LE"] * e + p["delta_LM"]) * l_,
            p["delta_LM"] * l_,
            (p["rho_P"] * pathogen - p["mu_PE"] * e - p["mu_PL"] * l_ - p["mu_P"]) * pathogen,
        ]
    )


CD8 = Reference(
    states=("Naive", "EarlyEffector", "LateEffector", "Memory", "Pathogen"),
    parameters={
        "mu_N": 0.739907304399124,
        "delta_NE": 0.011930787933602,
        "rho_E": 0.507415649004014,
        "mu_EE": 3.91359465940441e-05,
        "delta_EL": 0.517945937424841,
        "mu_LL": 8.11520130499257e-06,
        "mu_LE": 1e-10,
        "delta_LM": 0.022580636941607,
        "rho_P": 0.126382292625502,
        "mu_PE": 1.41248724084794e-10,
        "mu_PL": 3.63403086241783e-05,
        "mu_P": 1.00000003522094e-05,
        "naive_0": 8090.0,
    },
    rhs=_cd8_rhs,
    y0=lambda p: np.array([p["naive_0"], 0.0, 0.0, 0.0, 1.0]),
    times=np.linspace(0.0, 28.0, 29),
    observables=lambda y, p: {"naive": y[0], "early_effector": y[1], "late_effector": y[2], "memory": y[3]},
)


def _stat5_rhs(t: float, y: Vector, p: Values) -> Vector:
    a, b, ab, aa, bb, n_aa, n_ab, n_bb = y
    phos = p["k_phos"] * p["Epo_0"] * np.exp(-p["Epo_degradation_BaF3"] * t)
    homo, hetero = p["k_imp_homo"], p["k_imp_hetero"]
    out_homo, out_hetero = p["k_exp_homo"], p["k_exp_hetero"]
    up, down = p["cyt"] / p["nuc"], p["nuc"] / p["cyt"]
    return np.array(
        [
            -2 * phos * a * a - phos * a * b + down * (2 * out_homo * n_aa + out_hetero * n_ab),
            -2 * phos * b * b - phos * a * b + down * (2 * out_homo * n_bb + out_hetero * n_ab),
            phos * a * b - hetero * ab,
            phos * a * a - homo * aa,
            phos * b * b - homo * bb,
            up * homo * aa - out_homo * n_aa,
            up * hetero * ab - out_hetero * n_ab,
            up * homo * bb - out_homo * n_bb,
        ]
    )


def _stat5_observables(y: Vector, p: Values) -> dict[str, float]:
    a, b, ab, aa, bb = y[:5]
    s = p["specC17"]
    # As the PEtab benchmark collection writes them.
    return {
        "pSTAT5A_rel": (100 * ab + 200 * aa * s) / (ab + a * s + 2 * aa * s),
        "pSTAT5B_rel": -(100 * ab - 200 * bb * (s - 1)) / ((b * (s - 1) - ab) + 2 * bb * (s - 1)),
        "rSTAT5A_rel": (100 * ab + 100 * a * s + 200 * aa * s)
        / (2 * ab + a * s + 2 * aa * s - b * (s - 1) - 2 * bb * (s - 1)),
    }


STAT5 = Reference(
    states=("STAT5A", "STAT5B", "pApB", "pApA", "pBpB", "nucpApA", "nucpApB", "nucpBpB"),
    parameters={
        "k_phos": 15766.5070195731,
        "Epo_degradation_BaF3": 0.026982514033029,
        "k_imp_homo": 97749.3794024716,
        "k_imp_hetero": 0.0163679184468,
        "k_exp_homo": 0.006170228086381,
        "k_exp_hetero": 1.00067973851508e-05,
        "ratio": 0.693,
        "specC17": 0.107,
        "STAT5_total": 207.6,
        "Epo_0": 1.25e-7,
        "cyt": 1.4,
        "nuc": 0.45,
    },
    rhs=_stat5_rhs,
    y0=lambda p: np.array([p["STAT5_total"] * p["ratio"], p["STAT5_total"] * (1 - p["ratio"]), *np.zeros(6)]),
    times=np.linspace(0.0, 240.0, 25),
    observables=_stat5_observables,
)

PEPOR_TIMES = np.array([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 25, 30, 40, 50, 60], dtype=np.float64)
PEPOR_VALUES = np.array(
    [
        *(0.01713, 0.145, 0.2442, 0.7659, 1.0, 0.8605, 0.7829, 0.5705),
        *(0.6217, 0.331, 0.3388, 0.3116, 0.05062, 0.02504, 0.01163, 0.0),
    ]
)


def _jakstat_rhs(t: float, y: Vector, p: Values) -> Vector:
    stat, mono, dimer, nuclear = y[:4]
    chain = y[4:]
    drive = p["k1"] * np.interp(t, PEPOR_TIMES, PEPOR_VALUES)
    up, down = p["cyt"] / p["nuc"], p["nuc"] / p["cyt"]
    k4 = p["k4"]
    return np.array(
        [
            -drive * stat + down * k4 * chain[-1],
            drive * stat - 2 * p["k2"] * mono**2,
            p["k2"] * mono**2 - p["k3"] * dimer,
            up * p["k3"] * dimer - k4 * nuclear,
            2 * k4 * nuclear - k4 * chain[0],
            *(k4 * (chain[:-1] - chain[1:])),
        ]
    )


JAKSTAT = Reference(
    states=("STAT5", "pSTAT5", "pSTAT5_pSTAT5", "npSTAT5_npSTAT5", *(f"nSTAT5_{i}" for i in range(1, 10))),
    parameters={
        "k1": 1.95,
        "k2": 0.11,
        "k3": 98400.0,
        "k4": 1.49,
        "scale_tSTAT5": 0.95,
        "scale_pSTAT5": 1.25,
        "cyt": 1.4,
        "nuc": 0.45,
    },
    rhs=_jakstat_rhs,
    y0=lambda p: np.array([1.0, *np.zeros(12)]),
    times=np.linspace(0.0, 60.0, 31),
    observables=lambda y, p: {
        "tSTAT5_au": p["scale_tSTAT5"] * (y[0] + y[1] + 2 * y[2]),
        "pSTAT5_au": p["scale_pSTAT5"] * (y[1] + 2 * y[2]),
    },
)


def theophylline_concentration(t: Vector, dose: float, p: Values) -> Vector:
    """Concentration after one oral dose in closed form, shape [time]."""
    ke = p["CL"] / p["V"]
    return dose * ke * p["ka"] / (p["CL"] * (p["ka"] - ke)) * (np.exp(-ke * t) - np.exp(-p["ka"] * t))


THEOPHYLLINE = Reference(
    states=("gut", "body"),
    parameters={"ka": 1.60, "CL": 0.0400, "V": 0.463},
    rhs=lambda t, y, p: np.array([-p["ka"] * y[0], p["ka"] * y[0] - p["CL"] / p["V"] * y[1]]),
    y0=lambda p: np.array([4.02, 0.0]),
    times=np.linspace(0.0, 25.0, 51),
    observables=lambda y, p: {"concentration": y[1] / p["V"]},
)


def regoes_psi(a: float, p: Values) -> float:
    """Pharmacodynamic function [powers of ten per hour]."""
    x = (a / p["zMIC"]) ** p["kappa"]
    return p["psi_max"] - (p["psi_max"] - p["psi_min"]) * x / (x - p["psi_min"] / p["psi_max"])


AMPICILLIN = Reference(
    states=("B",),
    parameters={"psi_max": 0.75, "psi_min": -4.0, "zMIC": 3.4, "kappa": 0.75, "a": 6.0, "B0": 1.08e6},
    rhs=lambda t, y, p: np.log(10.0) * regoes_psi(p["a"], p) * y,
    y0=lambda p: np.array([p["B0"]]),
    times=np.linspace(0.0, 5.0, 21),
    observables=lambda y, p: {"cfu": y[0] + 1.0, "log10_cfu": np.log10(y[0] + 1.0)},
)


HIV_BIPHASIC = Reference(
    states=("V_short", "V_long"),
    parameters={"V0": 1.0e5, "f_long": 0.03, "delta": 0.49, "mu": 0.0495},
    rhs=lambda t, y, p: np.array([-p["delta"] * y[0], -p["mu"] * y[1]]),
    y0=lambda p: p["V0"] * np.array([1.0 - p["f_long"], p["f_long"]]),
    times=np.linspace(0.0, 196.0, 50),
    observables=lambda y, p: {"log10_rna": np.log10(y[0] + y[1] + 0.1)},
)


def _sarscov2_rhs(t: float, y: Vector, p: Values) -> Vector:
    target, eclipse, producing, virus = y
    infection = p["R0"] * p["c"] * p["delta"] / (p["p"] * p["T0"]) * target * virus
    return np.array(
        [
            -infection,
            infection - p["k"] * eclipse,
            p["k"] * eclipse - p["delta"] * producing,
            p["p"] * producing - p["c"] * virus,
        ]
    )


SARSCOV2 = Reference(
    states=("T", "E", "I", "V"),
    parameters={"R0": 8.6, "delta": 0.60, "p": 22.7, "c": 10.0, "k": 3.0, "T0": 1.33e5, "I0": 1.0 / 30.0},
    rhs=_sarscov2_rhs,
    y0=lambda p: np.array([p["T0"], 0.0, p["I0"], 0.0]),
    times=np.linspace(0.0, 28.0, 29),
    observables=lambda y, p: {"log10_load": np.log10(y[3] + 1e-3)},
)


def _il13_rhs(t: float, y: Vector, p: Values) -> Vector:
    rec, rec_i, bound, active, active_i, jak, pjak, stat, pstat, mrna, decoy, _, socs, _ = y
    dose = 2.265 * p["il13_level"]
    binding = p["Kon_IL13Rec"] * dose * rec
    out, back = p["Rec_intern"] * rec, p["Rec_recycle"] * rec_i
    activation = p["Rec_phosphorylation"] * bound * pjak
    jak_on = p["JAK2_phosphorylation"] * (bound + active) * jak / (1 + p["JAK2_p_inhibition"] * socs)
    jak_off = 91 * p["pJAK2_dephosphorylation"] * pjak
    stat_on = p["STAT5_phosphorylation"] * pjak * stat
    stat_off = 91 * p["pSTAT5_dephosphorylation"] * pstat
    capture = p["DecoyR_binding"] * dose * decoy
    uptake = p["pRec_intern"] * active
    return np.array(
        [
            back - out - binding,
            out - back,
            binding - activation,
            activation - uptake,
            uptake - p["pRec_degradation"] * active_i,
            jak_off - jak_on,
            jak_on - jak_off,
            stat_off - stat_on,
            stat_on - stat_off,
            p["SOCS3mRNA_production"] * pstat,
            -capture,
            capture,
            p["SOCS3_translation"] * mrna / (p["SOCS3_accumulation"] + mrna) - p["SOCS3_degradation"] * socs,
            p["CD274mRNA_production"] * pstat,
        ]
    )


def _il13_observables(y: Vector, p: Values) -> dict[str, float]:
    rec, _, bound, active, active_i, _, pjak, _, pstat, mrna, _, decoy, socs, cd274 = y
    return {
        "RecSurf_obs": rec + bound + active,
        "IL13_cell_obs": p["scaling_IL13_cell"] * (bound + decoy + active + active_i),
        "pIL4Ra_obs": p["scaling_pIL4Ra"] * (active + active_i),
        "pJAK2_obs": p["scaling_pJAK2"] * pjak,
        "pSTAT5_obs": pstat,
        "SOCS3_obs": socs,
        "SOCS3mRNA_obs": p["scaling_SOCS3mRNA"] * mrna,
        "CD274mRNA_obs": p["scaling_CD274mRNA"] * cd274,
    }


IL13 = Reference(
    states=(
        *("Rec", "Rec_i", "IL13_Rec", "p_IL13_Rec", "p_IL13_Rec_i", "JAK2", "pJAK2", "STAT5", "pSTAT5"),
        *("SOCS3mRNA", "DecoyR", "IL13_DecoyR", "SOCS3", "CD274mRNA"),
    ),
    parameters={
        "Kon_IL13Rec": 0.002278141087201,
        "DecoyR_binding": 0.003851039137402,
        "Rec_intern": 0.344129281159739,
        "Rec_recycle": 0.00209774906794,
        "Rec_phosphorylation": 999.999816483984,
        "pRec_intern": 0.585271535297764,
        "pRec_degradation": 0.209573978543856,
        "JAK2_phosphorylation": 1.01721171826747,
        "JAK2_p_inhibition": 0.078140000505809,
        "pJAK2_dephosphorylation": 0.000175894009439,
        "STAT5_phosphorylation": 0.01948207479306,
        "pSTAT5_dephosphorylation": 0.000274832319318,
        "SOCS3mRNA_production": 0.14337151776186,
        "SOCS3_translation": 15.7186888386006,
        "SOCS3_accumulation": 451.777901711184,
        "SOCS3_degradation": 0.043380223348167,
        "CD274mRNA_production": 0.021208853684209,
        "init_Rec_i": 235.058493601113,
        "scaling_pJAK2": 0.857246885626022,
        "scaling_pIL4Ra": 2.9757729322919,
        "scaling_IL13_cell": 5.50098613841361,
        "scaling_SOCS3mRNA": 0.581287913862507,
        "scaling_CD274mRNA": 0.00815283660871,
        "il13_level": 20.0,
    },
    rhs=_il13_rhs,
    y0=lambda p: np.array([1.3, p["init_Rec_i"], 0.0, 0.0, 0.0, 2.8, 0.0, 165.0, 0.0, 0.0, 0.34, 0.0, 0.0, 0.0]),
    times=np.linspace(0.0, 120.0, 25),
    observables=_il13_observables,
)


MRNA = Reference(
    states=("on", "m"),
    parameters={"k_on": 1.0 / 37.0, "k_off": 1.0 / 6.0, "k_tx": 0.5, "gamma": 0.0139},
    rhs=lambda t, y, p: np.array([p["k_on"] - (p["k_on"] + p["k_off"]) * y[0], p["k_tx"] * y[0] - p["gamma"] * y[1]]),
    y0=lambda p: np.zeros(2),
    times=np.linspace(0.0, 120.0, 25),
    observables=lambda y, p: {"mrna": y[1]},
)


def _warfarin_rhs(t: float, y: Vector, p: Values) -> Vector:
    depot, gut, body, activity = y
    conc = body / p["V"]
    synthesis = p["kout"] * p["pca0"] * (1.0 - p["Imax"] * conc / (p["IC50"] + conc))
    return np.array(
        [
            -p["ktr"] * depot,
            p["ktr"] * depot - p["ka"] * gut,
            p["ka"] * gut - p["CL"] * conc,
            synthesis - p["kout"] * activity,
        ]
    )


WARFARIN = Reference(
    states=("depot", "gut", "body", "P"),
    parameters={
        "ktr": 1.11,
        "ka": 0.917,
        "CL": 2.86e-3,
        "V": 0.143,
        "Imax": 0.968,
        "IC50": 1.5,
        "kout": 0.0408,
        "pca0": 100.0,
    },
    rhs=_warfarin_rhs,
    y0=lambda p: np.array([1.5, 0.0, 0.0, p["pca0"]]),
    times=np.linspace(0.0, 144.0, 49),
    observables=lambda y, p: {"concentration": y[2] / p["V"], "pca": y[3]},
)

#: Doses at time 0 that the start of a reference contains: state and amount, by model.
DOSES: Mapping[str, tuple[str, float]] = {"theophylline": ("gut", 4.02), "warfarin_pkpd": ("depot", 1.5)}

REFERENCES: Mapping[str, Reference] = {
    "ampicillin_timekill": AMPICILLIN,
    "cd8_crauste": CD8,
    "hiv_biphasic": HIV_BIPHASIC,
    "hiv_protease_inhibitor": HIV,
    "il13_raia": IL13,
    "influenza_teiv": INFLUENZA,
    "jakstat_swameye": JAKSTAT,
    "mrna_golding": MRNA,
    "sarscov2_teiv": SARSCOV2,
    "stat5_boehm": STAT5,
    "theophylline": THEOPHYLLINE,
    "warfarin_pkpd": WARFARIN,
}
