"""What the line of progress says."""

from __future__ import annotations

import pytest

from twin import progress


def test_a_part_of_unknown_length_stays_where_the_whole_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with progress.progress("fitting", 10) as line:
        part = line.part(5, "hopping")
        part.update(900, "3 running")
        part.close()
        line.update(6, "polishing")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("fitting:  50%") and first.endswith("hopping: 3 running")
    assert second.startswith("fitting:  60%") and second.endswith("polishing")


def test_a_quiet_line_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    line = progress.Progress("fitting", 10, quiet=True)
    line.part(5, "hopping").update(1, "3 running")
    line.update(10)
    assert capsys.readouterr().err == ""
