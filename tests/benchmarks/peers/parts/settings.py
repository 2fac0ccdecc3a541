"""What all parts are given: problems, folders, limits, engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..results import Table
from ..rounds import Limits


@dataclass(frozen=True)
class Settings:
    """Arguments of the command.

    Attributes:
        problems: YAML files of PEtab problems by name.
        out: Folder of results.
        build: Folder of the code that AMICI generates, kept between runs.
        engines: Engines to measure; none: all of a part.
        only: Names of problems or models; none: all.
        limits: Limits of wall clock.
        rounds: Number of rounds.
        fresh: Measure again what is in the tables.
        tolerances: Relative tolerances of ensembles; none: all of the part.
        max_steps: Most steps per trajectory of this package on PEtab problems; memory for all of them is set aside.
    """

    problems: dict[str, Path]
    out: Path
    build: Path
    engines: tuple[str, ...]
    only: tuple[str, ...]
    limits: Limits
    rounds: int
    fresh: bool
    tolerances: tuple[float, ...] = ()
    max_steps: int = 20_000

    @property
    def log(self) -> Path:
        """File for what the engines print."""
        return self.out / "engines.log"

    def chosen(self, engines: tuple[str, ...]) -> list[str]:
        """Those of a part's engines that are asked for."""
        return [engine for engine in engines if not self.engines or engine in self.engines]

    def table(self, part: str) -> Table:
        """The table of a part."""
        return Table(self.out / f"{part}.tsv", self.fresh)
