"""Kill workers between the commit and the journal's acknowledgement, some thousand times.

    .venv/bin/python -m scripts.barrier_kills --kills 2000

Money is transferred between the accounts of a bank (`tests.support.bank`) on a real
restate-server and a real PostgreSQL or MariaDB. Each step of each saga, and each compensation,
has its worker killed right after its transaction was committed, once. At the end each saga must
have moved the money exactly once, or once and back, and nothing may be missing. Ends with status
1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy import Engine

from resaga.server import RestateServer
from tests.support.bank import BALANCE, Order, Plan, Workers, balances, moves, open_bank, repeats
from tests.support.client import Invocation, Restate
from tests.support.databases.given import Databases, Kind
from tests.support.servers import QUICK
from tests.support.waiting import until

ACCOUNTS = 20
DIES = ("Debit", "Credit", "undo Credit", "undo Debit")


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line."""

    kills: int
    database: Kind
    side_by_side: int
    together: int
    seed: int


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


async def is_over(saga: Invocation) -> bool:
    """Whether it has ended."""
    return await saga.status() == "completed"


async def transfer(asked: Asked, todo: list[Order], plan: Plan, engine: Engine) -> list[str]:
    """Have all transfers made; what went wrong, and then what there was to tell."""
    wrong: list[str] = []
    workers = Workers(plan)
    begun = time.monotonic()
    try:
        async with (
            RestateServer(env=QUICK) as server,
            httpx.AsyncClient(trust_env=False, timeout=120) as http,
        ):
            restate = Restate(http, server.ingress_url, server.admin_url)
            await restate.register(f"http://127.0.0.1:{workers.port}")
            waiting = iter(enumerate(todo, start=1))

            async def customer() -> None:
                for number, order in waiting:
                    saga = await restate.send(plan.service, asdict(order))
                    await until(partial(is_over, saga), "it is over", limit=900, every=0.3)
                    end = await saga.attach()
                    done = moves(engine, saga.id)
                    expected = list(DIES if order.fails else DIES[:2])
                    if done != expected or (end.error is not None) != order.fails:
                        wrong.append(f"order {number} ({saga.id}): {done}, {end}")
                    if number % 50 == 0:
                        print(f"{number} sagas, {workers.deaths} workers died", flush=True)

            await asyncio.gather(*[customer() for _ in range(asked.side_by_side)])
    finally:
        workers.stop()
    print(f"{workers.deaths} workers died, in {time.monotonic() - begun:.0f} s")
    return wrong


def judge(asked: Asked, todo: list[Order], engine: Engine, wrong: list[str], kills: int) -> bool:
    """Say what has come of it; whether all was well."""
    expected = dict.fromkeys(range(ACCOUNTS), BALANCE)
    for order in todo:
        if not order.fails:
            expected[order.source] -= order.amount
            expected[order.target] += order.amount
    there = balances(engine)
    if there != expected:
        wrong.append(f"balances: {there}, expected {expected}")
    if kills != asked.kills:
        wrong.append(f"{kills} kills instead of {asked.kills}")
    print(
        f"{asked.database}: {len(todo)} sagas, {sum(order.fails for order in todo)} of them rolled "
        f"back; {kills} times a worker was killed between a commit and its acknowledgement; "
        f"{repeats(engine)} repeats held off; {len(wrong)} wrong; seed {asked.seed}"
    )
    for line in wrong:
        print(line)
    return not wrong


def main() -> None:
    """Read the command line, run, tell."""
    parser = argparse.ArgumentParser(description="Kill workers between commit and acknowledgement.")
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--database", choices=["postgresql", "mariadb"], default="postgresql")
    parser.add_argument("--side-by-side", type=int, default=4, help="sagas at a time")
    parser.add_argument("--together", type=int, default=1, help="commits that one death cuts off")
    parser.add_argument("--seed", type=int, default=1)
    asked = Asked(**vars(parser.parse_args()))
    databases = Databases()
    with tempfile.TemporaryDirectory(prefix="resaga-kills-") as name:
        folder = Path(name)
        try:
            given = databases.get(asked.database, folder)
            engine = given.engine()
            open_bank(engine, ACCOUNTS)
            todo = orders(asked.kills, random.Random(asked.seed))
            plan = Plan(given.async_url, "Bank", folder, together=asked.together)
            wrong = asyncio.run(transfer(asked, todo, plan, engine))
            kills = len(list(folder.glob("inv_*")))
            good = judge(asked, todo, engine, wrong, kills)
        finally:
            databases.stop()
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
