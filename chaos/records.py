"""What the driver writes into the database beside the sagas' effects, and what the judge reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from chaos.guarded import Guard
from chaos.plan import Plan
from chaos.planner import ACCOUNTS
from resaga.ext.sql import create_barrier_table

__all__ = ["AccountRow", "EffectRow", "GuardRow", "Ledger", "Outcome", "Records", "SagaRow"]

SCHEMA = Path(__file__).with_name("schema.sql")
OPENED = 100_000

T = TypeVar("T")

Outcome: TypeAlias = Literal["completed", "rolled back", "incomplete"]

OPEN = text("INSERT INTO saga (id, plan) VALUES (:saga, CAST(:plan AS jsonb))")
CLOSE = text(
    "UPDATE saga SET outcome = :outcome, code = :code, message = :message,"
    " ended_at = clock_timestamp() WHERE id = :saga"
)
NO_KEYS = text("ALTER TABLE effect DROP CONSTRAINT effect_pkey")
"""The same effect can be there twice: that it is not is up to whatever guards it."""
FAULT = text("INSERT INTO fault (number, kind, target) VALUES (:number, :kind, :target)")
SAGAS = "SELECT id, plan, outcome, code, message FROM saga ORDER BY id"
TERMINATE = text(
    "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = :name AND random() < :share) AS killed"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account: what was on it, and what is."""

    id: int
    opened: int
    balance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaRow:
    """A saga: its plan, and what its caller was told; no outcome: it got no answer."""

    id: str
    plan: Plan
    outcome: Outcome | None
    code: int | None
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """An effect; see ``schema.sql``."""

    key: str
    kind: Literal["do", "undo", "void"]
    saga: str
    step: str
    invocation: str
    undoes: str | None
    account: int
    amount: int
    process: str
    beside: tuple[str, ...]
    began: int
    ended: int
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRow:
    """A row of the barrier."""

    key: str
    state: Literal["started", "done", "undone", "blocked"]
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownRow:
    """A strict step of which nobody knows whether it had its effect (R7)."""

    invocation: str
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All that the database holds.

    Attributes:
        accounts: The accounts.
        sagas: The sagas.
        effects: The effects of actions and compensations.
        unknown: The strict steps without a result, by invocation and path.
        guards: The rows of the barrier; None, where something else is the guard.
    """

    accounts: Sequence[AccountRow]
    sagas: Sequence[SagaRow]
    effects: Sequence[EffectRow]
    unknown: frozenset[tuple[str, str]]
    guards: Sequence[GuardRow] | None = None

    def of(self, sagas: Collection[str]) -> Records:
        """What there is of some sagas."""
        effects = [effect for effect in self.effects if effect.saga in sagas]
        invocations = {effect.invocation for effect in effects}
        keys = {key for effect in effects for key in (effect.key, effect.undoes)}
        return Records(
            accounts=[],
            sagas=[saga for saga in self.sagas if saga.id in sagas],
            effects=effects,
            unknown=frozenset(row for row in self.unknown if row[0] in invocations),
            guards=self.guards and [row for row in self.guards if row.key in keys],
        )


class Ledger:
    """The database, as the driver sees it. Its own connections are not killed.

    Args:
        url: Where it is.
        guard: What guards the effects: the keys in their table, or something beside it.
    """

    def __init__(self, url: str, guard: Guard) -> None:
        self._guard = guard
        self._engine: AsyncEngine = create_async_engine(url, pool_size=5, max_overflow=5)

    async def prepare(self) -> None:
        """Make the tables, and open the accounts."""
        async with self._engine.begin() as connection:
            raw = await connection.get_raw_connection()
            # A script of many statements, which SQLAlchemy would look for parameters in.
            assert raw.driver_connection is not None
            await raw.driver_connection.execute(SCHEMA.read_text())
            if self._guard != "keys":
                await connection.execute(NO_KEYS)
            await connection.execute(
                text(
                    "INSERT INTO account SELECT n, :opened, :opened FROM generate_series(0, :n) n"
                ),
                {"opened": OPENED, "n": ACCOUNTS - 1},
            )

        if self._guard == "barrier":
            await create_barrier_table(self._engine)

    async def open(self, plan: Plan) -> None:
        """Write down that a saga is about to be sent."""
        values = {"saga": plan.saga, "plan": msgspec.json.encode(plan).decode()}
        async with self._engine.begin() as connection:
            await connection.execute(OPEN, values)

    async def close(self, saga: str, outcome: Outcome, *, code: int, message: str) -> None:
        """Write down what the saga's caller was told."""
        values = {"saga": saga, "outcome": outcome, "code": code, "message": message}
        async with self._engine.begin() as connection:
            await connection.execute(CLOSE, values)

    async def note_fault(self, number: int, kind: str, target: str) -> None:
        """Write down that something was killed."""
        async with self._engine.begin() as connection:
            await connection.execute(FAULT, {"number": number, "kind": kind, "target": target})

    async def terminate(self, application: str, *, share: float) -> int:
        """Kill so many of an application's connections, from 0.0 to 1.0; give their number."""
        async with self._engine.begin() as connection:
            values = {"name": application, "share": share}
            return int(await connection.scalar(TERMINATE, values) or 0)

    async def read(self) -> Records:
        """Read everything."""
        async with self._engine.begin() as connection:
            return Records(
                accounts=await _rows(connection, "SELECT * FROM account", AccountRow),
                sagas=await _rows(connection, SAGAS, SagaRow),
                effects=await _rows(connection, "SELECT * FROM effect ORDER BY ended", EffectRow),
                unknown=frozenset(
                    (row.invocation, row.step)
                    for row in await _rows(connection, "SELECT * FROM unknown", UnknownRow)
                ),
                guards=(
                    await _rows(
                        connection, "SELECT key, state, repeats FROM resaga_barrier", GuardRow
                    )
                    if self._guard == "barrier"
                    else None
                ),
            )

    async def dispose(self) -> None:
        """Close the connections."""
        await self._engine.dispose()


async def _rows(connection: AsyncConnection, query: str, kind: type[T]) -> list[T]:
    rows = await connection.execute(text(query))
    return [msgspec.convert(dict(row), kind) for row in rows.mappings()]
