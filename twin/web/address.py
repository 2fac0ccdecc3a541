"""Where a server listens, and the link to it."""

from __future__ import annotations

import errno
import socket

from twin.errors import TwinError


def free_port(host: str, port: int) -> int:
    """The port itself if it can be had, or a free one for 0.

    Raises:
        TwinError: The port is taken, or the address is not this machine's, or of IP version 6.
    """
    if ":" in host:
        # Bokeh's list of allowed origins knows no addresses of version 6.
        raise TwinError(
            f"{host!r} is an address of IP version 6", where="--host", expected="a name, or one of version 4"
        )
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            found = f"port {port} is taken" if taken else f"nothing can listen at {host!r}, port {port} ({error})"
            raise TwinError(found, where="twin serve", fix="give another --port, or --port 0 for any") from error
        return int(probe.getsockname()[1])


def link_to(host: str, port: int, token: str | None) -> str:
    """Where to point a browser, the token with it."""
    name = socket.gethostname() if host == "0.0.0.0" else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
