"""The gate, downloads and reports over HTTP, without Panel: a bare application behind the same gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from twin.web.handlers import Download, Report, put_gate_before
from twin.web.security import Folder, Gate
from twin.web.served import Served

pytestmark = pytest.mark.xdist_group("web_page")

type Ask = Callable[..., HTTPResponse]


class Anything(RequestHandler):
    """Stands for the page, its websocket and its static files."""

    def get(self) -> None:
        """Reached."""
        self.finish("reached")


@pytest.fixture
def asking(served: Served, tmp_path: Path) -> Callable[[str | None], Ask]:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "report.html").write_text("<p>gap</p><script>steal()</script>")
    (tmp_path / "secret.html").write_text("secret")
    (tmp_path / "in" / "link.html").symlink_to(tmp_path / "secret.html")

    def make(token: str | None) -> Ask:
        def ask(path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> HTTPResponse:
            async def once() -> HTTPResponse:
                socket, port = bind_unused_port()
                application = Application(
                    [
                        (r"/download\.(csv|nc)", Download, {"served": served}),
                        (r"/report/(.+)", Report, {"folder": Folder(tmp_path / "in")}),
                        (r"/.*", Anything),
                    ]
                )
                put_gate_before(application, Gate(frozenset({f"127.0.0.1:{port}"}), token, "cytotwin-1"))
                server = HTTPServer(application)
                server.add_sockets([socket])
                client = AsyncHTTPClient(force_instance=True)
                try:
                    return await client.fetch(
                        f"http://127.0.0.1:{port}{path}", raise_error=False, follow_redirects=False,
                        headers=dict(headers or {}), method=method, allow_nonstandard_methods=True,
                    )  # fmt: skip
                finally:
                    client.close()
                    server.stop()
                    await server.close_all_connections()

            return asyncio.run(once())

        return ask

    return make


def test_on_this_machine_nothing_is_asked_but_the_name(asking: Callable[[str | None], Ask]) -> None:
    ask = asking(None)
    assert ask("/").body == b"reached"
    answer = ask("/", {"Host": "evil.example"})
    assert answer.code == 403 and b"--origin" in answer.body


@pytest.mark.parametrize(
    "path", ["/", "/ws", "/static/js/bokeh.js", "/download.csv", "/report/report.html", "/x?token="]
)
@pytest.mark.parametrize("cookie", [None, "cytotwin-1=wrong", "cytotwin-2=right"])
def test_from_a_network_nothing_is_reached_without_the_token(
    asking: Callable[[str | None], Ask], path: str, cookie: str | None
) -> None:
    answer = asking("right")(path, {"Cookie": cookie} if cookie else None)
    assert answer.code == 403 and b"token" in answer.body


def test_the_token_becomes_a_cookie_and_leaves_the_link(asking: Callable[[str | None], Ask]) -> None:
    ask = asking("right")
    answer = ask("/?p.ka=2&token=right")
    assert answer.code == 302 and answer.headers["Location"] == "/?p.ka=2"
    assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Lax" in answer.headers["Set-Cookie"]
    assert ask("//evil.example?token=right").headers["Location"] == "/evil.example"
    assert ask("/?token=wrong").code == 403
    assert ask("/?token=right", method="POST").code == 405  # in, but there is nothing to be posted
    assert ask("/", {"Cookie": "cytotwin-1=right"}).body == b"reached"


def test_modules_cannot_be_imported_by_their_name(asking: Callable[[str | None], Ask]) -> None:
    assert asking(None)("/components/antigravity/x/_css/y").code == 404


def test_reports_have_no_rights(asking: Callable[[str | None], Ask]) -> None:
    answer = asking(None)("/report/report.html")
    assert answer.code == 200 and b"<p>gap</p>" in answer.body
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.html",
        "..%2Fsecret.html",
        "%2e%2e/secret.html",
        "..%252fsecret.html",
        "/etc/passwd",
        "link.html",
        "%00",
    ],
)
def test_reports_outside_the_folder_are_not_there(asking: Callable[[str | None], Ask], name: str) -> None:
    answer = asking(None)(f"/report/{name}")
    assert answer.code in (400, 404) and b"secret" not in answer.body


def test_a_download_that_cannot_be_made_says_why(asking: Callable[[str | None], Ask]) -> None:
    answer = asking(None)("/download.csv?p.kaa=1")
    assert answer.code == 400 and b"no parameter 'kaa'" in answer.body
    answer = asking(None)("/download.csv?p.ka=2")
    assert answer.code == 200 and b"scenario now" in answer.body and b"ka = 2" in answer.body
    assert answer.headers["Content-Disposition"] == 'attachment; filename="oral.csv"'
