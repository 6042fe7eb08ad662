"""A wire between server and worker that a test can cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Wire:
    """Passes bytes on, in both directions, until it is cut.

    Attributes:
        port: Where the server's end is.
    """

    def __init__(self, worker: int) -> None:
        self.port = 0
        self._worker = worker
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Break all connections, as a network does; the next one is passed on again."""
        for end in self._ends:
            end.transport.abort()

    def lead_to(self, worker: int) -> None:
        """Pass new connections on to another worker."""
        self._worker = worker

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The server has connected."""
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._worker)
        self._ends |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.ensure_future(self._pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            self._ends.discard(sink)
            sink.transport.abort()

    async def close(self) -> None:
        """Leave nothing behind."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def wire_to(worker: int) -> AsyncGenerator[Wire]:
    """A wire to the worker at this port."""
    wire = Wire(worker)
    async with await asyncio.start_server(wire.connect, "127.0.0.1", 0) as server:
        wire.port = server.sockets[0].getsockname()[1]
        try:
            yield wire
        finally:
            await wire.close()
