"""Serving definitions in the test's own event loop, so that debuggers and patches reach them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import restate
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from resaga.server.ports import Ports
from resaga.testing.connection import ConnectionWatch

__all__ = ["Definition", "serving", "serving_app"]

Definition: TypeAlias = restate.Service | restate.VirtualObject | restate.Workflow

HOST = "127.0.0.1"


@asynccontextmanager
async def serving(definitions: Sequence[Definition]) -> AsyncGenerator[str]:
    """Serve definitions in this event loop; gives the address to register."""
    watch = ConnectionWatch(restate.app(list(definitions)))
    async with serving_app(watch) as address:
        try:
            yield address
        finally:
            await watch.close()


@asynccontextmanager
async def serving_app(app: Any) -> AsyncGenerator[str]:
    """Serve an ASGI app in this event loop; what it has open has to end before it stops."""
    ports = Ports()
    port = ports.take(HOST, None, what="the test's worker")
    server = Server(
        app,
        address=HOST,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http2,
        websockets=False,
        log_enabled=False,
    )
    task = asyncio.create_task(server.serve())
    try:
        yield f"http://{HOST}:{port}"
    finally:
        cast("Any", server).stop()
        await task
        ports.release()
