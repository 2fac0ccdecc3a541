"""What moves a subject's parameter from the typical value: covariates, deviations that may be correlated, occasions.

The deviations of a block of parameters are ``omega_k * (L eta)_k`` with independent standard normal ``eta`` and the
Cholesky factor L of their correlation matrix. L is made from partial correlations r between -1 and 1,

    L[k, j] = r[k, j] * sqrt((1 - r[k, 0]^2) ... (1 - r[k, j-1]^2)),    L[k, k] = sqrt((1 - r[k, 0]^2) ...),

so that every matrix is positive definite; r[k, 0] is the correlation with the first of the block, r[k, j] that with the
j-th given those before it.

References:
    Lewandowski, Kurowicka & Joe (2009), doi:10.1016/j.jmva.2009.04.008, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from calibration.scales import from_scale
from twin.study import Scale

LARGEST_CORRELATION = 0.999


@dataclass(frozen=True)
class Shift:
    """A covariate's effect: ``coefficient * values`` on the estimation scale.

    Args:
        coefficient: An entry of the vector, or a number where `estimated` is False.
        values: The formula's value in every series.
        estimated: Whether the coefficient is an entry.
        formula: The formula.
    """

    coefficient: int | float
    values: Float[np.ndarray, " series"]
    estimated: bool
    formula: str


@dataclass
class Block:
    """Parameters whose deviations are correlated.

    Args:
        name: Its name.
        level: Level of all its parameters.
        members: Its parameters, in order.
        partial: Entries of the partial correlations of each parameter with those before it.
    """

    name: str
    level: str
    members: list[str] = field(default_factory=list)
    partial: list[list[int]] = field(default_factory=list)

    def row(self, theta: Float[Array, "parameter *draw"], member: int) -> list[Float[Array, "*draw"]]:
        """A row of the Cholesky factor of the correlation matrix, up to the diagonal."""
        left, row = jnp.ones(theta.shape[1:]), []
        for entry in self.partial[member]:
            r = from_scale(theta[entry], "atanh")
            row.append(r * left)
            left = left * jnp.sqrt(1.0 - r**2)
        return [*row, left]

    def factor(self, theta: Float[Array, " parameter"]) -> Float[Array, "member member"]:
        """The Cholesky factor of the correlation matrix for one vector."""
        size = len(self.members)
        rows = [self.row(theta, k) for k in range(size)]
        return jnp.stack([jnp.stack([*row, *[jnp.zeros(())] * (size - len(row))]) for row in rows])


@dataclass(frozen=True)
class Slot:
    """Where a parameter's value comes from in every series.

    On the estimation scale it is ``theta[value] + shifts + spread * (L eta) + occasion_spread * kappa``.

    Args:
        scale: Estimation scale.
        value: Entry of the typical (or only) value.
        eta: Entry of its own standardised deviation.
        between: Entry of the spread, or the spread itself.
        between_is_estimated: Which of the two.
        shifts: Effects of covariates.
        block: The block that it belongs to.
        member: Its place there.
        mixed: Entries of the deviations of the block's parameters up to this one.
        kappa: Entry of the standardised deviation of the occasion, one per series.
        occasions: Entry of the spread between a subject's occasions, or the spread itself.
        occasions_is_estimated: Which of the two.
    """

    scale: Scale
    value: Int[np.ndarray, " series"]
    eta: Int[np.ndarray, " series"] | None = None
    between: int | float | None = None
    between_is_estimated: bool = False
    shifts: tuple[Shift, ...] = ()
    block: Block | None = None
    member: int = 0
    mixed: tuple[Int[np.ndarray, " series"], ...] = ()
    kappa: Int[np.ndarray, " series"] | None = None
    occasions: int | float | None = None
    occasions_is_estimated: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is an entry of the vector in every series."""
        return self.eta is None and not self.shifts

    def spread(self, theta: Float[Array, "parameter *draw"]) -> Float[Array, "*draw"] | float:
        """The spread between subjects."""
        assert self.between is not None  # wherever there is an eta
        return theta[self.between] if self.between_is_estimated else self.between

    def centre(
        self, theta: Float[Array, "parameter draw"], series: Int[np.ndarray, " chosen"]
    ) -> Float[Array, "chosen draw"]:
        """Estimation scale without deviations: what is typical of subjects with these covariates."""
        value = theta[self.value[series]]
        for shift in self.shifts:
            coefficient = theta[shift.coefficient] if shift.estimated else shift.coefficient
            value = value + coefficient * shift.values[series][:, None]
        return value

    def score(
        self, theta: Float[Array, "parameter draw"], series: Int[np.ndarray, " chosen"]
    ) -> Float[Array, "chosen draw"]:
        """The deviation in units of the spread, standard normal: (L eta)."""
        if self.block is None:
            assert self.eta is not None
            return theta[self.eta[series]]
        row = self.block.row(theta, self.member)
        return sum(part * theta[eta[series]] for part, eta in zip(row, self.mixed, strict=True))  # type: ignore[return-value]

    def occasion_spread(self, theta: Float[Array, "parameter *draw"]) -> Float[Array, "*draw"] | float:
        """The spread between the occasions of a subject."""
        assert self.occasions is not None  # wherever there is a kappa
        return theta[self.occasions] if self.occasions_is_estimated else self.occasions

    def of_subject(
        self, theta: Float[Array, "parameter draw"], series: Int[np.ndarray, " chosen"]
    ) -> Float[Array, "chosen draw"]:
        """Values on the estimation scale without what is due to the occasion."""
        value = self.centre(theta, series)
        return value if self.eta is None else value + self.spread(theta) * self.score(theta, series)

    def at(
        self, theta: Float[Array, "parameter draw"], series: Int[np.ndarray, " chosen"]
    ) -> Float[Array, "chosen draw"]:
        """Values on the estimation scale."""
        value = self.of_subject(theta, series)
        return value if self.kappa is None else value + self.occasion_spread(theta) * theta[self.kappa[series]]

    def entries(self, series: list[int]) -> set[int]:
        """Entries of the vector on which the value in some of the series depends."""
        found = {int(self.value[i]) for i in series}
        found |= {int(eta[i]) for eta in self.mixed or ((self.eta,) if self.eta is not None else ()) for i in series}
        found |= {int(shift.coefficient) for shift in self.shifts if shift.estimated}
        if self.between_is_estimated:
            found.add(int(self.between))  # type: ignore[arg-type]  # an entry where it is estimated
        if self.kappa is not None:
            found |= {int(self.kappa[i]) for i in series}
        if self.occasions_is_estimated:
            found.add(int(self.occasions))  # type: ignore[arg-type]
        return found if self.block is None else found | set(self.block.partial[self.member])
