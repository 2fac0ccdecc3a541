"""Clones that divide by how well they bind an antigen, and the reads that sequencing takes of them.

    dn_i/dt = n_i (r a K_i / (1 + a K_i) - d (1 - m_i)),    a(t) = a0 exp(-c t) from the day of antigen on

as births and deaths with tau leaps: a clone with affinity K_i divides while there is antigen and contracts afterwards.
Divided cells leave a share of memory cells, which do not die in the time shown.

References:
    Gillespie, J Chem Phys 115:1716 (2001), doi:10.1063/1.1378322 (tau leaps); the saturating rate as in De Boer &
    Perelson, J Theor Biol 175:567 (1995), doi:10.1006/jtbi.1995.0165, without competition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from twin.errors import ProblemError


@dataclass(frozen=True)
class Response:
    """An antigen and how cells answer.

    Args:
        division: Largest rate of division [1/day].
        death: Rate of death of divided cells [1/day].
        memory: Share of daughters that are long-lived.
        antigen: Antigen at its beginning, in units in which an affinity of 1 is half-saturated at 1.
        clearance: Rate of loss of antigen [1/day].
        start: Day of infection or vaccination.
    """

    division: float = 1.6
    death: float = 0.4
    memory: float = 0.05
    antigen: float = 10.0
    clearance: float = 0.35
    start: float = 0.0

    def __post_init__(self) -> None:
        for name in ("division", "death", "antigen", "clearance"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ProblemError(f"{name} is {value}", where="Response", expected="a finite number of at least 0")
        if not 0 <= self.memory <= 1:
            raise ProblemError(f"memory is {self.memory}", where="Response", expected="a share from 0 to 1")


def expand(
    affinity: Float[np.ndarray, " clone"],
    sizes: Int[np.ndarray, " clone"],
    days: Sequence[float],
    response: Response | None = None,
    *,
    seed: int = 0,
    leap: float = 0.05,
) -> Int[np.ndarray, "day clone"]:
    """Cells of every clone on some days.

    Args:
        affinity: Affinity of each clone; 0 does not bind.
        sizes: Naive cells of each clone on day 0.
        days: Increasing days, from 0 on.
        response: The antigen and the cells.
        seed: Seed.
        leap: Length of a leap [day].

    Raises:
        ProblemError: days that do not increase, or negative affinities or sizes.
    """
    response = response or Response()
    when = np.asarray(days, dtype=float)
    if not len(when) or when[0] < 0 or (np.diff(when) <= 0).any():
        raise ProblemError(f"the days are {when.tolist()}", where="expand", expected="increasing days from 0 on")
    affinity, naive = np.asarray(affinity, dtype=float), np.asarray(sizes, dtype=np.int64).copy()
    if (affinity < 0).any() or (naive < 0).any():
        raise ProblemError("an affinity or a size is negative", where="expand", expected="numbers of at least 0")
    rng = np.random.default_rng(seed)
    effector, memory = np.zeros_like(naive), np.zeros_like(naive)
    seen, time = [], 0.0
    for day in when:
        while time < day - 1e-9:
            step = min(leap, day - time)
            since = time + step / 2 - response.start
            antigen = response.antigen * np.exp(-response.clearance * since) if since >= 0 else 0.0
            rate = response.division * antigen * affinity / (1 + antigen * affinity)
            # A dividing cell is replaced by two daughters, so none of a stage can leave twice within a leap.
            share = -np.expm1(-rate * step)
            from_naive, from_effector = rng.binomial(naive, share), rng.binomial(effector, share)
            daughters = 2 * (from_naive + from_effector)
            kept = rng.binomial(daughters, response.memory)
            dead = rng.binomial(effector - from_effector, -np.expm1(-response.death * step))
            naive = naive - from_naive
            effector = effector - from_effector - dead + daughters - kept
            memory = memory + kept
            time += step
        seen.append(naive + effector + memory)
    return np.stack(seen)


def sequence(cells: Int[np.ndarray, "day clone"], days: Sequence[float], reads: int, seed: int = 0) -> pd.DataFrame:
    """Reads of every clone on every day: cells sampled by their numbers; clones without a read are not seen.

    Returns:
        Columns day, clone, cells (the truth), reads.

    Raises:
        ProblemError: fewer than one read, or no cell.
    """
    if reads < 1 or not (np.asarray(cells).sum(axis=1) > 0).all():
        raise ProblemError(f"{reads} reads, and a day without cells or none", where="sequence", expected="at least 1")
    rng = np.random.default_rng(seed)
    parts = []
    for day, row in zip(days, cells, strict=True):
        drawn = rng.multinomial(reads, row / row.sum())
        seen = np.flatnonzero(drawn)
        parts.append(pd.DataFrame({"day": day, "clone": seen, "cells": row[seen], "reads": drawn[seen]}))
    return pd.concat(parts, ignore_index=True)
