"""The page of stores: a form, and what it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from urllib.parse import quote

from twin.errors import TwinError
from twin.markup import Markup, join, tag
from twin.web.store import sections
from twin.web.store.asked import facts, what_was_asked
from twin.web.store.form import downloads, form
from twin.web.store.runs import Runs
from twin.web.store.view import View, query_of

STYLE = "style.css"


def style_sheet() -> str:
    """What pages look like: that of the page of models, and what only these have."""
    parts = (("twin.web", "page.css"), ("twin.web.store", "store.css"))
    return "\n".join(resources.files(room).joinpath(name).read_text(encoding="utf-8") for room, name in parts)


def page(runs: Runs, view: View, reports: Sequence[str] = ()) -> str:
    """The page of a view.

    Args:
        runs: What is served.
        view: What is shown.
        reports: Reports in the folder, by relative path.

    Raises:
        StoreError: A file of a store cannot be read any more.
    """
    names = " and ".join(run.label for run in runs)
    header = tag(
        "header",
        tag("p", "cytotwin · scenario" + ("s side by side" if len(runs) > 1 else ""), class_="kicker"),
        tag("h1", names),
        facts(runs),
        _reports(reports),
    )
    chapters: list[tuple[str, str, Markup]] = [
        ("courses", "Over time", sections.courses(runs, view)),
        ("endpoint", f"Endpoint: {view.endpoint}", sections.endpoint(runs, view)),
        ("differences", "Against the reference", sections.differences(runs, view)),
    ]
    if any(run.criteria for run in runs):
        chapters.append(("shares", "Yes or no", sections.shares(runs, view)))
    if len(runs) > 1:
        chapters.append(("between", "Between the runs", sections.between(runs, view)))
    chapters += [("failed", "Who failed", sections.failed(runs)), ("asked", "What was asked", what_was_asked(runs))]
    shown = (
        tag("section", tag("h2", title, id=f"h-{key}"), body, id=key, aria_labelledby=f"h-{key}")
        for key, title, body in chapters
    )
    main = tag("main", sections.legend(runs, view), *shown, id="main", tabindex=-1)
    aside = tag("aside", form(runs, view), downloads(runs, query_of(view)), aria_label="What is shown")
    return _document(names, header, tag("div", aside, main, class_="columns"))


def fault_page(error: TwinError) -> str:
    """A page that says why there is none."""
    said = tag("p", str(error), class_="fault", role="alert")
    back = tag("p", tag("a", "The page as it begins", href="./"))
    return _document("Not shown", tag("header", tag("h1", "This cannot be shown")), tag("main", said, back, id="main"))


def _reports(reports: Sequence[str]) -> Markup | None:
    links = [tag("a", name, href=f"report/{quote(name)}", target="_blank", rel="noopener") for name in reports]
    return tag("p", "How far from reality: ", join(*links, by=", ")) if links else None


def _document(title: str, *parts: Markup) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} · cytotwin"),
        tag("link", rel="stylesheet", href=STYLE),
        tag("link", rel="icon", href="data:,"),
    )
    skip = tag("a", "Skip to the pictures", class_="skip", href="#main")
    body = tag("body", skip, tag("div", *parts, class_="page"))
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en")
