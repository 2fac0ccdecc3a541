"""Starting points of a multi-start fit: a Latin hypercube through the priors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from calibration.priors import PriorDensity


def latin_hypercube(prior: PriorDensity, count: int, seed: int) -> Float[np.ndarray, "start parameter"]:
    """Points that fill the prior evenly (for uniform priors: the box of the bounds).

    Args:
        prior: Priors of the vector.
        count: Number of points.
        seed: Seed of the hypercube.
    """
    cube = qmc.LatinHypercube(len(prior.lower), rng=np.random.default_rng(seed)).random(count)
    return prior.quantile(cube)
