"""The worker of the soak (`soak.py`): random sagas, whose every event is committed to a file.

On ``SIGUSR1`` it prints its asyncio tasks, each with where it waits, to its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import restate
from restate import TerminalError
from restate.context import Context

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    Saga,
    SagaStep,
    StepContext,
    create_saga_step,
    create_saga_step_strict,
    saga_workflow,
)
from scripts.soak_plan import Branches, Call, Kind, Node, Race, Savepoint, Sleep, Step, plan

LEDGER = "RESAGA_SOAK_LEDGER"
PROTOCOL = "RESAGA_SOAK_PROTOCOL"
DEADLINE = timedelta(seconds=1)
"""Of the sagas that have one: passes somewhere in the middle of most of them."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS events(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, saga TEXT, what TEXT, label TEXT, key TEXT);
CREATE INDEX IF NOT EXISTS events_of ON events(saga);
CREATE UNIQUE INDEX IF NOT EXISTS once ON events(what, key) WHERE what IN ('do', 'undo', 'hiccup');
"""


class Ledger:
    """What has happened, in an SQLite file that many threads and processes write.

    Events are ``start`` and ``undoing`` (an action or a compensation begins), ``do`` and ``undo``
    (its effect, which as with a payment provider happens once for each key), and ``hiccup``.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        self._db.execute("PRAGMA journal_mode=WAL")
        # A killed process loses nothing by this; only a killed machine would.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.executescript(SCHEMA)

    def write(self, saga: str, what: str, label: str, key: str) -> bool:
        """Commit an event; whether it is new, where it may happen once only."""
        with self._lock:
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO events(saga, what, label, key) VALUES (?, ?, ?, ?)",
                (saga, what, label, key),
            )
        return cursor.rowcount == 1

    def events(self, saga: str) -> list[tuple[int, str, str, str]]:
        """What happened in one saga: number, event, label, key."""
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, what, label, key FROM events WHERE saga = ? ORDER BY seq", (saga,)
            ).fetchall()
        return cast("list[tuple[int, str, str, str]]", rows)


def label_of(text: str) -> str:
    """The label in a step's input, which is label, what it is told, and for how long it works."""
    return text.split("|", maxsplit=1)[0]


class Steps:
    """The four kinds of steps."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.echo = restate.Service("SoakEcho")
        self.say = self.echo.handler("say")(_echo)
        plain: Any = create_saga_step
        strict: Any = create_saga_step_strict
        self.of: dict[Kind, SagaStep[str, str]] = {
            "plain": plain("Plain", self._run, self._undo),
            "threaded": plain("Threaded", self._run_in_thread, self._undo_in_thread),
            "strict": strict("Strict", self._run, self._undo),
            "durable": plain("Durable", self._run_long, self._undo_long, durable=True),
        }

    async def _run(self, step: StepContext, text: str) -> str:
        self._begin(step, text)
        await asyncio.sleep(int(text.split("|")[2]) / 1000)
        self._end(step, text)
        return text

    def _run_in_thread(self, step: StepContext, text: str) -> str:
        self._begin(step, text)
        time.sleep(int(text.split("|")[2]) / 1000)
        self._end(step, text)
        return text

    async def _undo(self, step: CompensationContext[object, str], text: str) -> None:
        self._undo_in_thread(step, text)

    def _undo_in_thread(self, step: CompensationContext[object, str], text: str) -> None:
        for what in ("undoing", "undo"):
            self._ledger.write(step.saga_id, what, label_of(text), step.idempotency_key)

    async def _run_long(self, step: DurableStepContext, text: str) -> str:
        await step.ctx.sleep(timedelta(milliseconds=5))
        await restate.select(
            call=step.ctx.service_call(self.say, "x"),
            sleep=step.ctx.sleep(timedelta(milliseconds=20)),
        )

        async def effect() -> None:
            await self._run(step, text)

        await step.ctx.run_typed("effect", effect)
        return await step.ctx.service_call(self.say, text)

    async def _undo_long(self, step: DurableCompensationContext[object, str], text: str) -> None:
        await step.ctx.service_call(self.say, "undone")

        async def effect() -> None:
            await self._undo(step, text)

        await step.ctx.run_typed("undo effect", effect)

    def _begin(self, step: StepContext, text: str) -> None:
        self._ledger.write(step.saga_id, "start", label_of(text), step.idempotency_key)

    def _end(self, step: StepContext, text: str) -> None:
        label, told, _ = text.split("|")
        if told == "hiccup" and self._ledger.write(
            step.saga_id, "hiccup", label, step.idempotency_key
        ):
            raise ValueError("a hiccup")
        if told == "fail":
            raise TerminalError("told to fail", 418)
        self._ledger.write(step.saga_id, "do", label, step.idempotency_key)

    def hiccup(self, saga: Saga, label: str) -> bool:
        """Whether something that is no step is to have its hiccup now."""
        return self._ledger.write(saga.id, "hiccup", label, f"{saga.id}/{label}")


async def _echo(ctx: Context, text: str) -> str:
    await ctx.sleep(timedelta(milliseconds=10))
    return text


async def walk(saga: Saga, steps: Steps, nodes: Sequence[Node]) -> None:
    """Do what a plan says."""
    for node in nodes:
        match node:
            case Step():
                await steps.of[node.kind](saga, f"{node.label}|{node.told}|{node.milliseconds}")
            case Sleep():
                await saga.ctx.sleep(timedelta(milliseconds=node.milliseconds))
            case Call():
                await saga.ctx.service_call(steps.say, "hello")
            case Race():
                await _race(saga, steps, node)
            case Savepoint():
                await _savepoint(saga, steps, node)
            case Branches():
                await saga.gather(*[walk(saga, steps, line) for line in node.lines])


async def _race(saga: Saga, steps: Steps, race: Race) -> None:
    async def work() -> str:
        await asyncio.sleep(race.milliseconds / 1000)
        if race.hiccup and steps.hiccup(saga, race.label):
            raise ValueError("a hiccup")
        return "done"

    await restate.select(
        run=saga.ctx.run_typed("race", work), sleep=saga.ctx.sleep(timedelta(milliseconds=10))
    )


async def _savepoint(saga: Saga, steps: Steps, savepoint: Savepoint) -> None:
    with contextlib.suppress(_Expected):
        async with saga.savepoint():
            await walk(saga, steps, savepoint.nodes)
            if savepoint.fails:
                raise _Expected("the savepoint", 410)


class _Expected(TerminalError):
    """By which a savepoint of the plan fails."""


def _print_tasks() -> None:
    tasks = asyncio.all_tasks()
    print(f"-- {len(tasks)} tasks", file=sys.stderr)
    for task in tasks:
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()


def make_app(ledger: Ledger, protocol: Any) -> Any:
    """The app: a saga, the same with a deadline, and the service that they call."""
    steps = Steps(ledger)

    async def body(saga: Saga, told: list[int]) -> str:
        seed, size = told
        await walk(saga, steps, plan(seed, size))
        return "done"

    calm = saga_workflow("Soak")(body)
    hasty = saga_workflow("SoakHasty", deadline=DEADLINE)(body)
    served = restate.app([calm, hasty, steps.echo], protocol=protocol)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _print_tasks)
        await served(scope, receive, send)

    return app


app = (
    make_app(Ledger(Path(os.environ[LEDGER])), os.environ.get(PROTOCOL))
    if LEDGER in os.environ
    else None
)
