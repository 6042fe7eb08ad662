"""The demo from its first line to its last: server, stage, acts, and what is left to try."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

from resaga.cli.demo.acts import ACTS
from resaga.cli.demo.app import charge_payment, reserve_stock, ship_order
from resaga.cli.demo.play import play, watch
from resaga.cli.demo.screen import Screen
from resaga.cli.demo.stage import Stage, open_stage
from resaga.server import RestateServer, find_restate_server

__all__ = ["Interrupted", "run"]

STEPS = (reserve_stock, charge_payment, ship_order)


class Interrupted(Exception):
    """Ctrl-C or SIGTERM came before the acts were over.

    Attributes:
        signal: Which of them.
    """

    def __init__(self, signal: int) -> None:
        self.signal = signal
        super().__init__(signal)


async def run(
    console: Console, *, keep: bool, ingress_port: int | None, admin_port: int | None
) -> bool:
    """Play the demo.

    Args:
        console: Where it is shown.
        keep: Whether server and worker stay afterwards, until Ctrl-C.
        ingress_port: Where Restate takes requests; ``None`` picks a free port.
        admin_port: Where its admin API and UI are; ``None`` picks a free port.

    Returns:
        Whether every act's checks held.

    Raises:
        Interrupted: Ctrl-C or SIGTERM before the end. Server and worker are stopped by then.
    """
    screen = Screen(console)
    stop = _on_signals()
    screen.title("Checkout", [step.name for step in STEPS])
    held: bool | None = None

    async def show() -> None:
        nonlocal held
        binary = await _find_binary(screen, stop)
        server = RestateServer(binary=binary, ingress_port=ingress_port, admin_port=admin_port)
        async with server, open_stage(server) as stage:
            screen.fact("Restate", f"process {server.pid}, {server.ingress_url}")
            screen.fact("worker", f"process {stage.worker.pid}, {stage.worker.uri}")
            screen.fact("database", f"SQLite, {stage.database}")
            held = await play(stage, screen)
            if keep:
                screen.keep(f"{server.admin_url}/ui/", _curl(stage))
                await watch(stage, screen)

    showing = asyncio.create_task(show())
    stop.add_done_callback(lambda _: showing.cancel())
    try:
        await showing
    except asyncio.CancelledError:
        if not stop.done():
            raise
    if held is None:
        raise Interrupted(stop.result())
    return held


async def _find_binary(screen: Screen, stop: asyncio.Future[int]) -> Path:
    """Find restate-server, or fetch it, and show how far that is."""
    with screen.busy("looking for restate-server") as say:

        def tell(message: str, /) -> None:
            if stop.done():
                raise Interrupted(stop.result())  # Ends the fetching, which a thread does.
            say(message)

        return await asyncio.to_thread(find_restate_server, progress=tell)


def _on_signals() -> asyncio.Future[int]:
    """Will be the signal that ends the demo: Ctrl-C or SIGTERM, in place of what they do else."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def caught(number: int) -> None:
        if not stop.done():
            stop.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, caught, number)
    return stop


def _curl(stage: Stage) -> str:
    order = replace(ACTS[0].order, id="order-5")
    body = msgspec.json.encode(order).decode()
    return (
        f"curl {stage.server.ingress_url}/Checkout/run "
        f"-H 'content-type: application/json' -d '{body}'"
    )
