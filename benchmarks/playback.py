"""Python's own share of a saga, without noise: what Restate has sent, played to the app again.

``python -m benchmarks.playback PROGRAM ADMIN INGRESS`` serves a program in its own event loop, has
each saga run once by a real server, and keeps what that has sent. Then it plays this to the app
many times, each part as soon as the app has sent what came before it. There is no network then, no
ASGI server and no other process, so that CPU times differ by a few hundredths from run to run, on
a busy machine too.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import uvloop

from benchmarks.load import Work
from resaga.server import RestateServer
from resaga.testing.admin import Admin
from resaga.testing.serving import serving_app

__all__ = ["SERVICE", "WORKS", "play", "playback", "record"]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

SERVICE = "BenchPlayback"
LIMIT = 300.0

WORKS = (Work(1), Work(1, fails=True), Work(5), Work(5, fails=True))

WARM, BATCHES, SAGAS = 300, 8, 400
"""The least of so many batches of sagas counts: what else a machine does only ever adds."""


@dataclass(slots=True)
class Recording:
    """What one attempt was sent.

    Attributes:
        scope: The request.
        parts: Its parts, and how many bytes the app had sent before each.
        sent: How many bytes the app sent.
    """

    scope: dict[str, Any]
    parts: list[tuple[int, Message]] = field(default_factory=list[tuple[int, Message]])
    sent: int = 0


def playback(server: RestateServer, program: str) -> list[float]:
    """Microseconds of CPU that a program's Python takes for each of `WORKS`."""
    command = [sys.executable, "-m", "benchmarks.playback", program, server.admin_url]
    ran = subprocess.run(
        [*command, server.ingress_url],
        env={**os.environ, "RESAGA_BENCH_SERVICE": SERVICE},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=LIMIT,
    )
    return cast("list[float]", json.loads(ran.stdout))


async def record(app: App, works: Sequence[Work], admin: str, ingress: str) -> list[Recording]:
    """Have each saga run once, by a real server."""
    recordings: list[Recording] = []

    async def recording(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        kept = Recording(scope={key: scope[key] for key in SCOPE if key in scope})

        async def listening() -> Message:
            message = await receive()
            kept.parts.append((kept.sent, dict(message)))
            return message

        async def saying(message: Message) -> None:
            kept.sent += len(message.get("body", b""))
            await send(message)

        if "invoke" in str(scope.get("path")):
            recordings.append(kept)
        await app(scope, listening, saying)

    async with serving_app(recording) as address, httpx.AsyncClient(trust_env=False) as http:
        restate = Admin(admin)
        await restate.register(address)
        await restate.close()
        for work in works:
            ended = await http.post(
                f"{ingress}/{SERVICE}/run",
                content=work.json(),
                headers={"content-type": "application/json"},
                timeout=LIMIT,
            )
            work.check(1, int(ended.is_error))
    return recordings


END: tuple[int, Message] = sys.maxsize, {}
"""What never comes."""

SCOPE = ("type", "http_version", "method", "path", "query_string", "headers")


async def play(app: App, recording: Recording) -> int:
    """Play what was sent to one attempt again; how many bytes the app has sent."""
    parts = iter([*recording.parts, END])
    loop = asyncio.get_running_loop()
    sent = 0
    wanted: tuple[int, asyncio.Future[None]] | None = None

    async def receive() -> Message:
        nonlocal wanted
        before, message = next(parts)
        if sent < before:
            wanted = before, loop.create_future()
            await wanted[1]
        await asyncio.sleep(0)
        return message

    async def send(message: Message) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))
        if wanted is not None and sent >= wanted[0] and not wanted[1].done():
            wanted[1].set_result(None)

    await app(recording.scope, receive, send)
    return sent


async def cost(app: App, recording: Recording) -> float:
    """Microseconds of CPU for one saga."""
    for _ in range(WARM):
        await play(app, recording)
    took: list[float] = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(SAGAS):
            await play(app, recording)
        took.append(time.process_time() - began)
    return min(took) / SAGAS * 1e6


async def main(program: str, admin: str, ingress: str) -> list[float]:
    """Record, and play."""
    module, _, name = program.partition(":")
    app: App = getattr(importlib.import_module(module), name)
    recordings = await record(app, WORKS, admin, ingress)
    assert len(recordings) == len(WORKS), "a saga took more than one attempt"
    return [await cost(app, recording) for recording in recordings]


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(*sys.argv[1:]))))
