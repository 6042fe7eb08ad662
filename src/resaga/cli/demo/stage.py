"""The stage of the demo: server, worker, shop, and the ear at the workers' pipe."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from resaga.cli.demo.app import Order
from resaga.cli.demo.events import Event, listen
from resaga.cli.demo.folder import VARIABLE, DemoFolder
from resaga.cli.demo.shop import Shop
from resaga.cli.demo.trap import Trap
from resaga.server import RestateServer, Worker

__all__ = ["Answer", "Stage", "open_stage"]

PRODUCT = "teapot"
UNITS = 10

PATIENCE = 55.0
"""Seconds to wait for an answer: below the limit of an act, which then says what went wrong."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the customer got: the HTTP status, and the receipt or the reason as text."""

    status: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """All that an act needs.

    Attributes:
        server: The Restate server.
        worker: The worker that serves the checkout saga.
        shop: The shop's database, for looking into it.
        trap: The trap that a worker can be made to step into.
        events: What the workers tell.
    """

    server: RestateServer
    worker: Worker
    shop: Shop
    trap: Trap
    events: asyncio.Queue[Event]

    async def order(self, order: Order) -> Answer:
        """Order something through Restate's ingress, as a customer's browser would."""
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            response = await client.post(
                f"{self.server.ingress_url}/Checkout/run",
                content=msgspec.json.encode(order),
                headers={"content-type": "application/json"},
            )
        if response.is_success:
            return Answer(response.status_code, response.text)
        reason: str = response.json()["message"]
        return Answer(response.status_code, reason)

    async def replace_worker(self) -> int:
        """Kill the worker with SIGKILL, start another, and give its process id."""
        await asyncio.to_thread(self.worker.kill)
        await asyncio.to_thread(self.worker.restart)
        return self.worker.pid

    def worker_log(self) -> str:
        """The last lines that the workers wrote."""
        return "\n".join(self.worker.log_file.read_text().splitlines()[-15:]) or "nothing"


@asynccontextmanager
async def open_stage(server: RestateServer) -> AsyncGenerator[Stage]:
    """Set the stage around a server that runs, and clear it away at the end."""
    with tempfile.TemporaryDirectory(prefix="resaga-demo-") as path:
        folder = DemoFolder(Path(path))
        shop = Shop(folder.engine())
        await shop.open(PRODUCT, UNITS)
        worker = Worker(
            app="resaga.cli.demo.worker:app",
            env={VARIABLE: path},
            log_file=folder.path / "worker.log",
        )
        try:
            async with listen(folder.pipe) as events, worker:
                await asyncio.to_thread(server.register, worker.uri)
                yield Stage(
                    server=server, worker=worker, shop=shop, trap=Trap(folder.trap), events=events
                )
        finally:
            await shop.close()
