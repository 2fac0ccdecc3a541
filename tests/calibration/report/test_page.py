"""The page: complete, safe, self-contained, and honest about what is not known."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic

from calibration.report import write_page
from calibration.report.page import cautions, page
from calibration.sim2real.assessment import Assessment

pytestmark = pytest.mark.xdist_group("report")  # the pages are made once, by one worker

SECTIONS = [
    "verdict", "data", "layers", "baselines", "intervals", "tests", "parameters", "diagnostics", "provenance",
]  # fmt: skip
VOID = {"meta", "br", "hr", "img", "link"}
CASES = {
    "time": lambda: synthetic.influenza("time"),
    "subject": lambda: synthetic.influenza("subject", subjects=14),
    "worse": lambda: synthetic.influenza("time", biased=2.5),
    "hostile": synthetic.hostile,
    "natural scale": synthetic.natural_scale,
}


class Reader(HTMLParser):
    """Collects what the tests ask about and refuses tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of a name."""
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return " ".join(self.words)


@pytest.fixture(scope="module")
def assessments() -> dict[str, Assessment]:
    return {name: make() for name, make in CASES.items()}


@pytest.fixture(scope="module")
def pages(assessments: dict[str, Assessment]) -> dict[str, str]:
    return {name: page(assessment) for name, assessment in assessments.items()}


@pytest.fixture(params=list(CASES))
def shown(request: pytest.FixtureRequest, pages: dict[str, str]) -> tuple[str, Reader]:
    return pages[request.param], Reader(pages[request.param])


def test_all_sections_are_there_in_order(shown: tuple[str, Reader]) -> None:
    found = [attributes.get("id") for attributes in shown[1].all("section")]
    assert found == SECTIONS
    identifiers = [attributes["id"] for _, attributes in shown[1].tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for attributes in shown[1].all("section"):
        assert attributes["aria-labelledby"] in identifiers


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(shown: tuple[str, Reader]) -> None:
    text, reader = shown
    names = {tag for tag, _ in reader.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form"}
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") or name in {"src", "srcset"} for name in attributes)
        address = attributes.get("href") or attributes.get("xlink:href") or ""
        assert address.startswith("#") or (tag == "a" and address.startswith("https://doi.org/")) or not address
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    assert set(re.findall(r"https?://[\w.]+", text)) == {"https://doi.org"}


def test_no_nan_or_none_can_be_read(shown: tuple[str, Reader]) -> None:
    assert re.findall(r"\b(nan|NaN|None|NaT|inf|<NA>)\b", shown[1].text) == []
    for _, attributes in shown[1].tags:
        assert not re.search(r"\bnan\b", " ".join(value or "" for value in attributes.values()), re.IGNORECASE)


def test_every_picture_is_described_and_every_heading_in_order(shown: tuple[str, Reader]) -> None:
    pictures = [a for a in shown[1].all("svg") if a.get("role") == "img"]
    assert pictures
    assert all(len(a["aria-label"] or "") > 20 for a in pictures)
    levels = [int(tag[1]) for tag, _ in shown[1].tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_references_inside_pictures_lead_somewhere(shown: tuple[str, Reader]) -> None:
    identifiers = {attributes["id"] for _, attributes in shown[1].tags if "id" in attributes}
    wanted = set(re.findall(r"url\(#([^)]*)\)", shown[0])) | set(re.findall(r'href="#([^"]*)"', shown[0]))
    assert wanted <= identifiers


def test_number_of_figures(assessments: dict[str, Assessment], pages: dict[str, str]) -> None:
    def panels(name: str) -> int:
        labels = [a.get("aria-label") or "" for a in Reader(pages[name]).all("svg") if a.get("class") == "picture"]
        return sum("readings from" in label for label in labels)

    assert panels("time") == 6
    assert panels("subject") == panels("natural scale") == 12
    assert "12 of 14 series are drawn" in pages["subject"]
    assert "2 more" in pages["subject"]
    assert pages["time"].count("<figure") == 6 + 5
    assert pages["hostile"].count("<figure") == 12 + 3  # no p-values and no parameter to draw


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("time", "No better than a Gaussian process"),
        ("subject", "Better than any curve through the points"),
        ("worse", "Worse than a Gaussian process"),
        ("hostile", "No gap can be stated"),
    ],
)
def test_the_verdict_is_said_large_whatever_it_is(
    name: str, short: str, assessments: dict[str, Assessment], pages: dict[str, str]
) -> None:
    verdict = assessments[name].verdict
    kind = verdict.label.replace(" ", "-")
    assert f'<section class="verdict {kind}"' in pages[name]
    assert f'<h2 id="verdict-title">{short}</h2>' in pages[name]
    assert verdict.sentence in Reader(pages[name]).text
    assert ('class="gauge"' in pages[name]) == assessments[name].gap.defined


def test_markup_in_names_stays_text(pages: dict[str, str]) -> None:
    reader = Reader(pages["hostile"])
    assert synthetic.HOSTILE in reader.text
    assert "<script" not in pages["hostile"]
    assert "<u>x</u>" in reader.text
    assert not reader.all("u")
    assert "志愿者" in reader.text


def test_nothing_is_escaped_twice(shown: tuple[str, Reader]) -> None:
    assert re.findall(r"&amp;(lt|gt|quot|amp|#)", shown[0]) == []
    assert re.findall(r"&lt;(div|span|p|td)", shown[0]) == []


def test_unbounded_interval_and_far_gap_are_marked(assessments: dict[str, Assessment]) -> None:
    made = assessments["time"]
    text = page(replace(made, gap=replace(made.gap, value=41.0, low=-np.inf, high=np.inf)))
    assert "twin 41.00 →" in text
    assert "95 % interval unbounded to unbounded" in text


def test_a_discrepancy_has_a_section_of_its_own(assessments: dict[str, Assessment]) -> None:
    made = replace(
        assessments["time"],
        discrepancy=pd.DataFrame(
            [("titre", 2.1, 1.2, 3.4, "noise scales", 0.99, True, 1.002)],
            columns=["observable", "size", "low", "high", "unit", "practical", "flagged", "r_hat"],
        ),
        discrepancy_course=pd.DataFrame(
            {"observable": "titre", "experiment": "", "subject": "", "dose": np.nan, "time": [1.0, 2.0, 4.0],
             "q05": [-1.0, 0.5, -2.0], "q50": [0.0, 2.0, -1.0], "q95": [1.0, 3.5, 0.5]}
        ),
        discrepancy_residuals=pd.DataFrame(
            {"observable": "titre", "experiment": ["low", "high"], "subject": "1", "time": [1.0, 2.0],
             "residual": [0.3, 2.5], "dose": np.nan, "remaining": [0.2, 0.4]}
        ),
    )  # fmt: skip
    reader = Reader(page(made))
    found = [attributes.get("id") for attributes in reader.all("section")]
    assert found == [*SECTIONS[:3], "discrepancy", *SECTIONS[3:]]
    assert {"#discrepancy"} <= {attributes.get("href") for attributes in reader.all("a")}
    labels = [attributes.get("aria-label") or "" for attributes in reader.all("svg")]
    assert any("largest median 2.00 at time 2.00" in label for label in labels)
    assert "flagged" in reader.text


def test_a_discrepancy_along_doses_has_a_picture_for_each_and_their_sizes(assessments: dict[str, Assessment]) -> None:
    columns = ["observable", "dose", "readings", "size", "low", "high", "practical", "flagged"]
    sizes = pd.DataFrame([("titre", 1.0, 4, 0.2, 0.0, 0.9, 0.2, False), ("titre", 8.0, 4, 3.0, 2.0, 4.0, 1.0, True)],
                         columns=columns)  # fmt: skip
    course = pd.DataFrame(
        {"observable": "titre", "experiment": "", "subject": "", "dose": [1.0, 1.0, 8.0, 8.0],
         "time": [1.0, 2.0, 1.0, 2.0], "q05": [-1.0, -1.0, 1.0, 2.0], "q50": [0.0, 0.1, 2.0, 3.0], "q95": 5.0}
    )  # fmt: skip
    residuals = pd.DataFrame(
        {"observable": "titre", "experiment": ["low", "high"], "subject": "1", "time": [1.0, 2.0], "dose": [1.0, 8.0],
         "residual": [0.3, 2.5], "remaining": [0.2, 0.4]}
    )  # fmt: skip
    size = pd.DataFrame(
        [("titre", 2.1, 1.2, 3.4, "noise scales", 0.99, True, 1.002)],
        columns=["observable", "size", "low", "high", "unit", "practical", "flagged", "r_hat"],
    )
    made = assessments["time"]
    settings = {**made.provenance.get("settings", {}), "along": "drug"}
    made = replace(
        made, discrepancy=size, discrepancy_by_dose=sizes, discrepancy_course=course, discrepancy_residuals=residuals,
        provenance={**made.provenance, "settings": settings},
    )  # fmt: skip
    reader = Reader(page(made))
    labels = [attributes.get("aria-label") or "" for attributes in reader.all("svg")]
    assert "Size of the discrepancy by drug. 1.00: 0.200 (0 to 0.900); 8.00: 3.00 (2.00 to 4.00)." in labels
    assert any("Discrepancy of titre at 8.00 in noise scales over time: largest median 3.00" in text for text in labels)
    assert any("Discrepancy of titre at 1.00" in text for text in labels)
    assert "titre, size by dose" in reader.text and "not flagged" in reader.text


def test_unconverged_chains_are_said_at_the_top(assessments: dict[str, Assessment]) -> None:
    made = assessments["time"]
    assert cautions(made) == []
    assert 'role="note"' not in page(made)
    bad = replace(
        made,
        parameters=made.parameters.assign(r_hat=1.2, ess_bulk=12.0),
        diagnostics=dict(made.diagnostics) | {"divergences": 400},
        layers={"L0": made.layers["L0 verification"].assign(passed=[True, False, True, None])},
    )
    assert len(cautions(bad)) == 4
    assert page(bad).index('role="note"') < page(bad).index('id="data"')


def test_an_assessment_with_little_in_it_still_makes_a_page(assessments: dict[str, Assessment]) -> None:
    made = assessments["time"]
    bare = replace(
        made,
        bands=made.bands.iloc[:0],
        parameters=made.parameters.iloc[:0],
        predictive_tests=pd.DataFrame(columns=["statistic", "series", "observed", "p_value"]),
        layers={},
        diagnostics={},
        provenance={},
        limits={},
        score_scale={},
        units={},
    )
    reader = Reader(page(bare))
    assert [attributes.get("id") for attributes in reader.all("section")] == SECTIONS


def test_write_page(tmp_path: Path, assessments: dict[str, Assessment]) -> None:
    path = tmp_path / "new" / "page.html"
    start = time.process_time()
    assert write_page(assessments["subject"], path) == path
    assert time.process_time() - start < 10.0  # about one second on an idle core
    assert path.stat().st_size < 3_000_000
    assert path.read_text(encoding="utf-8") == page(assessments["subject"])
    assert assessments["time"].to_html(path) == path


def test_drawing_leaves_matplotlib_as_it_was(assessments: dict[str, Assessment]) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    page(assessments["time"])
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_a_context_of_use_has_a_section_of_its_own_and_a_page_without_one_has_none() -> None:
    made = synthetic.influenza("time")
    assert 'id="credibility"' not in page(made)
    text = page(replace(made, credibility=synthetic.credibility()))
    Reader(text)
    assert 'id="credibility"' in text and 'href="#credibility"' in text
    for words in ("Context of use", "SHA-256", "not tested", "not met", "no statement of conformity", "&lt;script&gt;"):
        assert words in text
    assert "<script" not in text
