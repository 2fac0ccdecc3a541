"""One self-contained HTML page that shows an assessment: pictures and style inside, nothing loaded."""

from calibration.report.page import write_page

__all__ = ["write_page"]
