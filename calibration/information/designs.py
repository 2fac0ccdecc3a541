"""Designs and estimators of global sensitivity analysis: the only file that knows SALib.

SALib is that of Iwanaga, Usher & Herman (2022), Socio-Environmental Systems Modelling 4, 18155,
doi:10.18174/sesmo.18155, and Herman & Usher (2017), JOSS 2, 97, doi:10.21105/joss.00097.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from twin.errors import LibraryError, ProblemError

try:
    from SALib.analyze import morris as morris_analysis
    from SALib.analyze import sobol as sobol_analysis
    from SALib.sample import morris as morris_sample
    from SALib.sample import sobol as sobol_sample
except ImportError:
    raise LibraryError(
        "global sensitivity analysis needs the package SALib", fix="pip install 'cytotwin[sensitivity]'"
    ) from None

type Cube = Float[np.ndarray, "run parameter"]

LEVELS = 4
"""Levels of Morris' grid; with steps of 2/3 all of them are equally frequent (Morris 1991, section 3)."""


class AbstractDesign(ABC):
    """A design in the unit cube, made of blocks that stand alone, and the estimator that belongs to it.

    Args:
        parameters: Number of parameters.
        samples: Number of blocks.
        seed: Seed of the design and of the bootstrap.
    """

    method: ClassVar[str]
    indices: ClassVar[dict[str, str]]
    """What SALib calls each index, and what it is."""
    main: ClassVar[str]
    """The index that parameters are ranked by."""
    interval: ClassVar[str]
    """Half-width of its interval."""

    def __init__(self, parameters: int, samples: int, seed: int) -> None:
        self.parameters, self.samples = parameters, samples
        # SALib takes a seed of 0 for none in one place, and then draws from NumPy's global state.
        self.seed = seed + 1
        self.check()
        names = [f"x{index}" for index in range(parameters)]
        self._space: dict[str, Any] = {"num_vars": parameters, "names": names, "bounds": [[0.0, 1.0]] * parameters}

    @property
    @abstractmethod
    def block(self) -> int:
        """Runs of a block. If one of them fails, all are left out: the other blocks are a design without it."""

    @abstractmethod
    def check(self) -> None:
        """Refuses numbers of samples that the method cannot use."""

    @abstractmethod
    def cube(self) -> Cube:
        """The runs, block after block."""

    @abstractmethod
    def estimate(
        self, cube: Cube, values: Float[np.ndarray, " run"], confidence: float, resamples: int
    ) -> dict[str, Float[np.ndarray, " parameter"]]:
        """Indices from the values of one output at the runs of whole blocks."""


class Sobol(AbstractDesign):
    """Shares of the variance: first-order and total indices by Saltelli's design.

    References:
        Sobol', I. M. (2001). Mathematics and Computers in Simulation 55, 271-280.
        Saltelli, A. et al. (2010). Computer Physics Communications 181, 259-270, table 2, (b) and (f).
    """

    method = "sobol"
    indices: ClassVar[dict[str, str]] = {
        "S1": "first-order index: share of the variance that the parameter explains alone",
        "S1_conf": "half-width of the interval of S1",
        "ST": "total index: share of the variance that is gone if all but this parameter are known",
        "ST_conf": "half-width of the interval of ST",
    }
    main, interval = "ST", "ST_conf"

    @property
    def block(self) -> int:
        return self.parameters + 2

    def check(self) -> None:
        if self.samples < 2 or self.samples & (self.samples - 1):
            near = 2 ** max(int(np.ceil(np.log2(max(self.samples, 2)))), 1)
            raise ProblemError(
                f"samples is {self.samples}",
                where="sensitivity",
                expected="a power of 2, as Sobol's sequence asks for",
                fix=f"for instance {near}",
            )

    def cube(self) -> Cube:
        return sobol_sample.sample(self._space, self.samples, calc_second_order=False, seed=self.seed)

    def estimate(self, cube, values, confidence, resamples):
        found = sobol_analysis.analyze(
            self._space, values, calc_second_order=False, num_resamples=resamples, conf_level=confidence, seed=self.seed
        )
        return {name: np.asarray(found[name], dtype=float) for name in self.indices}


class Morris(AbstractDesign):
    """Elementary effects: screening with few runs.

    An effect is the change of the output over the whole way of a parameter, at the slope of one step of 2/3 of it.

    References:
        Morris, M. D. (1991). Technometrics 33, 161-174.
        Campolongo, F., Cariboni, J. & Saltelli, A. (2007). Environmental Modelling & Software 22, 1509-1518.
    """

    method = "morris"
    indices: ClassVar[dict[str, str]] = {
        "mu_star": "mean size of the elementary effects, in the unit of the output",
        "mu_star_conf": "half-width of the interval of mu_star",
        "mu": "mean of the elementary effects, in the unit of the output",
        "sigma": "standard deviation of the elementary effects: interactions and curvature",
    }
    main, interval = "mu_star", "mu_star_conf"

    @property
    def block(self) -> int:
        return self.parameters + 1

    def check(self) -> None:
        if self.samples < 2:
            raise ProblemError(f"samples is {self.samples}", where="sensitivity", expected="at least 2 trajectories")

    def cube(self) -> Cube:
        return morris_sample.sample(self._space, self.samples, num_levels=LEVELS, seed=self.seed)

    def estimate(self, cube, values, confidence, resamples):
        found = morris_analysis.analyze(
            self._space, cube, values, num_resamples=resamples, conf_level=confidence, num_levels=LEVELS, seed=self.seed
        )
        return {name: np.asarray(found[name], dtype=float) for name in self.indices}


DESIGNS: dict[str, type[AbstractDesign]] = {design.method: design for design in (Sobol, Morris)}
