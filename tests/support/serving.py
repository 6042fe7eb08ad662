"""Serving definitions in the test's own event loop, so that tests hold references into them."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import restate
from hypercorn.asyncio import serve  # pyright: ignore[reportUnknownVariableType]
from hypercorn.config import Config
from hypercorn.typing import Framework  # pyright: ignore[reportUnknownVariableType]
from restate.entry_codec import JournalValueCodec

Definition = restate.Service | restate.VirtualObject | restate.Workflow
Protocol = Literal["bidi", "request_response"]
Message = dict[str, Any]


class Traffic:
    """An ASGI app around the SDK's, that keeps what comes in and what goes out, by service.

    Attributes:
        attempts: Attempts begun.
        open: Attempts going on.
        heard: Parts of request bodies received; one more after a cancel means that the running
            attempt has been told of it.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.attempts: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()
        self.said: defaultdict[str, list[bytes]] = defaultdict(list)

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        path: list[str] = str(scope.get("path", "")).split("/")
        if "invoke" not in path:
            await self._app(scope, receive, send)
            return
        service = path[path.index("invoke") + 1]

        async def listening() -> Message:
            message = await receive()
            if message.get("body"):
                self.heard[service] += 1
            return message

        async def saying(message: Message) -> None:
            if message.get("body"):
                self.said[service].append(message["body"])
            await send(message)

        self.attempts[service] += 1
        self.open[service] += 1
        try:
            await self._app(scope, listening, saying)
        finally:
            self.open[service] -= 1


@asynccontextmanager
async def serving(
    definitions: Sequence[Definition],
    protocol: Protocol | None,
    codec: JournalValueCodec | None = None,
) -> AsyncGenerator[tuple[int, Traffic]]:
    """Serve definitions; gives the deployment's port, and what comes in."""
    traffic = Traffic(restate.app(list(definitions), protocol=protocol, journal_value_codec=codec))
    config = Config()
    # Not a connection per thousand requests: a spinning invocation would look like a broken one.
    config.keep_alive_max_requests = 10**9
    config.graceful_timeout = 0
    config.loglevel = "CRITICAL"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        config.bind = [f"fd://{listening.fileno()}"]
        stop = asyncio.Event()
        server = asyncio.create_task(
            serve(cast(Framework, traffic), config, shutdown_trigger=stop.wait)
        )
        listening.detach()
    try:
        yield port, traffic
    finally:
        stop.set()
        await server
