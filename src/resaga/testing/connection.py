"""The connections between server and worker, each one attempt, and how a test breaks one."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import struct
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Connection", "ConnectionWatch", "current_connection"]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_GONE: Message = {"type": "http.disconnect"}

HEARING = 10.0
"""Seconds after which nobody waits any more for the server to say something. One that does not
speak to running attempts has closed its side, so that nobody waits at all."""

ENDING = 1.0
"""Seconds that an attempt may take to end by itself once its connection is broken."""

_HEADER = struct.Struct(">HHI")
"""What each of Restate's messages begins with: its type, flags, the length of what follows."""

_SIGNAL = 0xFBFF
"""The type of a signal, and a cancel is one."""


class Connection:
    """What one attempt hears from the server, and says to it.

    Attributes:
        signals: How many signals came in: one more after a cancel means that the attempt has been
            told of it.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.signals: int = 0
        self._head = b""
        self._payload_left = 0
        self._receive = receive
        self._send = send
        self._lost = asyncio.Event()
        self._news = asyncio.Event()
        self._closed = False

    def lose(self) -> None:
        """Break it: the attempt hears no more, and nothing that it says arrives."""
        self._lost.set()
        self._news.set()

    async def hear(self, *, more_than: int) -> None:
        """Wait for another signal, if the server speaks to running attempts at all."""
        try:
            async with asyncio.timeout(HEARING):
                while self.signals <= more_than and not self._closed and not self._lost.is_set():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return

    async def receive(self) -> Message:
        """Hear the next part of the request, or that the connection is gone."""
        if self._lost.is_set():
            return _GONE
        coming = asyncio.ensure_future(self._receive())
        losing = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({coming, losing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            losing.cancel()
            if not coming.done():
                coming.cancel()
        if self._lost.is_set() or coming.cancelled():
            return _GONE
        message = coming.result()
        self._look_at(message.get("body", b""))
        if not message.get("more_body", False):
            self._closed = True
        self._news.set()
        return message

    def _look_at(self, body: bytes) -> None:
        """Count the signals in it; messages may be cut into parts anywhere."""
        at = 0
        while at < len(body):
            if len(self._head) < _HEADER.size:
                taken = body[at : at + _HEADER.size - len(self._head)]
                self._head += taken
                if len(self._head) == _HEADER.size:
                    self._payload_left = _HEADER.unpack(self._head)[-1]
            else:
                taken = body[at : at + self._payload_left]
                self._payload_left -= len(taken)
            at += len(taken)
            if len(self._head) == _HEADER.size and not self._payload_left:
                self.signals += _HEADER.unpack(self._head)[0] == _SIGNAL
                self._head = b""

    async def send(self, message: Message) -> None:
        """Say something to the server, unless the connection is broken."""
        if not self._lost.is_set():
            await self._send(message)


current_connection: contextvars.ContextVar[Connection | None] = contextvars.ContextVar(
    "resaga_testing_connection", default=None
)


class ConnectionWatch:
    """An ASGI app around the SDK's: each request's connection is `current_connection` in it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._open: dict[asyncio.Task[Any], Connection] = {}
        self._closed = False

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._closed:
            return  # Restate tries again what was broken, until its server has stopped.
        connection = Connection(receive, send)
        token = current_connection.set(connection)
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = connection
        task.add_done_callback(self._open.pop)
        try:
            await self._app(scope, connection.receive, connection.send)
        finally:
            current_connection.reset(token)

    async def close(self) -> None:
        """Break what is open, begin nothing more, and wait until all attempts have ended.

        Their server would wait for them before it stops. A cancel alone does not end one: the SDK
        takes it for the end of the handler, and waits for Restate to close its side then.
        """
        self._closed = True
        for connection in self._open.values():
            connection.lose()
        attempts = asyncio.gather(*self._open, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(attempts, ENDING)  # It cancels them then, and waits for that.
