"""Models, datasets and studies by name, from every installed package that offers some.

A package offers a `Library` through the entry-point group ``twin.models``:

    [project.entry-points."twin.models"]
    mylab = "mylab.catalogue:LIBRARY"

The library maps names to places ("module:attribute"), so listing what there is imports no mechanism; a
module is imported when one of its names is asked for.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from twin.errors import LibraryError, suggestion

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import pandas as pd

    from twin.model.model import Model
    from twin.plausibility import Rule
    from twin.study import Study

GROUP = "twin.models"

#: Columns of every dataset file, in this order; one with interval-censored readings has "upper" after them.
COLUMNS = ("experiment", "subject", "observable", "time", "value", "noise", "censoring")
_NUMBERS = ("time", "value", "noise")

Kind = Literal["models", "datasets", "studies"]
_SINGULAR: Mapping[Kind, str] = {"models": "model", "datasets": "dataset", "studies": "study"}


@dataclass(frozen=True)
class Card:
    """A published mechanism with what a reader needs to trust it.

    Published estimates of parameters live in the model's parameters (`twin.model.parts.Published`).

    Args:
        model: The mechanism.
        title: What it describes, in one line.
        equations: Pairs of the number of an equation in the paper and its LaTeX.
        references: BibTeX entries, each with a DOI where the work has one.
        valid_range: Where the mechanism may be used and how it fails outside.
        notes: Departures from the paper, choices of ours, and what could not be checked.
        rules: Plausible ranges with their sources, checked on posterior draws (`twin.plausibility`).

    Raises:
        ModelError: A rule cannot be checked; the message names card and rule.
    """

    model: Model
    title: str
    equations: tuple[tuple[str, str], ...]
    references: tuple[str, ...]
    valid_range: str
    notes: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if self.rules:
            from twin.plausibility import check_rules  # listing the library should import no model

            check_rules(self.model, self.rules)


@dataclass(frozen=True)
class Dataset:
    """Published measurements: a CSV file in one schema with its provenance.

    Args:
        name: Name in the library.
        package: Import package that holds the file.
        file: Path of the file inside that package, with forward slashes.
        title: What was measured, in one line.
        citation: The publication, as text.
        doi: DOI of the publication; empty where it has none.
        time_unit: Unit of the `time` column.
        units: Unit of the `value` column (and of `noise`), by observable.
        notes: How the numbers were read, converted and checked.
        doubts: What is still uncertain about them.
    """

    name: str
    package: str
    file: str
    title: str
    citation: str
    doi: str
    time_unit: str
    units: Mapping[str, str]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @classmethod
    def from_csv(cls, name: str, package: str, file: str) -> Dataset:
        """Dataset described by the header of its own file.

        The header is lines ``# key: text``. Keys are title, citation, doi, time (the unit), unit (an
        observable, then its unit), note and doubt; the last three may repeat.

        Raises:
            LibraryError: The file is missing, or its header lacks a required key.
        """
        fields: dict[str, list[str]] = {}
        for line in _header(_resource(package, file, name)):
            key, _, text = line.partition(":")
            fields.setdefault(key.strip(), []).append(text.strip())
        known = {"title", "citation", "doi", "time", "unit", "note", "doubt"}
        if unknown := sorted(set(fields) - known):
            raise LibraryError(
                f"the header has the unknown key {unknown[0]!r}",
                where=file,
                fix=suggestion(unknown[0], known),
            )
        for key in ("title", "citation", "time", "unit"):
            if key not in fields:
                raise LibraryError(f"the header has no line '# {key}: ...'", where=file)
        units = dict(line.split(None, 1) for line in fields["unit"])
        return cls(
            name=name,
            package=package,
            file=file,
            title=fields["title"][0],
            citation=fields["citation"][0],
            doi=fields.get("doi", [""])[0],
            time_unit=fields["time"][0],
            units=units,
            notes=tuple(fields.get("note", ())),
            doubts=tuple(fields.get("doubt", ())),
        )

    @property
    def path(self) -> Traversable:
        """The file, as a resource of its package (`importlib.resources`)."""
        return _resource(self.package, self.file, self.name)

    def split_path(self, kind: str) -> Traversable:
        """The file of a fixed split of these readings, in the folder ``splits`` beside the data; it may be missing.

        Args:
            kind: Name of the split: "time", "subject" or "experiment".
        """
        folder = self.file.split("/")[:-1]
        return importlib.resources.files(self.package).joinpath(*folder, "splits", f"{self.name}_{kind}.csv")

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes, in hexadecimal, for provenance."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def load(self) -> pd.DataFrame:
        """The table of readings, read but not validated.

        Returns:
            Columns `COLUMNS`: experiment, subject, observable and censoring are text ("" for not censored),
            time, value and noise are float64 (NaN where no noise was published).

        Raises:
            LibraryError: The file's columns are not the schema's.
        """
        import pandas as pd  # heavy; listing the library should not pay for it

        with self.path.open("r", encoding="utf-8") as stream:
            text = pd.read_csv(stream, comment="#", dtype=str, keep_default_na=False)
        if tuple(text.columns) not in (COLUMNS, (*COLUMNS, "upper")):
            raise LibraryError(
                f"the columns are {', '.join(text.columns)}", where=self.file, expected=", ".join(COLUMNS)
            )
        numbers = [name for name in (*_NUMBERS, "upper") if name in text]
        return text.assign(**{name: text[name].replace("", "nan").astype("float64") for name in numbers})


@dataclass(frozen=True)
class Library:
    """What one package offers. Places are "module:attribute"; nothing is imported before it is asked for.

    Args:
        name: Name of the package, for messages.
        models: Place of a `Card` by the name of its model.
        datasets: Place of a `Dataset` by name.
        studies: Place of a `twin.study.Study` by name.
    """

    name: str
    models: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    studies: Mapping[str, str] = field(default_factory=dict)


def list_models() -> tuple[str, ...]:
    """Names of all models, sorted."""
    return _names("models")


def list_datasets() -> tuple[str, ...]:
    """Names of all datasets, sorted."""
    return _names("datasets")


def list_studies() -> tuple[str, ...]:
    """Names of all studies, sorted."""
    return _names("studies")


def card(name: str) -> Card:
    """The card of a model.

    Raises:
        LibraryError: No package offers the model, or several do.
    """
    return _get("models", name)


def load_model(name: str) -> Model:
    """A model of the library.

    Raises:
        LibraryError: No package offers it, or several do.
    """
    return card(name).model


def dataset(name: str) -> Dataset:
    """A dataset of the library.

    Raises:
        LibraryError: No package offers it, or several do.
    """
    return _get("datasets", name)


def study(name: str) -> Study:
    """A study of the library.

    Raises:
        LibraryError: No package offers it, or several do.
    """
    return _get("studies", name)


def libraries() -> tuple[Library, ...]:
    """The libraries of all installed packages, in the order of their entry points' names.

    Raises:
        LibraryError: A package's entry point cannot be loaded or is no `Library`.
    """
    found = []
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        library = _load_entry(entry)
        # An editable install beside a wheel lists the same entry point twice.
        if library not in found:
            found.append(library)
    return tuple(found)


def _load_entry(entry: importlib.metadata.EntryPoint) -> Library:
    where = f"entry point {entry.name!r} = {entry.value!r} of group {GROUP!r}"
    try:
        library = entry.load()
    except (ImportError, AttributeError) as error:
        raise LibraryError(
            f"it cannot be loaded ({error})", where=where, fix="reinstall or remove that package"
        ) from error
    if not isinstance(library, Library):
        raise LibraryError(f"it is a {type(library).__name__}", where=where, expected="a twin.library.Library")
    return library


def _names(kind: Kind) -> tuple[str, ...]:
    return tuple(sorted({name for library in libraries() for name in getattr(library, kind)}))


def _get(kind: Kind, name: str) -> Any:
    offers = [(library, getattr(library, kind)[name]) for library in libraries() if name in getattr(library, kind)]
    word = _SINGULAR[kind]
    if not offers:
        raise LibraryError(f"no installed package offers a {word} {name!r}", fix=suggestion(name, _names(kind)))
    if len(offers) > 1:
        owners = " and ".join(library.name for library, _ in offers)
        raise LibraryError(
            f"the {word} {name!r} is offered by {owners}",
            expected="one package per name",
            fix="rename it in one of them, or uninstall one",
        )
    return _resolve(offers[0][1], f"{word} {name!r} of {offers[0][0].name}")


@functools.cache
def _resolve(place: str, where: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise LibraryError(f"{module} cannot be imported ({error})", where=where) from error
    except AttributeError as error:
        raise LibraryError(f"{place} does not exist ({error})", where=where) from error


def _resource(package: str, file: str, name: str) -> Traversable:
    path = importlib.resources.files(package).joinpath(*file.split("/"))
    if not path.is_file():
        raise LibraryError(f"the file {file!r} is not in {package}", where=f"dataset {name!r}")
    return path


def _header(path: Traversable) -> list[str]:
    lines = []
    with path.open("r", encoding="utf-8") as stream:
        for line in stream:
            if not line.startswith("#"):
                break
            lines.append(line[1:].strip())
    return lines
