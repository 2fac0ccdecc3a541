"""The server of stores: plain HTTP, without websockets, behind the same gate as the page of models."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from twin.errors import TwinError
from twin.web.address import link_to, listening
from twin.web.security import Folder, gate, is_loopback, new_token
from twin.web.store.runs import Runs

if TYPE_CHECKING:
    from tornado.web import Application

EXTRAS = "cohort,web"


def check_installed() -> None:
    """Refuse before any work is done if pages cannot be served.

    Raises:
        TwinError: Tornado (which comes with Bokeh) or zarr is missing.
    """
    if missing := [name for name in ("tornado", "zarr") if find_spec(name) is None]:
        fix = f"pip install 'cytotwin[{EXTRAS}]'"
        raise TwinError(f"the page needs {' and '.join(missing)}", where="twin serve", fix=fix)


class ServingStores:
    """A server that is ready to run.

    Args:
        runs: What is shown.
        folder: The folder of reports, if there is one.
        host: Address to listen at.
        port: Port; 0 for any that is free.
        origins: Further hosts with port under which a browser may ask.

    Raises:
        TwinError: The port is taken, or the address is not this machine's.
    """

    def __init__(self, runs: Runs, folder: Folder | None, host: str, port: int, origins: Sequence[str] = ()) -> None:
        from twin.web.handlers import put_gate_before

        self.runs, self.host = runs, host
        # Open from here on: a link that is printed can be followed before the loop runs.
        self.door = listening(host, port)
        self.port = int(self.door.getsockname()[1])
        self.token = None if is_loopback(host) else new_token()
        self.application = application_of(runs, folder)
        put_gate_before(self.application, gate(host, self.port, self.token, origins))

    @property
    def link(self) -> str:
        """Where to point a browser, the token with it."""
        return link_to(self.host, self.port, self.token)

    def warm(self) -> None:
        """Make the first page, so that its reader does not wait for what is computed once.

        Raises:
            StoreError: A store cannot be read.
        """
        from twin.web.store.page import page
        from twin.web.store.view import first_view

        page(self.runs, first_view(self.runs))

    def run(self) -> None:
        """Serve until it is interrupted."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        from tornado.httpserver import HTTPServer

        server = HTTPServer(self.application)
        server.add_socket(self.door)
        try:
            await asyncio.Event().wait()
        finally:
            server.stop()


def application_of(runs: Runs, folder: Folder | None) -> Application:
    """What is answered, without the gate before it."""
    from tornado.web import Application

    from twin.web.handlers import Report
    from twin.web.store.downloads import TABLES
    from twin.web.store.handlers import Missing, Patients, StorePage, Style, Table
    from twin.web.store.page import STYLE

    rules: list[tuple] = [
        (r"/", StorePage, {"runs": runs, "folder": folder}),
        (f"/{STYLE}".replace(".", r"\."), Style),
        (rf"/download/({'|'.join(TABLES)})\.csv", Table, {"runs": runs}),
        (r"/download/patients-([1-9]\d?)\.nc", Patients, {"runs": runs}),
    ]
    if folder is not None:
        rules.append((r"/report/(.+)", Report, {"folder": folder}))
    return Application([*rules, (r".*", Missing)])
