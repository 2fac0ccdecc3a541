"""Which readings to take next: candidates with costs, criteria, designs and how good they can be."""

from calibration.experimental_design.candidates import Candidates, candidates
from calibration.experimental_design.design import design
from calibration.experimental_design.result import Design

__all__ = ["Candidates", "Design", "candidates", "design"]
