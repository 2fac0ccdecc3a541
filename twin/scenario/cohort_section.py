"""The cohort of a scenario file: distributions, a posterior that was stored, or a table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twin.cohort.cohort import Cohort
from twin.cohort.distributions import Beta, Choice, Gamma, LogNormal, LogUniform, Normal, Triangular, Uniform
from twin.errors import TwinError
from twin.located_yaml import Place

DISTRIBUTIONS: dict[str, Callable[..., Any]] = {
    "normal": Normal,
    "log_normal": LogNormal,
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "gamma": Gamma,
    "beta": Beta,
    "triangular": Triangular,
    "choice": Choice,
}
_DRAWN = ("size", "parameters", "covariates", "correlations", "constraints")
_POSTERIOR = ("size", "posterior", "names")
_TABLE = ("table", "covariates", "ignore")


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Faults of what is built here, with file, line and key."""
    try:
        yield
    except TwinError as error:
        if error.where is not None and error.where.startswith(f"{place.file}, line "):
            raise
        found = error.found if error.where is None else f"{error.where}: {error.found}"
        raise place.fault(found, error.expected, error.fix) from error


def read_cohort(place: Place, folder: Path, seed: int) -> Cohort:
    """Read the section `cohort`.

    Args:
        place: The section.
        folder: What paths are relative to.
        seed: Seed of all draws.

    Raises:
        ScenarioError: Something is wrong; line and key are named.
    """
    given = place.mapping()
    kinds = [key for key in ("parameters", "posterior", "table") if key in given]
    if len(kinds) != 1:
        found = f"it has {' and '.join(kinds) or 'no patients'}"
        raise place.fault(found, "one of parameters (distributions), posterior (a file), table (a file)")
    with at(place):
        if kinds == ["posterior"]:
            return _from_posterior(place, folder, seed)
        return _from_table(place, folder) if kinds == ["table"] else _drawn(place, seed)


def _drawn(place: Place, seed: int) -> Cohort:
    given = place.mapping(_DRAWN, ("size", "parameters"))
    size = given["size"].whole(1)
    parameters, covariates = (
        {name: _value(item) for name, item in given[key].mapping().items()} if key in given else {}
        for key in ("parameters", "covariates")
    )
    correlations = {}
    for item in given["correlations"].items() if "correlations" in given else ():
        pair = item.mapping(("between", "value"), ("between", "value"))
        names = [name.text() for name in pair["between"].items()]
        if len(names) != 2:
            raise pair["between"].fault(f"it has {len(names)} names", "two names")
        correlations[names[0], names[1]] = pair["value"].number()
    constraints = [item.text() for item in given["constraints"].items()] if "constraints" in given else []
    return Cohort(
        size, parameters, covariates=covariates, correlations=correlations, constraints=constraints, seed=seed
    )


def _value(place: Place) -> Any:
    """A number, a formula, or a distribution such as {log_normal: {median: 2, cv: 0.3}}."""
    if not place.is_mapping():
        return place.number() if place.is_number() else place.text()
    given = place.mapping(tuple(DISTRIBUTIONS))
    if len(given) != 1:
        raise place.fault(f"here stand {len(given)} distributions", "one, such as {log_normal: {median: 2, cv: 0.3}}")
    name, inner = next(iter(given.items()))
    known = tuple(inspect.signature(DISTRIBUTIONS[name]).parameters)
    arguments = {
        key: [each.number() for each in item.items()] if item.is_list() else item.number()
        for key, item in inner.mapping(known).items()
    }
    needed = [k for k, p in inspect.signature(DISTRIBUTIONS[name]).parameters.items() if p.default is p.empty]
    for key in needed:
        if key not in arguments:
            raise inner.fault(f"the key {key!r} is missing", ", ".join(known))
    with at(inner):
        return DISTRIBUTIONS[name](**arguments)


def _from_posterior(place: Place, folder: Path, seed: int) -> Cohort:
    import xarray as xr

    given = place.mapping(_POSTERIOR)
    path = existing_file(given["posterior"], folder)
    try:
        with xr.open_datatree(path, engine="h5netcdf") as tree:
            posterior = tree.load()
    except (OSError, ValueError, KeyError) as error:
        found = f"it holds no posterior that can be read ({error})"
        raise given["posterior"].fault(found, "the posterior.nc of twin calibrate") from error
    names = [item.text() for item in given["names"].items()] if "names" in given else None
    size = given["size"].whole(1) if "size" in given else None
    return Cohort.from_posterior(posterior, size, names=names, seed=seed)


def _from_table(place: Place, folder: Path) -> Cohort:
    given = place.mapping(_TABLE)
    path = existing_file(given["table"], folder)
    texts = {k: [item.text() for item in given[k].items()] for k in ("covariates", "ignore") if k in given}
    return Cohort.from_table(path, **texts)


def existing_file(place: Place, folder: Path) -> Path:
    """The path of a file that is there.

    Raises:
        ScenarioError: There is none.
    """
    path = folder / place.text()
    if not path.is_file():
        raise place.fault(f"there is no file {place.text()!r}", f"a path relative to {place.file}")
    return path
