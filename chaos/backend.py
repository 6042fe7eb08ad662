"""Restate: one server, or a cluster of three nodes, all on loopback."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from resaga.server import RestateServer
from resaga.server.ports import Ports

__all__ = ["Backend", "open_backend"]

HOST = "127.0.0.1"
NODES = 3
START_TIMEOUT = timedelta(minutes=5)
"""A server that comes back waits until its partitions have leaders: long, on a busy machine."""


class Backend:
    """The nodes, and which of them are up.

    Attributes:
        nodes: All nodes; a server without a cluster is one.
    """

    def __init__(self, nodes: Sequence[RestateServer]) -> None:
        self.nodes = list(nodes)
        self._down: set[int] = set()
        self._dice = random.SystemRandom()

    def ingress(self) -> str:
        """Where services can be called just now: any node that is up, if one is."""
        return self._any().ingress_url

    def admin(self) -> str:
        """The admin API of any node that is up, if one is."""
        return self._any().admin_url

    async def register(self, uri: str) -> None:
        """Make what is served at ``uri`` known."""
        await asyncio.to_thread(self.nodes[0].register, uri)

    async def crash(self, number: int, *, down: timedelta) -> None:
        """SIGKILL a node, leave it down for a while, and start it again on its data."""
        node = self.nodes[number]
        self._down.add(number)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(down.total_seconds())
        await asyncio.to_thread(node.restart)
        self._down.discard(number)

    def _any(self) -> RestateServer:
        up = [node for number, node in enumerate(self.nodes) if number not in self._down]
        return self._dice.choice(up or self.nodes)


@asynccontextmanager
async def open_backend(*, cluster: bool) -> AsyncGenerator[Backend]:
    """Start Restate, and stop it at the end; its data is removed."""
    async with AsyncExitStack() as stack:
        if not cluster:
            server = await stack.enter_async_context(RestateServer(start_timeout=START_TIMEOUT))
            yield Backend([server])
            return
        ports = Ports()
        stack.callback(ports.release)
        addresses = [ports.take(HOST, None, what="a node") for _ in range(NODES)]
        nodes = [_node(number, addresses) for number in range(NODES)]
        # A node is ready once the others are: they start side by side.
        async with asyncio.TaskGroup() as starts:
            for node in nodes:
                starts.create_task(stack.enter_async_context(node))
        yield Backend(nodes)


def _node(number: int, addresses: Sequence[int]) -> RestateServer:
    return RestateServer(
        node_port=addresses[number],
        start_timeout=START_TIMEOUT,
        env={
            "RESTATE_CLUSTER_NAME": "resaga-chaos",
            "RESTATE_NODE_NAME": f"node-{number + 1}",
            "RESTATE_AUTO_PROVISION": "true" if number == 0 else "false",
            "RESTATE_DEFAULT_REPLICATION": "2",
            "RESTATE_METADATA_CLIENT__ADDRESSES": json.dumps(
                [f"http://{HOST}:{port}" for port in addresses]
            ),
        },
    )
