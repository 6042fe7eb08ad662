"""The servers of a test session, and the three flavours in which each test runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from resaga.server import RestateServer

Flavour = Literal["normal", "replay", "serverless"]

FLAVOURS: tuple[Flavour, ...] = ("normal", "replay", "serverless")
"""A normal server; one that replays at every await; the serverless protocol."""

QUICK: dict[str, str] = {
    # Retries come quickly, and a small machine need not keep 24 partitions.
    "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "30ms",
    "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "300ms",
    "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
}


def make_server(flavour: Flavour) -> RestateServer:
    """A server for a flavour, not started yet."""
    timeout = timedelta(0) if flavour == "replay" else None
    return RestateServer(env=QUICK, inactivity_timeout=timeout)


class Servers:
    """The two servers of a session, each started when it is first asked for."""

    def __init__(self) -> None:
        self._servers: dict[str, RestateServer] = {}

    def get(self, flavour: Flavour) -> RestateServer:
        """The server for a flavour; the serverless one is a matter of the deployment."""
        kind: Flavour = "replay" if flavour == "replay" else "normal"
        server = self._servers.get(kind)
        if server is None or not server.is_alive():
            server = self._servers[kind] = make_server(kind)
            server.start()
        return server

    def stop(self) -> None:
        """Stop them all."""
        for server in self._servers.values():
            server.stop()
