"""Kill workers between the commit and the journal's acknowledgement, two thousand times.

    .venv/bin/python -m scripts.barrier_kills --kills 2000 --stops 100

Money is transferred between the accounts of a bank (`tests.support.bank`) on a real
restate-server and a real PostgreSQL or MariaDB. In each step of each saga, and in each
compensation, the worker kills itself (SIGKILL) right after its transaction was committed, once;
another one is started, and Restate runs the action again. Each kill is the death of one process,
for one commit. At the end each saga must have moved the money exactly once, or once and back, and
nothing may be missing.

Then workers are stopped (SIGSTOP) inside an action, before its transaction, in turn; its saga is
cancelled and rolled back on another one, and over; the worker is woken up and goes on. It must
have no effect.

All is judged by what the database holds. Ends with status 1 if anything is off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import httpx
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import Engine

from resaga.server import RESTATE_SERVER_VERSION, RestateServer
from tests.support.bank import (
    BALANCE,
    Order,
    Plan,
    Workers,
    balances,
    moves,
    open_bank,
    repeats,
    states,
)
from tests.support.client import Restate
from tests.support.databases.given import Databases, Given, Kind
from tests.support.ledger import Ledger
from tests.support.servers import QUICK
from tests.support.waiting import until
from tests.support.wire import Wire, wire_to

ACCOUNTS = 20
DIES = ("Debit", "Credit", "undo Credit", "undo Debit")
PATIENCE = 900.0
"""Seconds that one saga may take, on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command line."""

    kills: int
    stops: int
    database: Kind
    workers: int
    seed: int
    json: Path | None


@dataclass(slots=True, kw_only=True)
class Report:
    """What has come of it.

    Attributes:
        database: The database.
        seed: Where the orders come from.
        sagas: How many transfers there were.
        rolled_back: How many of these failed at their end.
        kills: How often a worker killed itself between a commit and its acknowledgement.
        deaths: How many worker processes have died of a SIGKILL, by their exit status.
        held_off: How often an action or a compensation came again, and did not run.
        kill_seconds: How long that took.
        stops: How many workers were stopped, and woken up after the rollback elsewhere.
        abandoned: How many of these went on, and found their step abandoned.
        stop_seconds: How long that took.
        wrong: What is off.
        versions: Of what it ran on.
    """

    database: Kind
    seed: int
    sagas: int = 0
    rolled_back: int = 0
    kills: int = 0
    deaths: int = 0
    held_off: int = 0
    kill_seconds: float = 0.0
    stops: int = 0
    abandoned: int = 0
    stop_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list[str])
    versions: dict[str, str] = field(
        default_factory=lambda: {
            "restate-server": RESTATE_SERVER_VERSION,
            "python": platform.python_version(),
        }
    )

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.database}, seed {self.seed}"
        yield f"  transfers                                   {self.sagas}"
        yield f"  of these, rolled back                       {self.rolled_back}"
        yield f"  workers killed after a commit, before its acknowledgement  {self.kills}"
        yield f"  worker processes that died of it            {self.deaths}"
        yield f"  repeats held off                            {self.held_off}"
        yield f"  minutes                                     {self.kill_seconds / 60:.1f}"
        yield f"  workers stopped, woken up after the rollback  {self.stops}"
        yield f"  of these, abandoned without an effect       {self.abandoned}"
        yield f"  minutes                                     {self.stop_seconds / 60:.1f}"
        for line in self.wrong:
            yield f"  OFF {line}"
        yield f"{len(self.wrong)} things are off." if self.wrong else "Each effect happened once."


def orders(kills: int, chance: random.Random) -> list[Order]:
    """As many as need so many kills; every second one fails at its end."""
    made: list[Order] = []
    while kills > 0:
        fails = len(made) % 2 == 1
        dies = DIES[: min(kills, 4 if fails else 2)]
        source, target = chance.sample(range(ACCOUNTS), 2)
        made.append(Order(source, target, chance.randrange(1, 50), fails, dies))
        kills -= len(dies)
    return made


async def transfer(
    restate: Restate,
    todo: list[Order],
    workers: list[tuple[str, Workers]],
    engine: Engine,
    show: Callable[[], None],
) -> list[str]:
    """Have all transfers made, one at a time by each worker; what went wrong."""  # fmt: skip
    wrong: list[str] = []
    waiting = iter(enumerate(todo, start=1))

    async def customer(service: str) -> None:
        for number, order in waiting:
            saga = await restate.send(service, asdict(order))
            end = await saga.attach(limit=PATIENCE)
            done = await asyncio.to_thread(moves, engine, saga.id)
            if done != list(DIES if order.fails else DIES[:2]) or bool(end.error) != order.fails:
                wrong.append(f"order {number} ({saga.id}): {done}, {end}")
            show()

    for _, each in workers:
        await restate.register(f"http://127.0.0.1:{each.port}")
    await asyncio.gather(*[customer(service) for service, _ in workers])
    return wrong


def off_in(engine: Engine, todo: list[Order]) -> Iterator[str]:
    """What is off in the accounts, and in the barrier's rows."""
    expected = dict.fromkeys(range(ACCOUNTS), BALANCE)
    for order in todo:
        if not order.fails:
            expected[order.source] -= order.amount
            expected[order.target] += order.amount
    there = balances(engine)
    if there != expected:
        yield f"balances: {there}, expected {expected}"
    failed = sum(order.fails for order in todo)
    wanted = {"done": 2 * (len(todo) - failed), "undone": 2 * failed}
    rows = states(engine)
    if rows != {state: number for state, number in wanted.items() if number}:
        yield f"rows of the barrier: {rows}, expected {wanted}"


