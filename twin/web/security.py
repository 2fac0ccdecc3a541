"""Who may see the page, and which files it may read.

Every request, whatever it asks for, first passes a `Gate`. It asks two things. Is the host that the browser names one
of ours? A page elsewhere can make its own name point to this machine (DNS rebinding), but then it has to say that name.
And, where the page is open to a network: does the request bring the secret token, as a cookie or, the first time, in
the link that was printed?
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from twin.errors import TwinError

LOOPBACK_NAMES = ("localhost", "127.0.0.1")
MOST_REPORTS = 50


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """256 bits that nobody guesses, for a link."""
    return secrets.token_urlsafe(32)


def own_names(host: str) -> tuple[str, ...]:
    """Names under which a browser may ask for the page.

    Args:
        host: The address that is listened at.
    """
    if is_loopback(host):
        return LOOPBACK_NAMES
    found = [*LOOPBACK_NAMES, host, socket.gethostname().lower()]
    # A machine that cannot look up its own name is reached by the address it listens at.
    with contextlib.suppress(OSError):
        found += [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    return tuple(dict.fromkeys(name for name in found if name != "0.0.0.0"))


@dataclass(frozen=True)
class Gate:
    """What a request has to bring.

    Args:
        hosts: Values of the Host header that are ours, with the port.
        token: The secret; None where only this machine can ask.
        cookie: Name of the cookie that holds it.
    """

    hosts: frozenset[str]
    token: str | None
    cookie: str

    def knows_host(self, host: str) -> bool:
        """Whether a browser that says this host has come to us on purpose."""
        return host.lower() in self.hosts

    def accepts(self, given: str | None) -> bool:
        """Whether a token is the right one, in a time that does not tell how much of it is."""
        if self.token is None:
            return True
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())


def gate(host: str, port: int, token: str | None, others: Iterable[str] = ()) -> Gate:
    """The gate of a server.

    Args:
        host: The address that is listened at.
        port: Its port.
        token: The secret, if one is asked for.
        others: Further hosts with port, of a tunnel or a proxy before the server.

    Raises:
        TwinError: The server would be open to a network without a secret.
    """
    if token is None and not is_loopback(host):
        raise TwinError(f"{host!r} can be reached by others, and there is no token", where="--host")
    ours = [f"{name.lower()}:{port}" for name in own_names(host)]
    if port == 80:
        ours += [name.lower() for name in own_names(host)]
    return Gate(frozenset([*ours, *(other.lower() for other in others)]), token, f"cytotwin-{port}")


class Folder:
    """The one folder whose files the page may read.

    Args:
        path: The folder.

    Raises:
        TwinError: It is no folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise TwinError(f"there is no folder {str(path)!r}", where="--folder")
        self.path = path.resolve()

    def file(self, name: str, suffix: str) -> Path | None:
        """A file inside the folder, all symbolic links followed; None if it is not there or not inside.

        Args:
            name: Its path relative to the folder, with forward slashes.
            suffix: How its name must end.
        """
        if not name or "\\" in name or "\0" in name or name.startswith(("/", "~")):
            return None
        parts = name.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") for part in parts):
            return None
        try:
            found = self.path.joinpath(*parts).resolve(strict=True)
        except (OSError, RuntimeError):  # a loop of links is a RuntimeError in older Pythons
            return None
        inside = found.is_relative_to(self.path) and found.is_file()
        # The suffix of what is really there: a link report.html to secrets.txt is no report.
        return found if inside and found.suffix.lower() == suffix else None

    def reports(self) -> list[str]:
        """HTML files in the folder and one level below, by their relative path."""
        names = sorted(
            path.relative_to(self.path).as_posix()
            for pattern in ("*.html", "*/*.html")
            for path in self.path.glob(pattern)
        )
        return [name for name in names if self.file(name, ".html") is not None][:MOST_REPORTS]
