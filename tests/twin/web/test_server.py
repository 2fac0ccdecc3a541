"""A running server: who gets the page, and whose websockets are taken."""

from __future__ import annotations

import base64
import re
import urllib.error
import urllib.request
from contextlib import closing
from http.client import HTTPConnection
from http.cookiejar import CookieJar
from urllib.parse import urlsplit

import pytest

from tests.twin.web.browser import serving

pytest.importorskip("panel", reason="the page needs the extra web")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("server of the page")]


def answer(url: str, host: str | None = None, jar: CookieJar | None = None) -> tuple[int, str]:
    """Status and text of a request, redirections followed."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar if jar is not None else CookieJar()))
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with opener.open(request, timeout=120) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def websocket(port: int, page: str, origin: str, cookie: str = "") -> bool:
    """Whether the server takes the websocket of a page, as a page of that origin asks for it."""
    token = re.search(r'"token":\s*"([^"]+)"', page)
    assert token is not None
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Protocol": f"bokeh, {token[1]}",
        "Origin": origin,
    } | ({"Cookie": cookie} if cookie else {})
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("GET", "/ws", headers=headers)
        status = connection.getresponse().status
    assert status in (101, 403)
    return status == 101


def test_at_this_machine_only_its_own_pages_come_in() -> None:
    with serving("theophylline", "--patients", "20") as link:
        port = urlsplit(link).port
        assert port is not None
        status, page = answer(link)
        assert status == 200
        assert answer(link, host=f"elsewhere.example:{port}")[0] == 403
        assert answer(f"{link}components/os")[0] == 404
        assert websocket(port, page, f"http://127.0.0.1:{port}")
        assert not websocket(port, page, "http://elsewhere.example")


def test_beyond_this_machine_nobody_comes_in_without_the_token() -> None:
    with serving("theophylline", "--patients", "20", "--host", "0.0.0.0") as link:
        parts = urlsplit(link)
        base = f"http://127.0.0.1:{parts.port}/"
        assert answer(base)[0] == 403
        assert answer(f"{base}?token=wrong")[0] == 403
        assert answer(f"{base}download.csv")[0] == 403
        jar = CookieJar()
        status, page = answer(f"{base}?{parts.query}", jar=jar)
        assert status == 200
        cookie = "; ".join(f"{each.name}={each.value}" for each in jar)
        assert answer(base, jar=jar)[0] == 200
        own = f"http://127.0.0.1:{parts.port}"
        assert websocket(parts.port or 0, page, own, cookie)
        assert not websocket(parts.port or 0, page, own)
