"""Where a server listens, and the link to it."""

from __future__ import annotations

import errno
import socket

from twin.errors import TwinError

QUEUE = 128
"""Connections that wait to be answered, at most."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that queues whoever comes from now on, until a server answers; port 0 is any that is free.

    Raises:
        TwinError: The port is taken, or the address is not this machine's, or of IP version 6.
    """
    if ":" in host:
        # Bokeh's list of allowed origins knows no addresses of version 6.
        raise TwinError(
            f"{host!r} is an address of IP version 6", where="--host", expected="a name, or one of version 4"
        )
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
        door.listen(QUEUE)
    except (OSError, OverflowError) as error:
        door.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        found = f"port {port} is taken" if taken else f"nothing can listen at {host!r}, port {port} ({error})"
        raise TwinError(found, where="twin serve", fix="give another --port, or --port 0 for any") from error
    door.setblocking(False)
    return door


def free_port(host: str, port: int) -> int:
    """The port itself if it can be had, or a free one for 0; for servers that open it themselves.

    Raises:
        TwinError: As for `listening`.
    """
    with listening(host, port) as door:
        return int(door.getsockname()[1])


def link_to(host: str, port: int, token: str | None) -> str:
    """Where to point a browser, the token with it."""
    name = socket.gethostname() if host == "0.0.0.0" else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
