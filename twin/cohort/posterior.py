"""Draws of a posterior in ArviZ's schema as columns, one row per draw of every chain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from twin.cohort.formulas import Columns
from twin.errors import ExperimentError, suggestion


def columns(posterior: xr.DataTree | xr.Dataset, names: Sequence[str] | None) -> Columns:
    """Variables with one value per draw, chains one after the other.

    Args:
        posterior: A tree with a group "posterior", or that group.
        names: Which variables; None: all that have no further dimensions.

    Raises:
        ExperimentError: No posterior, no such variable, or values that are not finite.
    """
    group = _group(posterior)
    for name in names or ():
        if name not in group.data_vars:
            raise ExperimentError(
                f"there is no variable {name!r}", where="posterior", fix=suggestion(name, map(str, group.data_vars))
            )
        if set(group[name].dims) != {"chain", "draw"}:
            found = f"{name!r} has dimensions {', '.join(map(str, group[name].dims))}"
            raise ExperimentError(found, where="posterior", expected="one value per draw (chain, draw)")
    chosen = names if names is not None else [n for n, v in group.data_vars.items() if set(v.dims) == {"chain", "draw"}]
    if not chosen or not group.sizes["chain"] * group.sizes["draw"]:
        raise ExperimentError("no variable has one value per draw", where="posterior", expected="at least one")
    found = {}
    for name in chosen:
        values = group[name].transpose("chain", "draw").to_numpy().astype(float)
        if not np.isfinite(values).all():
            chain, draw = map(int, np.argwhere(~np.isfinite(values))[0])
            raise ExperimentError(
                f"{name!r} is {values[chain, draw]} in draw {draw} of chain {chain}",
                where="posterior",
                expected="finite values",
            )
        found[str(name)] = values.ravel()
    return found


def _group(posterior: object) -> xr.Dataset:
    if isinstance(posterior, xr.DataTree):
        if "posterior" in posterior.children:
            return posterior["posterior"].to_dataset()
        posterior = posterior.to_dataset()
    if not isinstance(posterior, xr.Dataset):
        found = f"it is a {type(posterior).__name__}"
        raise ExperimentError(found, where="posterior", expected="an xarray.DataTree or Dataset in ArviZ's schema")
    if not {"chain", "draw"} <= set(posterior.dims):
        found = f"its dimensions are {', '.join(map(str, posterior.dims)) or 'none'}"
        raise ExperimentError(found, where="posterior", expected="dimensions chain and draw")
    return posterior
