"""Antimony text to a model."""

import sys

import pytest

from twin.errors import LibraryError, ModelError
from twin.exchange.antimony import read_antimony


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "antimony", None)
    with pytest.raises(LibraryError, match=r"pip install 'cytotwin\[antimony\]'"):
        read_antimony("A -> B; k*A")


def test_imports_of_other_files_are_refused():
    with pytest.raises(ModelError, match="imports another file"):
        read_antimony('import "/etc/passwd"\nA -> B; 1')


def test_a_model_is_read():
    pytest.importorskip("antimony")
    model = read_antimony("A -> B; k*A; A = 1; B = 0; k = 0.1")
    assert model.state_names == ("A", "B")
    assert model.reactions[0].rate == "k * A"


def test_what_is_no_antimony_is_refused():
    pytest.importorskip("antimony")
    with pytest.raises(ModelError, match="Antimony text"):
        read_antimony("A -> -> B")
