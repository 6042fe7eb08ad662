"""Ports that stay with who took them."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterator, Sequence

import pytest

from resaga.server.errors import StartFailed
from resaga.server.ports import Ports

HOST = "127.0.0.1"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="ports are held on Linux only")


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = Ports()
    yield ports
    ports.release()


def picks(monkeypatch: pytest.MonkeyPatch, numbers: Sequence[int]) -> None:
    """Make chance come out like that."""
    rest = iter(numbers)

    def pick(self: object, start: int, stop: int) -> int:
        return next(rest)

    monkeypatch.setattr(random.SystemRandom, "randrange", pick)


@LINUX
def test_a_taken_port_is_free_for_a_server_only(ports: Ports) -> None:
    port = ports.take(HOST, None, what="a test")
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, port))
    for _ in range(2):  # a server that restarts
        with socket.create_server((HOST, port)) as server:
            client = socket.create_connection((HOST, port))
            server.accept()[0].close()
            client.close()


@LINUX
def test_nobody_else_picks_it_while_its_server_is_down(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = ports.take(HOST, None, what="a test")
    picks(monkeypatch, [port, port, *range(port + 1, port + 100)])
    other = Ports()
    assert other.take(HOST, None, what="another test") != port
    other.release()


def test_released_ports_are_free(ports: Ports) -> None:
    port = ports.take(HOST, None, what="a test")
    ports.release()
    assert ports.take(HOST, port, what="a test") == port


def test_a_told_port_that_is_in_use_is_refused_with_its_number(ports: Ports) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartFailed, match=f"port {port} of {HOST}, meant for a test"):
            ports.take(HOST, port, what="a test")


def test_a_told_port_whose_connections_linger_is_taken(ports: Ports) -> None:
    """Their near end waits in TIME_WAIT, as after the restart of a server."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        client = socket.create_connection((HOST, port))
        server.accept()[0].close()
        client.close()
    assert ports.take(HOST, port, what="a test") == port


def test_an_address_that_is_not_of_this_machine_is_named(ports: Ports) -> None:
    with pytest.raises(StartFailed, match=r"a test cannot listen on 192\.0\.2\.1"):
        ports.take("192.0.2.1", None, what="a test")


def test_when_nothing_is_free_it_says_so(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        picks(monkeypatch, [port] * 1000)
        with pytest.raises(StartFailed, match="no free port"):
            ports.take(HOST, None, what="a test")
