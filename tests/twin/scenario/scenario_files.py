"""A scenario as files that tests write, and the content of a folder."""

from __future__ import annotations

from pathlib import Path

import scenarios

import twin

TEXT = """\
name: decay
model: decay.xml
cohort:
  size: 500
  parameters:
    k: { log_normal: { median: 1.0, sd_log: 0.4 } }
experiment:
  doses: ["A=dose@1"]
factors:
  dose: [0, 1]
  k: { levels: [1, 2], multiply: true }
times: { stop: 3, points: 13 }
endpoints:
  area: { area: A }
  half: { first_crossing: A, threshold: 0.5, direction: down, otherwise: 99 }
derived:
  twice: 2 * area
responders:
  fast: half < 0.7 && twice < 3
bands: { levels: [0.1, 0.9], resolution: 64 }
solver: { rtol: 1.0e-6, max_steps: 512 }
seed: 4
"""


def written(folder: Path) -> Path:
    """The scenario and its model in a folder."""
    twin.write_sbml(scenarios.MODEL, folder / "decay.xml")
    (folder / "scenario.yaml").write_text(TEXT)
    return folder / "scenario.yaml"


def content(folder: Path) -> dict[str, bytes]:
    """Bytes of all files but the note of where the scenario came from."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "origin.json"
    }