def kill(asked: Asked, given: Given, folder: Path, report: Report, progress: Progress) -> None:
    """Transfer money while workers kill themselves."""
    engine = given.engine()
    open_bank(engine, ACCOUNTS)
    todo = orders(asked.kills, random.Random(asked.seed))
    bar = progress.add_task("killed", total=asked.kills)
    plans = [Plan(given.async_url, f"Bank{n}", folder) for n in range(1, asked.workers + 1)]
    begun = time.monotonic()
    with ExitStack() as stack:
        workers = [(plan.service, Workers(plan)) for plan in plans]
        for _, each in workers:
            stack.callback(each.stop)

        def deaths() -> int:
            return sum(each.deaths for _, each in workers)

        def show() -> None:
            tell(progress, bar, deaths())

        async def all_of_it() -> list[str]:
            async with (
                RestateServer(env=QUICK) as server,
                httpx.AsyncClient(trust_env=False, timeout=120) as http,
            ):
                restate = Restate(http, server.ingress_url, server.admin_url)
                return await transfer(restate, todo, workers, engine, show)

        report.wrong += asyncio.run(all_of_it())
    report.deaths = deaths()
    report.kills = len(list(folder.glob("inv_*")))
    report.sagas, report.rolled_back = len(todo), sum(order.fails for order in todo)
    report.held_off = repeats(engine)
    report.kill_seconds = time.monotonic() - begun
    report.wrong += off_in(engine, todo)
    if not report.kills == report.deaths == asked.kills:
        report.wrong.append(f"{report.kills} kills, {report.deaths} deaths, not {asked.kills}")
    if report.held_off < asked.kills:
        report.wrong.append(f"only {report.held_off} repeats for {asked.kills} kills")


