"""One address for several workers: a new connection goes to the one that has the fewest."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

__all__ = ["open_balancer"]

HOST = "127.0.0.1"
CHUNK = 64 * 1024


@asynccontextmanager
async def open_balancer(uris: Callable[[], Sequence[str]]) -> AsyncGenerator[str]:
    """Listen, and give the address to register with Restate.

    Args:
        uris: Where the workers listen that are up just now.
    """
    balancer = _Balancer(uris)
    server = await asyncio.start_server(balancer.serve, HOST, 0)
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await balancer.close()


class _Balancer:
    def __init__(self, uris: Callable[[], Sequence[str]]) -> None:
        self._uris = uris
        self._connections: Counter[str] = Counter()
        self._serving: set[asyncio.Task[object]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._connect(reader, writer)
        except asyncio.CancelledError:
            pass  # By `close`; asyncio's server would report it as an error.
        finally:
            self._serving.discard(task)
            writer.close()

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # None at all: the connection is closed, and Restate tries again.
        for uri in sorted(self._uris(), key=lambda uri: self._connections[uri]):
            address = urlsplit(uri)
            try:
                from_worker, to_worker = await asyncio.open_connection(
                    address.hostname, address.port
                )
            except OSError:
                continue
            self._connections[uri] += 1
            try:
                await self._pump_both(reader, writer, from_worker, to_worker)
            finally:
                self._connections[uri] -= 1
                to_worker.close()
            return

    async def _pump_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_worker: asyncio.StreamReader,
        to_worker: asyncio.StreamWriter,
    ) -> None:
        pumps = {
            asyncio.ensure_future(_pump(reader, to_worker)),
            asyncio.ensure_future(_pump(from_worker, writer)),
        }
        try:
            # When one end is gone, so is the other.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
