"""The collector is off inside the context and as it was before after it."""

from __future__ import annotations

import gc

import pytest

from twin.collector import collector_paused


def test_pauses_and_resumes():
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_resumes_after_an_error():
    @collector_paused()
    def fails():
        assert not gc.isenabled()
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            fails()
        assert gc.isenabled()


def test_stays_off_where_it_was_off():
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
