"""Trust-region steps that stay strictly inside the bounds and reflect on them, of all starts at once.

With g the gradient, H the curvature and v the distance to the bound towards which -g points (1 if there is none), a
step s = |v|^(1/2) z minimises in the ball |z| <= radius

    m(z) = b^T z + z^T B z / 2,   b = |v|^(1/2) g,   B = |v|^(1/2) H |v|^(1/2) + diag(|g|).

The last term is the derivative of v. So entries slow down before a bound that is in their way, and those that run away
from one are not held up. If the step leaves the bounds, the best of three is taken by the model: the step up to the
bound, its reflection there, and the steepest descent; all stay strictly inside. Nothing is projected.

References:
    Coleman & Li, SIAM J. Optim. 6:418-445 (1996), doi:10.1137/0806023, equations 2.5 to 2.7 (the scaling), and Math.
    Program. 67:189-224 (1994), doi:10.1007/BF01582221 (the reflection). Branch, Coleman & Li, SIAM J. Sci. Comput.
    21:1-23 (1999), doi:10.1137/S1064827595289108. Fröhlich & Sorger, PLoS Comput. Biol. 18:e1010322 (2022),
    doi:10.1371/journal.pcbi.1010322 (for models of this kind).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.optimise.along_bounds import Steps
from calibration.optimise.ball import in_ball

FURTHEST = 0.95
"""Of the way to a bound, far from an optimum; the share grows to 1 as the scaled gradient falls."""

type Vectors = Float[np.ndarray, "start parameter"]
type Numbers = Float[np.ndarray, " start"]


@dataclass(frozen=True)
class _Model:
    """The quadratic models in scaled coordinates.

    Args:
        theta: Where the starts are.
        root: |v|^(1/2).
        slope: b.
        bend: B.
        lower: Lower bounds.
        upper: Upper bounds.
    """

    theta: Vectors
    root: Vectors
    slope: Vectors
    bend: Float[np.ndarray, "start parameter parameter"]
    lower: Float[np.ndarray, " parameter"]
    upper: Float[np.ndarray, " parameter"]

    def rows(self, index: np.ndarray) -> _Model:
        """Those of some starts."""
        return _Model(self.theta[index], self.root[index], self.slope[index], self.bend[index], self.lower, self.upper)

    def __call__(self, z: Vectors) -> Numbers:
        return np.einsum("sp,sp->s", self.slope, z) + 0.5 * np.einsum("sp,spq,sq->s", z, self.bend, z)

    def room(self, origin: Vectors, ray: Vectors) -> tuple[Numbers, Bool[np.ndarray, "start parameter"]]:
        """The multiple of each ray at which it meets the first bound, and the entries that meet theirs there."""
        at, step = self.theta + self.root * origin, self.root * ray
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            each = np.where(step > 0, (self.upper - at) / step, np.where(step < 0, (self.lower - at) / step, np.inf))
        first = each.min(axis=1)
        return first, each <= first[:, None]

    def lowest(self, origin: Vectors, ray: Vectors, least: Numbers, most: Numbers) -> Vectors:
        """The minimiser on the piece of a ray between two multiples of it."""
        first = np.einsum("sp,sp->s", self.slope + np.einsum("spq,sq->sp", self.bend, origin), ray)
        second = np.einsum("sp,spq,sq->s", ray, self.bend, ray)
        with np.errstate(divide="ignore", invalid="ignore"):
            # A model that bends downwards along the ray is lowest at its end.
            best = np.where(second > 0, -first / second, most)
        reach = np.clip(np.where(np.isfinite(best), best, 0.0), least, np.maximum(most, least))
        return origin + reach[:, None] * ray


def steps_inside(
    theta: Vectors,
    gradient: Vectors,
    curvature: Float[np.ndarray, "start parameter parameter"],
    radius: Numbers,
    lower: Float[np.ndarray, " parameter"],
    upper: Float[np.ndarray, " parameter"],
) -> Steps:
    """The step of every start.

    Args:
        theta: Where they are, strictly inside the bounds.
        gradient: Gradients there.
        curvature: Hessians or their approximations, symmetric.
        radius: Radii of the trust regions, in scaled coordinates.
        lower: Lower bounds, or minus infinity.
        upper: Upper bounds, or infinity.
    """
    distance = np.where(gradient < 0, upper - theta, theta - lower)
    bounded = np.isfinite(distance)
    root = np.sqrt(np.where(bounded, distance, 1.0))
    bend = root[:, :, None] * curvature * root[:, None, :]
    np.einsum("spp->sp", bend)[...] += np.where(bounded, np.abs(gradient), 0.0)
    model = _Model(theta, root, root * gradient, bend, lower, upper)
    z, free = in_ball(model.slope, bend, radius)
    room, meets = model.room(np.zeros_like(z), z)
    leaves = np.flatnonzero(room <= 1.0)
    if len(leaves):
        z[leaves] = _turned(model.rows(leaves), z[leaves], room[leaves], meets[leaves], radius[leaves])
        free[leaves] = False
    trial = theta + root * z
    # Rounding may put a point on a bound: halfway back to where it came from.
    out = (trial <= lower) | (trial >= upper)
    trial = np.where(out, 0.5 * (theta + np.clip(trial, lower, upper)), trial)
    return Steps(trial, trial - theta, np.linalg.norm(z, axis=1), free)


def _turned(model: _Model, z: Vectors, room: Numbers, meets: np.ndarray, radius: Numbers) -> Vectors:
    """The best step inside the bounds, for steps that would leave them."""
    zero, none = np.zeros_like(z), np.zeros(len(z))
    size = np.linalg.norm(model.slope, axis=1)
    share = np.maximum(FURTHEST, 1.0 - size)
    on_bound = room[:, None] * z
    cut = share[:, None] * on_bound
    turned = np.where(meets, -z, z)
    next_room, _ = model.room(on_bound, turned)
    # Where the reflected ray leaves the ball: the positive root of |on_bound + t turned| = radius.
    square, cross = np.sum(turned**2, axis=1), np.sum(on_bound * turned, axis=1)
    rest = np.maximum(radius**2 - np.sum(on_bound**2, axis=1), 0.0)
    ball = (-cross + np.sqrt(cross**2 + square * rest)) / np.maximum(square, np.finfo(float).tiny)
    reach = np.minimum(next_room, ball)
    # It begins on the bound, so it has to go some way to be inside.
    reflected = model.lowest(on_bound, turned, (1 - share) * reach, share * reach)
    downhill_room, _ = model.room(zero, -model.slope)
    longest = np.minimum(share * downhill_room, radius / np.maximum(size, np.finfo(float).tiny))
    steepest = model.lowest(zero, -model.slope, none, longest)
    candidates = np.stack([cut, reflected, steepest])
    values = np.stack([model(candidate) for candidate in candidates])
    best = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=0)
    return candidates[best, np.arange(len(z))]
