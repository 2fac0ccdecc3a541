"""``twin models``: what there is in the library, and the card of one model."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from twin.commands.command import Command
from twin.commands.tables import figure, terminal_width, text_table
from twin.errors import LibraryError, suggestion

if TYPE_CHECKING:
    from twin.library import Card, Dataset
    from twin.model.model import Model
    from twin.study import Study


def configure(parser: ArgumentParser) -> None:
    """Arguments of ``twin models``."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a model, dataset or study: show all about it")
    parser.add_argument("--bibtex", action="store_true", help="only the references, as BibTeX")


def run(args: Namespace) -> int:
    """Print the library, or all about one name."""
    from twin import library

    if args.name is None:
        print(_bibtex(library.list_models()) if args.bibtex else _overview())
        return 0
    known = (*library.list_models(), *library.list_datasets(), *library.list_studies())
    if args.name not in known:
        raise LibraryError(
            f"no installed package offers a model, dataset or study {args.name!r}",
            fix=suggestion(args.name, set(known)),
        )
    if args.bibtex:
        print(_bibtex([_model_of(args.name)]))
        return 0
    parts = []
    if args.name in library.list_models():
        parts.append(card_text(library.card(args.name)))
    if args.name in library.list_datasets():
        parts.append(dataset_text(library.dataset(args.name)))
    if args.name in library.list_studies():
        parts.append(study_text(library.study(args.name)))
    print("\n\n".join(parts))
    return 0


def _overview() -> str:
    from twin import library

    cards = [library.card(name) for name in library.list_models()]
    models_table = text_table(
        ("model", "states", "parameters", "what"),
        [(c.model.name, str(len(c.model.state_names)), str(len(c.model.parameter_names)), c.title) for c in cards],
        left=(0, 3),
    )
    sets = [library.dataset(name) for name in library.list_datasets()]
    datasets_table = text_table(("dataset", "what"), [(d.name, d.title) for d in sets], left=(0, 1))
    studies = [library.study(name) for name in library.list_studies()]
    studies_table = text_table(
        ("study", "model", "holds out", "what"),
        [(s.name, s.model, ", ".join(s.splits), s.description) for s in studies],
        left=(0, 1, 2, 3),
    )
    return "\n\n".join(
        (models_table, datasets_table, studies_table, "'twin models NAME' tells all about a model, dataset or study.")
    )


def card_text(card: Card) -> str:
    """Everything about a model: its equations, parameters with published values, sources, valid range."""
    model = card.model
    from twin import library

    lines = [card.title, "", str(model), "", "Equations as published"]
    lines += [f"  ({number})  {latex}" for number, latex in card.equations]
    lines += ["", "Published values", *_indent(_published(model)), "", "Where the values come from"]
    lines += [line for p in model.parameters for line in _wrapped(f"{p.name}: {p.source or 'no source given'}")]
    lines += ["", "Valid range", *_wrapped(card.valid_range)]
    if card.rules:
        ruled = (f"{rule.name}: {rule.source}" for rule in card.rules)
        lines += ["", "Rules of plausible biology", *(line for text in ruled for line in _wrapped(text, "- "))]
    if card.notes:
        lines += ["", "Notes", *(line for note in card.notes for line in _wrapped(note, "- "))]
    lines += ["", "References", *(line for entry in card.references for line in _indent(entry))]
    uses = [s for s in map(library.study, library.list_studies()) if s.model == model.name]
    if uses:
        lines += ["", "Studies", *_indent("\n".join(f"{s.name}: {s.description}" for s in uses))]
    return "\n".join(lines)


def dataset_text(dataset: Dataset) -> str:
    """Everything about a dataset."""
    lines = [f"Dataset {dataset.name}", *_wrapped(dataset.title), ""]
    lines += _wrapped(f"{dataset.citation}{f', doi:{dataset.doi}' if dataset.doi else ''}")
    lines += ["", f"  time in {dataset.time_unit}"]
    lines += [f"  {name} in {unit}" for name, unit in dataset.units.items()]
    for title, texts in (("Notes", dataset.notes), ("Doubts", dataset.doubts)):
        if texts:
            lines += ["", title, *(line for text in texts for line in _wrapped(text, "- "))]
    return "\n".join(lines)


def study_text(study: Study) -> str:
    """Everything about a study: what is estimated, under which priors, and how data meet the model."""
    lines = [f"Study {study.name}", *_wrapped(study.description), ""]
    lines += [f"  model {study.model}, data {study.dataset}, holds out: {', '.join(study.splits)}", "", "Experiments"]
    lines += [line for name, e in study.experiments.items() for line in _wrapped(f"{name}: {e.description}")]
    rows = []
    for e in study.estimates:
        prior = (
            "uniform" if e.prior.family == "uniform" else f"{e.prior.family}({e.prior.location:g}, {e.prior.scale:g})"
        )
        rows.append((e.name, figure(e.lower), figure(e.upper), e.scale, e.per, prior, e.prior.source))
    head = ("estimated", "lower", "upper", "scale", "per", "prior", "why")
    lines += ["", *_indent(text_table(head, rows, left=(0, 3, 4, 5, 6), width=terminal_width() - 2))]
    lines += ["", "Noise"]
    lines += [
        f"  {name}: {noise.family}, scale {noise.scale or 'from the table'}" for name, noise in study.noise.items()
    ]
    if study.fixed:
        lines += ["", "Fixed: " + ", ".join(f"{name} = {value:g}" for name, value in study.fixed.items())]
    return "\n".join(lines)


def _published(model: Model) -> str:
    rows = []
    for parameter in model.parameters:
        for published in parameter.published:
            span = ""
            if published.lower is not None and published.upper is not None:
                span = f"{figure(published.lower)} to {figure(published.upper)}"
            rows.append((parameter.name, figure(published.value), span, parameter.unit, published.kind))
    if not rows:
        return "none"
    return text_table(("parameter", "value", "range", "unit", "kind"), rows, left=(0, 3, 4), width=terminal_width() - 2)


def _bibtex(names) -> str:
    from twin import library

    entries = dict.fromkeys(entry for name in names for entry in library.card(name).references)
    return "\n\n".join(entries)


def _model_of(name: str) -> str:
    """The model that a name stands for: its own, or that of the study, or of a study of the dataset."""
    from twin import library

    if name in library.list_models():
        return name
    for study in map(library.study, library.list_studies()):
        if name in (study.name, study.dataset):
            return study.model
    raise LibraryError(f"the dataset {name!r} belongs to no study", fix="see its citation: twin models " + name)


def _indent(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]


def _wrapped(text: str, mark: str = "") -> list[str]:
    return textwrap.wrap(
        text, terminal_width(), initial_indent=f"  {mark}", subsequent_indent="  " + " " * max(len(mark), 2)
    )


models = Command(
    name="models",
    summary="list models, datasets and studies, or show all about one",
    configure=configure,
    run=run,
    computes=False,
)
