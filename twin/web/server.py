"""The server of the page: where it listens, who may come in, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twin.errors import TwinError
from twin.web.address import free_port, link_to
from twin.web.compute import compute
from twin.web.security import Folder, Gate, gate, is_loopback, new_token
from twin.web.served import Served

if TYPE_CHECKING:
    from panel.io.server import Server

EXTRA = "web"


def check_installed() -> None:
    """Refuse before any work is done if the page cannot be served.

    Raises:
        TwinError: Panel or Bokeh is missing.
    """
    if missing := [name for name in ("panel", "bokeh") if find_spec(name) is None]:
        raise TwinError(
            f"the page needs {' and '.join(missing)}",
            where="twin serve",
            expected=f"the extra {EXTRA!r}",
            fix=f"pip install 'cytotwin[{EXTRA}]'",
        )


class Serving:
    """A server that is ready to run.

    Args:
        served: What is shown.
        folder: The folder of reports, if there is one.
        host: Address to listen at.
        port: Port; 0 for any that is free.
        origins: Further hosts with port under which a browser may ask.

    Raises:
        TwinError: The port is taken, or the address is not this machine's.
    """

    def __init__(
        self, served: Served, folder: Folder | None, host: str, port: int, origins: Sequence[str] = ()
    ) -> None:
        self.served, self.folder, self.host = served, folder, host
        self.port = free_port(host, port)
        self.token = None if is_loopback(host) else new_token()
        self.gate = gate(host, self.port, self.token, origins)
        self.server = _server(served, folder, host, self.port, self.gate)

    @property
    def link(self) -> str:
        """Where to point a browser, the token with it."""
        return link_to(self.host, self.port, self.token)

    def warm(self) -> float:
        """Compile the program of the first picture; seconds that it took.

        Raises:
            TwinError: The model cannot be simulated.
        """
        return compute(self.served, self.served.first_view()).seconds

    def run(self) -> None:
        """Serve until it is interrupted."""
        self.server.start()
        self.server.io_loop.add_callback(_count_once_on_the_loop)
        try:
            self.server.io_loop.start()
        finally:
            self.stop()

    def stop(self) -> None:
        """Close the port."""
        self.server.stop()


def _count_once_on_the_loop() -> None:
    """Let Panel begin its periodic clean-up here, on the server's loop.

    It begins with the first thing that Panel counts as work. Where that is a message handled in another thread, as
    those of the controls are, Panel 1.10 puts the beginning off without end, which takes a whole core.
    """
    import panel as pn

    pn.io.PeriodicCallback(callback=_nothing, period=1, count=1, session_scoped=False).start()


def _nothing() -> None:
    pass


def _server(served: Served, folder: Folder | None, host: str, port: int, entrance: Gate) -> Server:
    import panel as pn
    from panel.io.server import get_server

    from twin.web.handlers import Download, Report, put_gate_before
    from twin.web.page import Page, query_of_arguments

    # Everything comes from this server; nothing is loaded from elsewhere.
    pn.extension(inline=True)
    pn.config.notifications = False

    def page() -> Any:
        reports = folder.reports() if folder is not None else []
        return Page(served, reports, query_of_arguments(pn.state.session_args)).template()

    patterns: list[tuple] = [(r"/download\.(csv|nc)", Download, {"served": served})]
    if folder is not None:
        patterns.append((r"/report/(.+)", Report, {"folder": folder}))
    server = get_server(
        {"/": page},
        port=port,
        address=host,
        websocket_origin=sorted(entrance.hosts),
        extra_patterns=patterns,
        title=served.model.name,
        show=False,
        start=False,
        session_token_expiration=24 * 3600,
    )
    put_gate_before(server._tornado, entrance)
    return server
