"""Covariance functions that scikit-learn does not have: a kernel on chosen columns, and "same label"."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel


class OnColumns(Kernel):
    """A kernel that sees only some columns of its input.

    Args:
        kernel: The kernel to apply.
        columns: Indices of the columns it sees.
    """

    def __init__(self, kernel: Kernel, columns: tuple[int, ...]) -> None:
        self.kernel = kernel
        self.columns = columns

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        params: dict[str, Any] = {"kernel": self.kernel, "columns": self.columns}
        if deep:
            params.update({f"kernel__{key}": value for key, value in self.kernel.get_params().items()})
        return params

    @property
    def hyperparameters(self) -> list[Hyperparameter]:
        return [
            Hyperparameter(f"kernel__{h.name}", h.value_type, h.bounds, h.n_elements)
            for h in self.kernel.hyperparameters
        ]

    @property
    def theta(self) -> np.ndarray:
        return self.kernel.theta

    @theta.setter
    def theta(self, theta: np.ndarray) -> None:
        self.kernel.theta = theta

    @property
    def bounds(self) -> np.ndarray:
        return self.kernel.bounds

    def _of(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(X)[:, list(self.columns)]

    def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
        return self.kernel(self._of(X), None if Y is None else self._of(Y), eval_gradient=eval_gradient)

    def diag(self, X: np.ndarray) -> Any:
        return self.kernel.diag(self._of(X))

    def is_stationary(self) -> Any:
        return self.kernel.is_stationary()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OnColumns) and (self.kernel, self.columns) == (other.kernel, other.columns)

    def __repr__(self) -> str:
        return f"{self.kernel!r} on {self.columns}"


class SameLabel(Kernel):
    """k(x, x') = 1 where one column holds the same label, else 0. No hyperparameters.

    Times another kernel it gives every label its own independent function.

    Args:
        column: Index of the column with integer labels.
    """

    def __init__(self, column: int) -> None:
        self.column = column

    def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
        left = np.asarray(X)[:, self.column]
        right = left if Y is None else np.asarray(Y)[:, self.column]
        same = (left[:, None] == right[None, :]).astype(float)
        return (same, np.empty((*same.shape, 0))) if eval_gradient else same

    def diag(self, X: np.ndarray) -> Any:
        return np.ones(len(X))

    def is_stationary(self) -> Any:
        return False

    def __repr__(self) -> str:
        return f"SameLabel({self.column})"
