"""Where servers listen: a port that is open from the moment its link exists, and ports that cannot be had."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from twin.errors import TwinError
from twin.web.address import free_port, listening
from twin.web.store.runs import Runs
from twin.web.store.server import ServingStores


def test_whoever_comes_early_is_kept_waiting() -> None:
    with listening("127.0.0.1", 0) as door, socket.create_connection(door.getsockname(), timeout=5) as early:
        early.sendall(b"hello")
        answering, _ = door.accept()
        with answering:
            assert answering.recv(5) == b"hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.xdist_group("stores")
def test_the_link_of_stores_can_be_followed_before_they_are_served(stores: tuple[Path, Path, Path], host: str) -> None:
    serving = ServingStores(Runs([stores[0]]), None, host, 0)
    with serving.door:
        assert f":{serving.port}/" in serving.link
        socket.create_connection(("127.0.0.1", serving.port), timeout=5).close()


def test_a_port_that_is_taken() -> None:
    with listening("127.0.0.1", 0) as door:
        port = door.getsockname()[1]
        with pytest.raises(TwinError, match=f"port {port} is taken") as caught:
            free_port("127.0.0.1", port)
    assert "--port 0" in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [("::1", 0, "IP version 6"), ("192.0.2.1", 0, "nothing can listen"), ("127.0.0.1", 70_000, "nothing can listen")],
)
def test_addresses_that_cannot_be_had(host: str, port: int, said: str) -> None:
    with pytest.raises(TwinError, match=said):
        free_port(host, port)
