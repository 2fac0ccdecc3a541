"""Pages and files of stores over HTTP: what they say, what they refuse, and that nothing in a store is markup."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

import twin
from tests.twin.web.store_runs import HOSTILE
from twin.scenario.compare import compare_arms
from twin.web.handlers import put_gate_before
from twin.web.security import Folder, Gate
from twin.web.store.runs import Runs
from twin.web.store.server import application_of

pytestmark = pytest.mark.xdist_group("stores")

type Ask = Callable[..., HTTPResponse]


class Elements(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element."""
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Its words."""
        self.words += data + " "


def asking(runs: Runs, token: str | None = None, folder: Folder | None = None) -> Ask:
    """Ask a server of runs, which lives for one answer."""

    def ask(path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> HTTPResponse:
        async def once() -> HTTPResponse:
            socket, port = bind_unused_port()
            application = application_of(runs, folder)
            put_gate_before(application, Gate(frozenset({f"127.0.0.1:{port}"}), token, "cytotwin-1"))
            server = HTTPServer(application)
            server.add_sockets([socket])
            client = AsyncHTTPClient(force_instance=True)
            try:
                return await client.fetch(
                    f"http://127.0.0.1:{port}{path}", raise_error=False, follow_redirects=False, request_timeout=60,
                    headers=dict(headers or {}), method=method, allow_nonstandard_methods=True,
                )  # fmt: skip
            finally:
                client.close()
                server.stop()
                await server.close_all_connections()

        return asyncio.run(once())

    return ask


@pytest.fixture(scope="module")
def runs(stores: tuple[Path, Path, Path]) -> Runs:
    return Runs(stores)


@pytest.fixture(scope="module")
def ask(runs: Runs) -> Ask:
    return asking(runs)


@pytest.fixture(scope="module")
def ask_one(stores: tuple[Path, Path, Path]) -> Ask:
    return asking(Runs(stores[:1]))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?log=1&log_endpoint=1",
        "?shape=histogram",
        "?shape=histogram&log_endpoint=1&endpoint=twice&against=strong",
        "?arm=none",
        "?arm2=strong&endpoint=late&reference2=strong",
        "?arm3=none&output=A",
    ],
)
def test_pages_are_whole_and_hold_no_markup_of_a_store(ask: Ask, query: str) -> None:
    answer = ask("/" + query)
    assert answer.code == 200
    page = Elements(answer.body.decode())
    assert "script" not in page.names and "NaN" not in page.words and "nan" not in page.words.split()
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert not [value for _, value in page.attributes if value and ("nan" in value.split(",") or "NaN" in value)]
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "script" not in policy and "unsafe" not in policy


def test_a_page_says_what_was_asked(ask_one: Ask) -> None:
    words = " ".join(Elements(ask_one("/").body.decode()).words.split())
    for said in (
        f"weak {HOSTILE}",
        "half [hour] = first_crossing(A, threshold=0.5, direction=down)",
        "twice = 2 * peak",
        "fast: half < 0.7",
        "bolus A = dose at 1",
        "3; of the patients 4",
        "31 times, 0 to 3 hour",
        "rodas5p, rtol 1e-06",
        "of 900 integrations",
    ):
        assert said in words, said


def test_numbers_of_a_page_are_those_of_the_comparison(ask_one: Ask, stores: tuple[Path, Path, Path]) -> None:
    page = ask_one("/?arm=none&arm=strong&endpoint=peak").body.decode()
    row = compare_arms(stores[0])[0].set_index(["endpoint", "arm"]).loc[("peak", "strong")]
    assert f"{row['q50']:.4g} ({row['q05']:.3g} to {row['q95']:.3g})" in page
    assert f"{row['difference']:.4g} ({row['lower']:.3g} to {row['upper']:.3g})" in page
    share = compare_arms(stores[0])[1].set_index("arm").loc["strong"]
    assert f"{100 * share['share']:.4g} % ({100 * share['low']:.4g} to {100 * share['high']:.4g})" in page


def test_several_runs_are_compared(ask: Ask) -> None:
    words = Elements(ask("/?arm=none&arm2=none&arm3=none&endpoint=peak").body.decode()).words
    assert "The patients are the same in both runs" in words and "The patients are others" in words
    assert "others kept no courses of A" in words
    words = Elements(ask("/?arm2=none&endpoint=late").body.decode()).words
    assert "The endpoint late is not in both" in words


def test_an_address_that_cannot_be_shown(ask: Ask) -> None:
    answer = ask("/?arm=%3Cb%3E")
    page = Elements(answer.body.decode())
    assert answer.code == 400 and "there is no arm '<b>'" in page.words and "b" not in page.names
    for path in ("/download/bands.csv?arm=x", "/download/patients-1.nc?arm=x"):
        answer = ask(path)
        assert answer.code == 400 and b"there is no arm 'x'" in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/scenario.json",
        "/endpoints.zarr/zarr.json",
        "/../first/scenario.json",
        "/..%2f..%2fetc/passwd",
        "/download/../scenario.json",
        "/download/scenario.csv",
        "/download/patients-9.nc",
        "/download/patients-0.nc",
        "/report/gap.html",
        "/ws",
        "/static/js/bokeh.js",
    ],
)
def test_no_file_is_reached_by_its_name(ask: Ask, path: str) -> None:
    assert ask(path).code == 404
    assert ask(path, method="POST").code in (404, 405)


def test_reports_of_the_folder_alone(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "gap.html").write_text("<p>The gap is 0.8</p>")
    ask = asking(runs, folder=Folder(tmp_path))
    assert b'href="report/gap.html"' in ask("/").body and b"The gap is 0.8" in ask("/report/gap.html").body
    assert ask("/report/../first/scenario.json").code == 404


def test_who_comes_in(runs: Runs) -> None:
    assert asking(runs)("/", {"Host": "evil.example"}).code == 403
    ask = asking(runs, token="right")
    for path in ("/", "/style.css", "/download/bands.csv", "/download/patients-1.nc", "/?token=wrong"):
        assert ask(path).code == 403
    answer = ask("/?arm=none&token=right")
    assert answer.code == 302 and answer.headers["Location"] == "/?arm=none"
    assert ask("/", {"Cookie": "cytotwin-1=right"}).code == 200


def table(answer: HTTPResponse) -> pd.DataFrame:
    assert answer.code == 200, answer.body
    return pd.read_csv(io.BytesIO(answer.body), comment="#")


def test_bands_as_csv(ask: Ask, stores: tuple[Path, Path, Path]) -> None:
    answer = ask("/download/bands.csv?arm=none&arm3=none")
    found = table(answer)
    assert list(found) == ["run", "arm", "output", "time", "q10", "q50", "q90"] and set(found["run"]) == {"decay"}
    band = twin.open_scenario(stores[0])["band"].to_numpy()[0, 0]
    np.testing.assert_allclose(found[["q10", "q50", "q90"]].to_numpy().T, band, rtol=1e-15)
    head = answer.body.decode().split("\n")
    assert any(line.startswith("# link ?arm=none&arm3=none") for line in head)
    assert "half: hour" in head[2] and "time: hour" in head[2]


def test_endpoints_and_answers_as_csv(ask_one: Ask, stores: tuple[Path, Path, Path]) -> None:
    endpoints, criteria = compare_arms(stores[0], "strong")
    for name, expected in (("endpoints", endpoints), ("responders", criteria)):
        found = table(ask_one(f"/download/{name}.csv?reference=strong")).drop(columns="run")
        pd.testing.assert_frame_equal(found.fillna({"unit": ""}), expected, check_exact=False, rtol=1e-12)


def test_differences_between_runs_as_csv(ask: Ask) -> None:
    found = table(ask("/download/between.csv?arm2=none&arm3=none"))
    assert found.groupby("run")["name"].apply(list).to_dict() == {
        "again": ["half", "peak", "twice", "fast"],
        "others": ["half", "peak", "twice", "fast"],
    }
    assert (
        found.loc[found["run"] == "again", "paired"].all() and not found.loc[found["run"] == "others", "paired"].any()
    )


def test_failed_patients_as_csv(ask_one: Ask, stores: tuple[Path, Path, Path]) -> None:
    found = table(ask_one("/download/failed.csv"))
    ds = twin.open_scenario(stores[0])
    assert found["patient"].tolist() == np.flatnonzero(ds["status"].to_numpy()[2]).tolist()
    np.testing.assert_allclose(found["k"], ds["k"].to_numpy()[found["patient"]], rtol=1e-15)


def test_all_patients_as_netcdf(ask: Ask, stores: tuple[Path, Path, Path]) -> None:
    answer = ask("/download/patients-2.nc?arm2=strong")
    assert answer.code == 200
    with xr.open_dataset(io.BytesIO(answer.body), engine="h5netcdf") as found:
        expected = twin.open_scenario(stores[1]).isel(arm=[2])
        assert found["arm"].to_numpy().tolist() == ["strong"] and found["half"].attrs["units"] == "hour"
        for name in ("half", "late", "status", "fast", "band", "level"):
            np.testing.assert_array_equal(found[name].to_numpy(), expected[name].to_numpy())
        np.testing.assert_array_equal(found["k"].to_numpy(), expected["k"].to_numpy())
        assert json.loads(found.attrs["endpoints"])["late"] == "value(A, time=2.5)"
        assert found["status"].attrs["flag_meanings"].split()[0] == "simulated"
        assert len(found["status"].attrs["flag_meanings"].split()) == len(found["status"].attrs["flag_values"])
    assert ask("/download/patients-1.nc?arm2=strong").code == 400  # no arm of the first is shown


def test_a_file_that_would_be_too_large(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin.web.store.downloads.MOST_BYTES", 1000)
    answer = ask("/download/patients-1.nc")
    assert answer.code == 400 and b"zarr" in answer.body
