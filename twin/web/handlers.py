"""What the server answers beside the page: the gate before everything, downloads, and reports of the folder."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from twin.errors import TwinError
from twin.web.downloads import bands_csv, patients_netcdf
from twin.web.link import view_of
from twin.web.security import Folder, Gate
from twin.web.served import Served

# A report is a page without scripts; whatever else lies in the folder under that name gets no rights either.
REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
PLAIN_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


class Plain(RequestHandler):
    """An answer that nothing is read into, and a refusal in plain text."""

    def set_default_headers(self) -> None:
        """Nothing is guessed, passed on or kept."""
        for name, value in PLAIN_HEADERS.items():
            self.set_header(name, value)

    def refuse(self, status: int, text: str) -> None:
        """Say why not, in plain text."""
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(text)


class Refusal(Plain):
    """The answer to a request that does not pass the gate."""

    def initialize(self, status: int, text: str) -> None:
        """What to say."""
        self.status, self.text = status, text

    def prepare(self) -> None:
        """Whatever was asked, and by whichever method."""
        self.refuse(self.status, self.text)


class Entrance(Plain):
    """The first request, with the token in the link: it becomes a cookie and leaves the address bar."""

    def initialize(self, gate: Gate) -> None:
        """Its gate."""
        self.gate = gate

    def get(self) -> None:
        """Set the cookie and go on without the token."""
        assert self.gate.token is not None  # else nobody is sent here
        self.set_cookie(self.gate.cookie, self.gate.token, httponly=True, samesite="Lax", path="/")
        rest = [pair for pair in parse_qsl(self.request.query, keep_blank_values=True) if pair[0] != "token"]
        # Only the path of this server: "//elsewhere" would be another one.
        path = "/" + self.request.path.lstrip("/\\")
        self.redirect(path + (f"?{urlencode(rest)}" if rest else ""))


class Download(Plain):
    """Courses of the view in the query, computed anew: what is saved is what the link says, whoever draws it."""

    def initialize(self, served: Served) -> None:
        """What is served."""
        self.served = served

    def get(self, kind: str) -> None:
        """Bands as CSV, or all patients as netCDF."""
        try:
            view = view_of(self.request.query, self.served)
            body = bands_csv(self.served, view) if kind == "csv" else patients_netcdf(self.served, view)
        except TwinError as error:
            self.refuse(400, str(error))
            return
        self.set_header("Content-Type", "text/csv; charset=utf-8" if kind == "csv" else "application/x-netcdf")
        # A model's name is letters, digits and underscores, so it needs no quoting.
        self.set_header("Content-Disposition", f'attachment; filename="{self.served.model.name}.{kind}"')
        self.finish(body)


class Report(Plain):
    """A report of the folder, shown without any rights."""

    def initialize(self, folder: Folder) -> None:
        """Where reports are."""
        self.folder = folder

    def get(self, name: str) -> None:
        """The file, if it is one of the folder's."""
        path = self.folder.file(unquote(name), ".html")
        if path is None:
            self.refuse(404, "There is no such report in the folder.")
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", REPORT_POLICY)
        self.finish(path.read_bytes())


def put_gate_before(application: Application, gate: Gate) -> None:
    """Let no request of any kind, websockets and static files included, reach its handler but through the gate."""
    find = application.find_handler

    def find_handler(request: HTTPServerRequest, **kwargs: Any) -> Any:
        refusal = _refusal(gate, request)
        if refusal is not None:
            return application.get_handler_delegate(request, Refusal, refusal)
        if gate.token is not None and gate.accepts(_token_in(request)) and request.method == "GET":
            return application.get_handler_delegate(request, Entrance, {"gate": gate})
        return find(request, **kwargs)

    application.find_handler = find_handler  # type: ignore[method-assign]


def _refusal(gate: Gate, request: HTTPServerRequest) -> dict[str, Any] | None:
    if not gate.knows_host(request.headers.get("Host", "")):
        return {"status": 403, "text": "This server does not go by the name in the address bar (--origin adds one)."}
    # Bokeh's server for components imports modules by name, for whoever asks; the page needs none of it.
    if urlsplit(request.path).path.lstrip("/").startswith("components/"):
        return {"status": 404, "text": "There is nothing here."}
    cookie = request.cookies.get(gate.cookie)
    if gate.accepts(cookie.value if cookie is not None else None) or gate.accepts(_token_in(request)):
        return None
    return {"status": 403, "text": "Open the link with the token that 'twin serve' printed."}


def _token_in(request: HTTPServerRequest) -> str | None:
    given = request.query_arguments.get("token")
    return given[0].decode("utf-8", "replace") if given else None
