"""How long `resaga list` takes with 10,000 sagas on the server.

    .venv/bin/python -m scripts.list_speed [HOW MANY]

Of ten sagas seven complete, one is rolled back and two wait for a timer; each has two steps, whose
inputs and outputs are a kilobyte. The commands are run as a person runs them, with their output in
a pipe; what is told is the time from start to end, that of Python included, median and worst of
five. The server is one of its own, on the loopback.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from datetime import timedelta

import httpx
import restate
from restate import TerminalError

from resaga import Saga, StepContext, saga_step, saga_workflow
from resaga.server import RestateServer, Worker

AT_A_TIME = 64
TIMES = 5
KILOBYTE = "x" * 1024


@saga_step("Reserve")
async def reserve(_step: StepContext, order: str) -> str:
    """Give the kilobyte back."""
    return order


@saga_step("Charge")
async def charge(_step: StepContext, order: str) -> str:
    """The same, but for every tenth."""
    if order.startswith("0"):
        raise TerminalError("the card was declined", 402)
    return order


@saga_workflow("Order")
async def order(saga: Saga, order: str) -> str:
    """Two steps; two of ten then wait for an hour."""
    await reserve(saga, order)
    await charge(saga, order)
    if order.startswith(("1", "2")):
        await saga.ctx.sleep(timedelta(hours=1))
    return order


app = restate.app([order])


async def fill(server: RestateServer, sagas: int) -> None:
    """Start sagas."""
    limits = httpx.Limits(max_connections=AT_A_TIME)
    async with httpx.AsyncClient(timeout=120, limits=limits, trust_env=False) as client:
        turns = asyncio.Semaphore(AT_A_TIME)

        async def send(number: int) -> None:
            async with turns:
                where = f"{server.ingress_url}/Order/run/send"
                answer = await client.post(where, json=f"{number % 10}{KILOBYTE}")
                answer.raise_for_status()

        await asyncio.gather(*(send(number) for number in range(sagas)))


def wait(server: RestateServer, sagas: int) -> None:
    """Wait until each has ended, or has come to its timer."""
    done = (
        "SELECT COUNT(*) AS n FROM sys_invocation WHERE status = 'completed' "
        "UNION ALL SELECT COUNT(*) FROM sys_journal WHERE entry_type = 'Command: Sleep'"
    )
    while sum(row["n"] for row in server.query(done)) < sagas:
        time.sleep(0.5)


def measure(server: RestateServer, *options: str) -> tuple[float, float, int]:
    """Median and worst time of a command, and how many lines it wrote."""
    command = [sys.executable, "-m", "resaga.cli", "list", "--admin", server.admin_url, *options]
    took: list[float] = []
    lines = 0
    for _ in range(TIMES):
        begun = time.perf_counter()
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        took.append(time.perf_counter() - begun)
        lines = run.stdout.count("\n")
    return statistics.median(took), max(took), lines


def main(sagas: int) -> None:
    """Fill a server, and measure."""
    with RestateServer() as server, Worker(app="scripts.list_speed:app") as worker:
        server.register(worker.uri)
        asyncio.run(fill(server, sagas))
        wait(server, sagas)
        for options in ([], ["--json"], ["--state", "waiting"], ["--limit", "20"]):
            median, worst, lines = measure(server, *options)
            shown = " ".join(["resaga list", *options])
            print(f"{shown:<28} {median:5.2f} s, worst {worst:5.2f} s, {lines:,} lines", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
