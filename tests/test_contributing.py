"""Every Python snippet of CONTRIBUTING.md runs as it stands."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "CONTRIBUTING.md"
SNIPPETS = [
    pytest.param(text, id=heading.strip().replace(" ", "-").lower() + f"-{number}")
    for heading, body in re.findall(r"^### (.+?)$(.*?)(?=^##|\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    for number, text in enumerate(re.findall(r"^```python\n(.*?)^```$", body, re.MULTILINE | re.DOTALL))
]


def test_every_kind_of_addition_has_a_snippet() -> None:
    assert len(SNIPPETS) >= 8


@pytest.mark.parametrize("text", SNIPPETS)
def test_snippet(text: str, tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(text, encoding="utf-8")
    assert runpy.run_path(str(script))
