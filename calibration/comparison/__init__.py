"""Models as hypotheses: sets of models compared on the same readings, and searches through spaces of models."""

from calibration.comparison.compare import compare
from calibration.comparison.result import Comparison
from calibration.comparison.select import select
from calibration.comparison.selection import Selection

__all__ = ["Comparison", "Selection", "compare", "select"]
