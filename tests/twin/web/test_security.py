"""Who comes in, and which files can be read."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from twin.errors import TwinError
from twin.web import security
from twin.web.security import Folder, Gate, gate, is_loopback, new_token


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    inside = tmp_path / "inside"
    (inside / "below").mkdir(parents=True)
    (inside / "report.html").write_text("<p>mine</p>")
    (inside / "below" / "report.html").write_text("<p>mine</p>")
    (inside / ".hidden.html").write_text("hidden")
    (inside / "notes.txt").write_text("notes")
    (tmp_path / "secret.html").write_text("secret")
    (inside / "link.html").symlink_to(tmp_path / "secret.html")
    (inside / "disguised.html").symlink_to(inside / "notes.txt")
    (inside / "out").symlink_to(tmp_path, target_is_directory=True)
    (inside / "loop.html").symlink_to(inside / "loop.html")
    (inside / "fine.html").symlink_to(inside / "report.html")
    return Folder(inside)


@pytest.mark.parametrize("name", ["report.html", "below/report.html", "fine.html"])
def test_files_inside_are_found(folder: Folder, name: str) -> None:
    found = folder.file(name, ".html")
    assert found is not None and found.read_text() == "<p>mine</p>"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.html",
        "below/../../secret.html",
        "below/../report.html",
        "..\\secret.html",
        "/etc/passwd",
        "~/secret.html",
        "link.html",
        "out/secret.html",
        "disguised.html",
        "loop.html",
        ".hidden.html",
        "notes.txt",
        "below",
        "missing.html",
        "",
        ".",
        "report.html\0.txt",
        "./report.html",
        "below//report.html",
    ],
)
def test_nothing_else_is(folder: Folder, name: str) -> None:
    assert folder.file(name, ".html") is None


def test_an_absolute_path_of_a_file_inside_is_refused_too(folder: Folder) -> None:
    assert folder.file(str(folder.path / "report.html"), ".html") is None


def test_only_readable_reports_are_listed(folder: Folder) -> None:
    assert folder.reports() == ["below/report.html", "fine.html", "report.html"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="there is no folder"):
        Folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("localhost", True), ("127.8.8.8", True), ("0.0.0.0", False), ("10.1.2.3", False)],
)
def test_loopback(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_a_network_without_a_token_is_refused() -> None:
    with pytest.raises(TwinError, match="can be reached by others"):
        gate("0.0.0.0", 5077, None)


def test_hosts_are_those_that_are_ours() -> None:
    ours = gate("127.0.0.1", 5077, None, ["Proxy.Example:443"])
    assert (
        ours.knows_host("localhost:5077") and ours.knows_host("127.0.0.1:5077") and ours.knows_host("proxy.example:443")
    )
    for other in ("evil.example:5077", "localhost:80", "localhost", "", "localhost:5077.evil.example"):
        assert not ours.knows_host(other)
    assert "0.0.0.0:5077" not in gate("0.0.0.0", 5077, new_token()).hosts


def test_tokens_are_long_and_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    token = new_token()
    assert len(token) >= 43 and token != new_token()
    compared, compare = [], hmac.compare_digest
    monkeypatch.setattr(security.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))
    guarded = Gate(frozenset(), token, "cookie")
    assert guarded.accepts(token)
    assert not guarded.accepts(token[:-1]) and not guarded.accepts("é") and not guarded.accepts(None)
    assert len(compared) == 3
    assert Gate(frozenset(), None, "cookie").accepts(None)
