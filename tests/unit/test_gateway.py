"""How a worker ends: not before the server has what its attempts sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from resaga.cli.serve.gateway import Gateway, Message

GRACE = timedelta(seconds=30)


async def attempt(_scope: Any, receive: Any, send: Any) -> None:
    """What the SDK does: read until the input is over, send the last word, end the response."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.body", "body": b"the result", "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Server:
    """The other side of one request."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[Message] = asyncio.Queue()
        self.heard: list[Message] = []
        self.has_heard = asyncio.Event()
        self.was_asked = asyncio.Event()

    async def receive(self) -> Message:
        self.was_asked.set()
        return await self.says.get()

    async def send(self, message: Message) -> None:
        self.heard.append(message)
        self.has_heard.set()


def part(*, more: bool) -> Message:
    return {"type": "http.request", "body": b"", "more_body": more}


async def under_way(gateway: Gateway, server: Server) -> asyncio.Task[None]:
    request = asyncio.create_task(
        gateway({"path": "/invoke/A/run", "headers": []}, server.receive, server.send)
    )
    server.says.put_nowait(part(more=True))
    await server.was_asked.wait()
    return request


@pytest.mark.parametrize(
    "close",
    [lambda: part(more=False), lambda: {"type": "http.disconnect"}],
    ids=["input ended", "disconnected"],
)
async def test_it_does_not_end_before_the_server_has_the_last_word(
    close: Callable[[], Message],
) -> None:
    server = Server()
    gateway = Gateway(attempt, on_first_request=lambda _: None)
    request = await under_way(gateway, server)
    ending = asyncio.create_task(gateway.end(GRACE))
    await server.has_heard.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert [message["body"] for message in server.heard] == [b"the result"]
    assert not ending.done()
    server.says.put_nowait(close())
    await ending
    await request
    assert [message["more_body"] for message in server.heard] == [True, False]


async def test_a_server_that_says_nothing_does_not_hold_it_up_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resaga.cli.serve.gateway.TAKEN", timedelta(milliseconds=1))
    server = Server()
    gateway = Gateway(attempt, on_first_request=lambda _: None)
    request = await under_way(gateway, server)
    await gateway.end(GRACE)
    await request
    assert len(server.heard) == 2


async def test_an_attempt_that_ends_by_itself_waits_for_nothing_more() -> None:
    server = Server()
    gateway = Gateway(attempt, on_first_request=lambda _: None)
    request = await under_way(gateway, server)
    server.says.put_nowait(part(more=False))
    await request
    assert len(server.heard) == 2