def stop(asked: Asked, given: Given, folder: Path, report: Report, progress: Progress) -> None:
    """Stop workers inside an action, and wake each up when its saga is over."""
    engine = given.engine()
    open_bank(engine, 1)
    ledger = Ledger(folder / "ledger.sqlite")
    bar = progress.add_task("stopped", total=asked.stops)
    plan = Plan(given.url, "Slow", folder)
    begun = time.monotonic()
    with ExitStack() as stack:
        pair = [Workers(plan, slow=True) for _ in range(2)]
        for each in pair:
            stack.callback(each.stop)

        async def once(restate: Restate, wire: Wire, number: int) -> None:
            here, there = pair[number % 2], pair[1 - number % 2]
            name = f"order-{number}"
            saga = await restate.send(plan.service, name)
            begins = partial(ledger.has_flag, f"begun {name} {here.pid}")
            await until(begins, "the action has begun", limit=PATIENCE)
            os.kill(here.pid, signal.SIGSTOP)
            wire.lead_to(there.port)
            await saga.cancel()
            wire.cut()
            end = await saga.attach(limit=PATIENCE)
            if end.error is None or end.error.message != "cancelled":
                report.wrong.append(f"{name} ({saga.id}) was not cancelled: {end}")
            before = moves(engine, saga.id)
            ledger.raise_flag(f"go on {name}")
            os.kill(here.pid, signal.SIGCONT)
            report.stops += 1
            told = partial(ledger.effects, saga=saga.id, kind="note")
            notes = await until(told, "it was abandoned", limit=PATIENCE)
            report.abandoned += [note.payload for note in notes] == [here.pid]
            if before or moves(engine, saga.id):
                report.wrong.append(f"{name} ({saga.id}): {before}, then {moves(engine, saga.id)}")
            tell(progress, bar, report.stops)

        async def all_of_it() -> None:
            async with (
                RestateServer(env=QUICK) as server,
                httpx.AsyncClient(trust_env=False, timeout=120) as http,
                wire_to(pair[0].port) as wire,
            ):
                restate = Restate(http, server.ingress_url, server.admin_url)
                await restate.register(f"http://127.0.0.1:{wire.port}")
                for number in range(asked.stops):
                    await once(restate, wire, number)

        asyncio.run(all_of_it())
    report.stop_seconds = time.monotonic() - begun
    if report.abandoned != asked.stops:
        report.wrong.append(f"{report.abandoned} of {asked.stops} were abandoned")
    rows = states(engine)
    if rows != {"blocked": asked.stops}:
        report.wrong.append(f"rows of the barrier: {rows}, expected {asked.stops} blocked")


def tell(progress: Progress, bar: object, count: int) -> None:
    """Show how far it is; in a file, a tenth at a time."""
    task = next(task for task in progress.tasks if task.id == bar)
    total, before = int(task.total or 1), int(task.completed)
    progress.update(task.id, completed=count)
    if not progress.console.is_terminal and count * 10 // total > before * 10 // total:
        progress.console.print(f"{task.description} {count}/{total}")


def main() -> None:
    """Read the command line, run, tell."""
    parser = argparse.ArgumentParser(description="Kill workers between commit and acknowledgement.")
    add = parser.add_argument
    add("--kills", type=int, default=2000, help="workers killed after a commit (2000)")
    add("--stops", type=int, default=100, help="workers stopped before their transaction (100)")
    add("--database", choices=["postgresql", "mariadb"], default="postgresql")
    add("--workers", type=int, default=4, help="workers side by side (4)")
    add("--seed", type=int, default=1)
    add("--json", type=Path, metavar="FILE", help="write the report there, too, as JSON")
    asked = Asked(**vars(parser.parse_args()))
    report = Report(database=asked.database, seed=asked.seed)
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    databases = Databases()
    try:
        with progress, tempfile.TemporaryDirectory(prefix="resaga-kills-") as name:
            for what, wanted in ((kill, asked.kills), (stop, asked.stops)):
                if wanted:
                    folder = Path(name) / what.__name__
                    folder.mkdir()
                    what(asked, databases.get(asked.database, folder), folder, report, progress)
    finally:
        databases.stop()
    print("\n".join(report.lines()))
    if asked.json is not None:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    raise SystemExit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
