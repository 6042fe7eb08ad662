"""The stage of the demo: server, worker, shop, and the ear at the workers' pipe."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from resaga.cli.demo.app import Order, Receipt
from resaga.cli.demo.events import Event, listen
from resaga.cli.demo.folder import VARIABLE, DemoFolder
from resaga.cli.demo.shop import Shop, money
from resaga.cli.demo.trap import Trap
from resaga.errors import ResagaError
from resaga.server import RestateServer, Worker

__all__ = ["Answer", "NoAnswer", "Stage", "open_stage"]

PRODUCT = "teapot"
UNITS = 10


class NoAnswer(ResagaError):
    """Restate did not answer a customer."""


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
        database: Where the shop's database is.
        shop: The shop's database, for looking into it.
        trap: The trap that a worker can be made to step into.
        events: What the workers tell.
    """

    server: RestateServer
    worker: Worker
    database: Path
    shop: Shop
    trap: Trap
    events: asyncio.Queue[Event]

    async def order(self, order: Order) -> Answer:
        """Order something through Restate's ingress, as a customer's browser would.

        Raises:
            NoAnswer: There was none.
        """
        where = f"{self.server.ingress_url}/Checkout/run"
        try:
            # The answer takes as long as the saga does, and how long that may be an act knows.
            forever = httpx.Timeout(None)
            # `verify=False` loads no certificates: it is plain HTTP to this machine.
            async with httpx.AsyncClient(
                timeout=forever,
                trust_env=False,
                verify=False,  # noqa: S501
            ) as client:
                response = await client.post(
                    where,
                    content=msgspec.json.encode(order),
                    headers={"content-type": "application/json"},
                )
        except httpx.HTTPError as error:
            raise NoAnswer(
                f"the order was not answered at {where}: {type(error).__name__}: {error}"
            ) from error
        if response.is_success:
            receipt = msgspec.json.decode(response.content, type=Receipt)
            units = ", ".join(map(str, receipt.units))
            return Answer(
                response.status_code, f"receipt, units {units} for {money(receipt.amount)}"
            )
        return Answer(response.status_code, _reason(response.content))

    async def replace_worker(self) -> int:
        """Kill the worker with SIGKILL, start another, and give its process id."""
        await _in_thread(self.worker.kill)
        await _in_thread(self.worker.restart)
        return self.worker.pid

    def worker_log(self) -> str:
        """The last lines that the workers wrote."""
        return "\n".join(self.worker.log_file.read_text().splitlines()[-15:]) or "nothing"


def _reason(body: bytes) -> str:
    """The message of a terminal error, as Restate's ingress gives it."""
    try:
        return msgspec.json.decode(body, type=_Refusal).message
    except msgspec.MsgspecError:
        return body.decode(errors="replace")


class _Refusal(msgspec.Struct):
    message: str


async def _in_thread(work: Callable[[], object]) -> None:
    """Do it in a thread, to its end: what else the stage does to the worker must not overlap."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise


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
                await _in_thread(lambda: server.register(worker.uri))
                yield Stage(
                    server=server,
                    worker=worker,
                    database=folder.database,
                    shop=shop,
                    trap=Trap(folder.trap),
                    events=events,
                )
        finally:
            await shop.close()
