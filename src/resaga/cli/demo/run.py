"""The demo from its first line to its last: server, stage, acts, and what is left to try."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace

import msgspec
from rich.console import Console

from resaga.cli.demo.acts import ACTS
from resaga.cli.demo.play import play, watch
from resaga.cli.demo.screen import Screen
from resaga.cli.demo.stage import Stage, open_stage
from resaga.server import RESTATE_SERVER_VERSION, RestateServer, find_restate_server

__all__ = ["Interrupted", "run"]

STEPS = ("ReserveStock", "ChargePayment", "ShipOrder")


class Interrupted(Exception):
    """Ctrl-C or SIGTERM came before the acts were over."""


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
    screen.title("Checkout", STEPS)
    held: bool | None = None

    async def show() -> None:
        nonlocal held
        with screen.busy("looking for restate-server") as say:

            def tell(message: str, /) -> None:
                if stop.is_set():
                    raise Interrupted  # Gives up fetching, which a thread does.
                say(message)

            binary = await asyncio.to_thread(find_restate_server, progress=tell)
        server = RestateServer(binary=binary, ingress_port=ingress_port, admin_port=admin_port)
        async with server, open_stage(server) as stage:
            screen.fact("Restate", f"{RESTATE_SERVER_VERSION}, {server.ingress_url}")
            screen.fact("worker", f"process {stage.worker.pid}, {stage.worker.uri}")
            held = await play(stage, screen)
            if keep:
                screen.keep(f"{server.admin_url}/ui/", _curl(stage))
                await watch(stage, screen)

    showing = asyncio.create_task(show())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([showing, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        showing.cancel()
        outcome = (await asyncio.gather(showing, return_exceptions=True))[0]
    if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
        raise outcome
    if held is None:
        raise Interrupted
    return held


def _on_signals() -> asyncio.Event:
    """An event that Ctrl-C and SIGTERM set, in place of what they do else."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    return stop


def _curl(stage: Stage) -> str:
    order = replace(ACTS[0].order, id="order-5")
    body = msgspec.json.encode(order).decode()
    return (
        f"curl {stage.server.ingress_url}/Checkout/run "
        f"-H 'content-type: application/json' -d '{body}'"
    )
