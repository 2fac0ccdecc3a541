"""What the server of stores answers: pages, their style, and files. Every answer depends on its address alone."""

from __future__ import annotations

from tornado.ioloop import IOLoop

from twin.errors import StoreError, TwinError
from twin.web.handlers import Plain
from twin.web.security import Folder
from twin.web.store.downloads import csv_of, netcdf_of
from twin.web.store.page import fault_page, page, style_sheet
from twin.web.store.runs import Runs
from twin.web.store.view import query_of, view_of

POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class _OfRuns(Plain):
    def initialize(self, runs: Runs, folder: Folder | None = None) -> None:
        """What is served."""
        self.runs, self.folder = runs, folder

    def set_default_headers(self) -> None:
        """No scripts, and nothing from elsewhere."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", POLICY)


class StorePage(_OfRuns):
    """The page of a view, or a page that says why there is none."""

    def get(self) -> None:
        """The page."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        try:
            reports = self.folder.reports() if self.folder is not None else []
            self.finish(page(self.runs, view_of(self.request.query, self.runs), reports))
        except TwinError as error:
            self.set_status(status_of_fault(error))
            self.finish(fault_page(error))


class Style(Plain):
    """The style sheet of pages."""

    def get(self) -> None:
        """The sheet."""
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.finish(style_sheet())


class Table(_OfRuns):
    """A table of the view as CSV."""

    async def get(self, name: str) -> None:
        """The table; it is made in another thread, so that pages are answered meanwhile."""
        try:
            view = view_of(self.request.query, self.runs)
            body = await IOLoop.current().run_in_executor(None, csv_of, self.runs, view, name)
        except TwinError as error:
            self.refuse(status_of_fault(error), str(error))
            return
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}.csv"')
        self.finish(body)


class Patients(_OfRuns):
    """All patients of a run, in the arms that are shown, as netCDF."""

    async def get(self, number: str) -> None:
        """The file; it is made in another thread, too."""
        if not 1 <= int(number) <= len(self.runs):
            self.refuse(404, "There is no such run.")
            return
        place = int(number) - 1
        try:
            view = view_of(self.request.query, self.runs)
            arguments = self.runs[place], view.arms[place], query_of(view)
            body = await IOLoop.current().run_in_executor(None, netcdf_of, *arguments)
        except TwinError as error:
            self.refuse(status_of_fault(error), str(error))
            return
        self.set_header("Content-Type", "application/x-netcdf")
        self.set_header("Content-Disposition", f'attachment; filename="patients-{number}.nc"')
        self.finish(body)


class Missing(Plain):
    """Whatever else is asked for."""

    def prepare(self) -> None:
        """Not there, by whichever method."""
        self.refuse(404, "There is nothing here.")


def status_of_fault(error: TwinError) -> int:
    """Whose fault it is: that of the address (400), or of the store on the disk (500)."""
    return 500 if isinstance(error, StoreError) else 400
