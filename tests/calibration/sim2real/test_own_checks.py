"""Checks that other packages add."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import cast

import pytest

from calibration.sim2real import own_checks
from calibration.sim2real.check_row import Check
from calibration.sim2real.own_checks import Evidence, LayerCheck, run_own_checks
from twin.errors import LibraryError

EVIDENCE = cast("Evidence", None)
GOOD = LayerCheck("L1 statistical", lambda evidence: [Check("lab.one", "one", 1.0, True, "")])
BAD = LayerCheck("L1 statistical", lambda evidence: [Check("r_hat", "one", 1.0, True, "")])


def test_an_entry_point_adds_rows_to_its_layer_only(monkeypatch) -> None:
    entry = EntryPoint("lab", f"{__name__}:GOOD", own_checks.GROUP)
    monkeypatch.setattr(own_checks.importlib.metadata, "entry_points", lambda group: [entry])
    monkeypatch.setattr(EntryPoint, "load", lambda self: GOOD)
    found = own_checks.own_checks()
    assert [c.key for c in run_own_checks(EVIDENCE, "L1 statistical", found)] == ["lab.one"]
    assert run_own_checks(EVIDENCE, "L2 biological", found) == []


def test_what_is_no_check_and_keys_of_others_are_refused(monkeypatch) -> None:
    entry = EntryPoint("lab", "json:dumps", own_checks.GROUP)
    monkeypatch.setattr(own_checks.importlib.metadata, "entry_points", lambda group: [entry])
    with pytest.raises(LibraryError, match="it is a function"):
        own_checks.own_checks()
    with pytest.raises(LibraryError, match=r"begins with 'lab\.'"):
        run_own_checks(EVIDENCE, "L1 statistical", {"lab": BAD})
