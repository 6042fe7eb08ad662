"""The bank behind resaga's barrier; and the one that nothing guards, to show what that is worth.

Here an effect is plain SQL in a transaction: an account is changed and a row is written, by
sessions of SQLAlchemy, and no key in the table of effects is unique. What is asked for twice, or
too late, is held off by ``resaga_barrier`` alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from chaos.bank import CLOCK, Bank, Effect, KeyedBank
from resaga import CompensationContext, StepContext
from resaga.ext.sql import barrier, barrier_sync

__all__ = ["GUARDS", "Guard", "bank_of"]

Guard: TypeAlias = Literal["keys", "barrier", "none"]
GUARDS: tuple[Guard, ...] = get_args(Guard)

MOVE = text("UPDATE account SET balance = balance + :amount WHERE id = :account")
NOTE = text(
    "INSERT INTO effect VALUES (:key, :kind, :saga, :step, :invocation, :undoes, :account,"
    " :amount, :process, CAST(:beside AS text[]), :began, nextval('clock'))"
)


def bank_of(guard: Guard, url: str, *, process: str) -> Bank:
    """The bank with this guard.

    Args:
        guard: What holds off what is asked for twice: the keys of the effects, the barrier,
            nothing.
        url: Where its database is.
        process: What the process is called in the table of effects.
    """
    kinds: dict[Guard, Callable[..., Bank]] = {
        "keys": KeyedBank,
        "barrier": BarrierBank,
        "none": UnguardedBank,
    }
    return kinds[guard](url, process=process)


class Moved(msgspec.Struct, frozen=True):
    """What an effect has moved: the result that the barrier keeps, and compensations go by."""

    account: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What is to happen, and what is noted with it."""

    effect: Effect
    key: str
    beside: list[str]
    began: int | None
    seconds: float

    def values(self, moved: Moved, process: str) -> dict[str, object]:
        """The row, with what has been moved."""
        effect = self.effect
        return {
            "key": self.key,
            "kind": "do" if effect.undoes is None else "undo",
            "saga": effect.saga,
            "step": effect.step,
            "invocation": effect.invocation,
            "undoes": effect.undoes,
            "account": moved.account,
            "amount": moved.amount,
            "process": process,
            "beside": self.beside,
            "began": self.began,
        }


Act: TypeAlias = Callable[[AsyncSession, _Wish], Awaitable[Moved]]
Undo: TypeAlias = Callable[[AsyncSession, Moved, _Wish], Awaitable[None]]
ActSync: TypeAlias = Callable[[Session, _Wish], Moved]
UndoSync: TypeAlias = Callable[[Session, Moved, _Wish], None]


class BarrierBank(Bank):
    """Each effect is a transaction with the barrier in it."""

    def __init__(self, url: str, *, process: str) -> None:
        super().__init__(url, process=process, isolation_level="READ COMMITTED")
        self._sessions = async_sessionmaker(self._engine)
        self._thread_sessions = sessionmaker(self._threads)

    async def _have(
        self,
        step: StepContext | CompensationContext,
        effect: Effect,
        beside: list[str],
        seconds: float,
    ) -> None:
        async with self._sessions.begin() as session:
            began = await session.scalar(CLOCK)
            # Half of the time before the barrier, and half of it inside, where it holds the row.
            await asyncio.sleep(seconds / 2)
            wish = _wish(step, effect, beside, began, seconds / 2)
            if isinstance(step, CompensationContext):
                await self._back(session, step, self._move_back, wish)
            else:
                await self._forth(session, step, self._move, wish)

    def _have_in_thread(
        self,
        step: StepContext | CompensationContext,
        effect: Effect,
        beside: list[str],
        seconds: float,
    ) -> None:
        with self._thread_sessions.begin() as session:
            began = session.scalar(CLOCK)
            time.sleep(seconds / 2)
            wish = _wish(step, effect, beside, began, seconds / 2)
            if isinstance(step, CompensationContext):
                self._back_sync(session, step, self._move_back_sync, wish)
            else:
                self._forth_sync(session, step, self._move_sync, wish)

    # The guard.

    async def _forth(self, session: AsyncSession, step: StepContext, act: Act, w: _Wish) -> None:
        await barrier(session, step, act, w)

    async def _back(
        self, session: AsyncSession, step: CompensationContext, undo: Undo, wish: _Wish
    ) -> None:
        await barrier(session, step, undo, wish)

    def _forth_sync(self, session: Session, step: StepContext, act: ActSync, wish: _Wish) -> None:
        barrier_sync(session, step, act, wish)

    def _back_sync(
        self, session: Session, step: CompensationContext, undo: UndoSync, wish: _Wish
    ) -> None:
        barrier_sync(session, step, undo, wish)

    # The effects.

    async def _move(self, session: AsyncSession, wish: _Wish) -> Moved:
        await asyncio.sleep(wish.seconds)
        moved = _moved(wish.effect)
        await session.execute(MOVE, {"account": moved.account, "amount": moved.amount})
        await session.execute(NOTE, wish.values(moved, self._process))
        return moved

    async def _move_back(self, session: AsyncSession, stored: Moved, wish: _Wish) -> None:
        await asyncio.sleep(wish.seconds)
        moved = Moved(stored.account, -stored.amount)
        await session.execute(MOVE, {"account": moved.account, "amount": moved.amount})
        await session.execute(NOTE, wish.values(moved, self._process))

    def _move_sync(self, session: Session, wish: _Wish) -> Moved:
        time.sleep(wish.seconds)
        moved = _moved(wish.effect)
        session.execute(MOVE, {"account": moved.account, "amount": moved.amount})
        session.execute(NOTE, wish.values(moved, self._process))
        return moved

    def _move_back_sync(self, session: Session, stored: Moved, wish: _Wish) -> None:
        time.sleep(wish.seconds)
        moved = Moved(stored.account, -stored.amount)
        session.execute(MOVE, {"account": moved.account, "amount": moved.amount})
        session.execute(NOTE, wish.values(moved, self._process))


class UnguardedBank(BarrierBank):
    """The same transactions, and nothing around them."""

    async def _forth(self, session: AsyncSession, step: StepContext, act: Act, w: _Wish) -> None:
        await act(session, w)

    async def _back(
        self, session: AsyncSession, step: CompensationContext, undo: Undo, wish: _Wish
    ) -> None:
        await undo(session, Moved(wish.effect.account, wish.effect.amount), wish)

    def _forth_sync(self, session: Session, step: StepContext, act: ActSync, wish: _Wish) -> None:
        act(session, wish)

    def _back_sync(
        self, session: Session, step: CompensationContext, undo: UndoSync, wish: _Wish
    ) -> None:
        undo(session, Moved(wish.effect.account, wish.effect.amount), wish)


def _wish(
    step: StepContext | CompensationContext,
    effect: Effect,
    beside: list[str],
    began: int | None,
    seconds: float,
) -> _Wish:
    # The key of the barrier's row, so that the judge finds the one by the other.
    return _Wish(
        effect=effect, key=step.idempotency_key, beside=beside, began=began, seconds=seconds
    )


def _moved(effect: Effect) -> Moved:
    """What an action moves; one that reverses what another saga has done moves it back."""
    return Moved(effect.account, effect.amount if effect.undoes is None else -effect.amount)
