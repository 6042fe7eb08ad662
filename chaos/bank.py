"""The bank that the sagas move money in: what an action or a compensation does to the world.

Every effect has its idempotency key as its primary key, so what is asked for twice happens once,
and the judge sees in the table what was asked for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import TextClause, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

__all__ = ["WORKER_NAME", "Abandoned", "Bank", "Effect", "Pause"]

WORKER_NAME = "resaga-chaos-worker"
"""What workers call themselves in ``pg_stat_activity``; their connections are killed by it."""

TRIES = 20
"""How often a note is tried again when its connection is killed."""

CLOCK = text("SELECT nextval('clock')")
DO = text(
    "SELECT apply_do(:key, :saga, :step, :invocation, :account, :amount, :process,"
    " CAST(:beside AS text[]), :began)"
)
UNDO = text(
    "SELECT apply_undo(:key, :undoes, :saga, :step, :invocation, :account, :amount, :process,"
    " CAST(:beside AS text[]), :began)"
)
UNKNOWN = text("INSERT INTO unknown VALUES (:invocation, :step) ON CONFLICT DO NOTHING")


class Abandoned(Exception):
    """An action came too late: its compensation has been there before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What is to happen once.

    Attributes:
        key: The idempotency key of the action or the compensation.
        undoes: The key of the action that a compensation undoes; None for an action.
        saga: The saga's name in the database.
        step: The step's path in its plan.
        invocation: The Restate invocation.
        account: Whose balance changes.
        amount: What the action adds to it.
    """

    key: str
    undoes: str | None = None
    saga: str
    step: str
    invocation: str
    account: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """How many milliseconds an effect takes: before it, and after it is committed."""

    before: int = 0
    after: int = 0


class Bank:
    """The bank, as one worker process sees it.

    Args:
        url: Where its database is.
        process: What the process is called in the table of effects.
    """

    def __init__(self, url: str, *, process: str) -> None:
        told = {"application_name": WORKER_NAME}
        # Each statement is a transaction: an effect is one statement.
        self._engine = create_async_engine(
            url, connect_args=told, isolation_level="AUTOCOMMIT", pool_size=30, max_overflow=30
        )
        self._threads = create_engine(
            url, connect_args=told, isolation_level="AUTOCOMMIT", pool_size=10, max_overflow=20
        )
        self._process = process
        self._floor = _Floor()

    async def apply(self, effect: Effect, pause: Pause) -> None:
        """Have an effect, once for its key.

        Raises:
            Abandoned: It is an action's, and was compensated before.
            SQLAlchemyError: The connection was lost; nobody knows whether it happened.
        """
        with self._floor.enter(effect) as beside:
            # The connection is held all the while, so that killing it hits what is going on.
            async with self._engine.connect() as connection:
                began = await connection.scalar(CLOCK)
                await asyncio.sleep(pause.before / 1000)
                statement, values = self._statement(effect, began, beside)
                applied = await connection.scalar(statement, values)
            _check(effect, applied)
            await asyncio.sleep(pause.after / 1000)

    def apply_in_thread(self, effect: Effect, pause: Pause) -> None:
        """The same from a plain function, which nothing can stop."""
        with self._floor.enter(effect) as beside:
            with self._threads.connect() as connection:
                began = connection.scalar(CLOCK)
                time.sleep(pause.before / 1000)
                statement, values = self._statement(effect, began, beside)
                applied = connection.scalar(statement, values)
            _check(effect, applied)
            time.sleep(pause.after / 1000)

    def note_unknown(self, invocation: str, step: str) -> None:
        """Write down that nobody will undo this strict step; it is there when this returns."""
        for last in (*[False] * TRIES, True):
            try:
                with self._threads.connect() as connection:
                    connection.execute(UNKNOWN, {"invocation": invocation, "step": step})
            except SQLAlchemyError:
                if last:
                    raise
            else:
                return

    def _statement(
        self, effect: Effect, began: int | None, beside: list[str]
    ) -> tuple[TextClause, dict[str, object]]:
        values: dict[str, object] = {
            "key": effect.key,
            "saga": effect.saga,
            "step": effect.step,
            "invocation": effect.invocation,
            "account": effect.account,
            "amount": effect.amount,
            "process": self._process,
            "beside": beside,
            "began": began,
        }
        if effect.undoes is None:
            return DO, values
        return UNDO, values | {"undoes": effect.undoes}


def _check(effect: Effect, applied: object) -> None:
    if effect.undoes is None and applied is not True:
        raise Abandoned(f"step {effect.step} of {effect.saga} has been compensated before")


class _Floor:
    """Which actions run in this process just now, by invocation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: defaultdict[str, Counter[str]] = defaultdict(Counter)

    @contextmanager
    def enter(self, effect: Effect) -> Generator[list[str]]:
        """Run something; give the steps of its invocation whose actions run when it begins."""
        with self._lock:
            running = self._running[effect.invocation]
            beside = sorted(running.elements())
            if effect.undoes is None:
                running[effect.step] += 1
        try:
            yield beside
        finally:
            if effect.undoes is None:
                with self._lock:
                    running[effect.step] -= 1
                    if not running.total():
                        self._running.pop(effect.invocation, None)
