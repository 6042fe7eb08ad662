"""The bank that the sagas move money in: what an action or a compensation does to the world.

Something has to guard it against what is asked for twice, and what is asked for too late. Here the
effects do it themselves: each has its idempotency key as its primary key. `chaos.guarded` has the
bank behind resaga's barrier.
"""

from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import TextClause, create_engine, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from resaga import CompensationContext, StepContext

__all__ = ["CLOCK", "WORKER_NAME", "Abandoned", "Bank", "Effect", "KeyedBank", "Pause"]

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


class Bank(ABC):
    """The bank, as one worker process sees it.

    Args:
        url: Where its database is.
        process: What the process is called in the table of effects.
        isolation_level: Of all its connections.
    """

    def __init__(self, url: str, *, process: str, isolation_level: IsolationLevel) -> None:
        told = {"application_name": WORKER_NAME}
        self._engine = create_async_engine(
            url, connect_args=told, isolation_level=isolation_level, pool_size=30, max_overflow=30
        )
        self._threads = create_engine(
            url, connect_args=told, isolation_level=isolation_level, pool_size=10, max_overflow=20
        )
        self._process = process
        self._floor = _Floor()

    async def apply(
        self, step: StepContext | CompensationContext, effect: Effect, pause: Pause
    ) -> None:
        """Have an effect, once for its key.

        Args:
            step: What the action or the compensation was given.
            effect: What is to happen.
            pause: How long it takes.

        Raises:
            Abandoned: It is an action's, and was compensated before.
            StepAbandoned: The same, of a bank behind the barrier.
            SQLAlchemyError: The connection was lost; nobody knows whether it happened.
        """
        with self._floor.enter(effect) as beside:
            await self._have(step, effect, beside, pause.before / 1000)
            await asyncio.sleep(pause.after / 1000)

    def apply_in_thread(
        self, step: StepContext | CompensationContext, effect: Effect, pause: Pause
    ) -> None:
        """The same from a plain function, which nothing can stop."""
        with self._floor.enter(effect) as beside:
            self._have_in_thread(step, effect, beside, pause.before / 1000)
            time.sleep(pause.after / 1000)

    # The connection is held all the while, so that killing it hits what is going on.

    @abstractmethod
    async def _have(
        self,
        step: StepContext | CompensationContext,
        effect: Effect,
        beside: list[str],
        seconds: float,
    ) -> None: ...

    @abstractmethod
    def _have_in_thread(
        self,
        step: StepContext | CompensationContext,
        effect: Effect,
        beside: list[str],
        seconds: float,
    ) -> None: ...

    def note_unknown(self, invocation: str, step: str) -> None:
        """Write down that nobody will undo this strict step; it is there when this returns."""
        for last in (*[False] * TRIES, True):
            try:
                with self._threads.begin() as connection:
                    connection.execute(UNKNOWN, {"invocation": invocation, "step": step})
            except SQLAlchemyError:
                if last:
                    raise
            else:
                return


class KeyedBank(Bank):
    """Each effect is one statement, a transaction of its own, which knows the keys there are."""

    def __init__(self, url: str, *, process: str) -> None:
        super().__init__(url, process=process, isolation_level="AUTOCOMMIT")

    async def _have(
        self,
        step: StepContext | CompensationContext,
        effect: Effect,
        beside: list[str],
        seconds: float,
    ) -> None:
        async with self._engine.connect() as connection:
            began = await connection.scalar(CLOCK)
            await asyncio.sleep(seconds)
            statement, values = self._statement(effect, began, beside)
            applied = await connection.scalar(statement, values)
        _check(effect, applied)

    def _have_in_thread(
        self,
        step: StepContext | CompensationContext,
        effect: Effect,
        beside: list[str],
        seconds: float,
    ) -> None:
        with self._threads.connect() as connection:
            began = connection.scalar(CLOCK)
            time.sleep(seconds)
            statement, values = self._statement(effect, began, beside)
            applied = connection.scalar(statement, values)
        _check(effect, applied)

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
