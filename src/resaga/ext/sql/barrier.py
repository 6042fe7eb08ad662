"""The barrier: exactly once, and never in the wrong order."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple, cast, overload

from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session
from typing_extensions import TypeForm, TypeVar

from resaga.contexts import CompensationContext, StepContext
from resaga.errors import MisuseError
from resaga.ext.sql.passage import Held, Passage
from resaga.ext.sql.table import BARRIER_TABLE

__all__ = ["barrier", "barrier_sync"]

AsyncS = TypeVar("AsyncS", bound=AsyncSession | AsyncConnection)
SyncS = TypeVar("SyncS", bound=Session | Connection)
R = TypeVar("R")
Stored = TypeVar("Stored")
Ts = TypeVarTuple("Ts")


@overload
async def barrier(
    session: AsyncS,
    step: StepContext,
    action: Callable[[AsyncS, *Ts], Awaitable[R]],
    *args: *Ts,
    result_type: TypeForm[R] = ...,
    table: Table = ...,
) -> R: ...
@overload
async def barrier(
    session: AsyncS,
    step: CompensationContext,
    action: Callable[[AsyncS, Stored, *Ts], Awaitable[R]],
    *args: *Ts,
    result_type: TypeForm[R] = ...,
    stored_type: TypeForm[Stored] = ...,
    table: Table = ...,
) -> R | None: ...
async def barrier(
    session: AsyncSession | AsyncConnection,
    step: StepContext | CompensationContext,
    action: Callable[..., Awaitable[object]],
    *args: object,
    result_type: object | UnsetType = UNSET,
    stored_type: object | UnsetType = UNSET,
    table: Table = BARRIER_TABLE,
) -> object:
    """Have an effect in your own database exactly once, inside your own transaction.

    In a step, the first call runs ``action(session, *args)`` and stores what it returned in the
    same transaction; every further call with the same key, on whatever attempt and machine, runs
    nothing and returns what was stored. In a compensation, ``action(session, stored, *args)`` is
    given the *stored* result of the step, also where the journal has none because the outcome is
    ``unknown``; it runs once. If the step has had no effect, nothing runs, the barrier returns
    ``None``, and the step is blocked: should its action still arrive, it ends as `StepAbandoned`.

    Two calls with the same key at the same moment: one waits for the other's transaction, or gets
    the database's error (a serialization failure, a deadlock), after which Restate tries again.

    If anything fails in the barrier, it rolls the transaction back (or the savepoint that it is
    in) and passes the error on, so that an action which failed half-way is never committed.

    Costs one round trip before the action, and one after it that stores the result; the latter is
    left out for a step's action that is declared to return ``None``.

    Example::

        @saga_step("Debit")
        async def debit(step: StepContext[Bank], order: Transfer) -> Debited:
            async with step.services.sessions.begin() as session:
                return await barrier(session, step, take, order)


        @debit.compensate
        async def give_back(step: CompensationContext[Bank], data: Debited | Transfer) -> None:
            async with step.services.sessions.begin() as session:
                await barrier(session, step, put_back)


        async def take(session: AsyncSession, order: Transfer) -> Debited: ...


        async def put_back(session: AsyncSession, debited: Debited) -> None: ...

    Args:
        session: An `AsyncSession` or `AsyncConnection` that is in a transaction. It is yours:
            commit it after the barrier, as the example does. Whatever else you do in it is
            committed with the effect, or not at all, but it runs on every repeat.
        step: The context that the function around it was given; of a durable step, too.
        action: What has the effect. It works with the session it is given, and leaves the end of
            the transaction to the code around the barrier. Its annotations say what it returns,
            and, in a compensation, what its second parameter is: the type that the step returned.
        *args: What the action gets after that.
        result_type: The type that the action returns, where its annotation does not say.
        stored_type: The type that the step's action returned, where the annotation of the
            compensation's second parameter does not say.
        table: Another table than `BARRIER_TABLE`, made by `barrier_table`. Let it be the same for
            a step and its compensation.

    Returns:
        What the action returned, now or when it ran; in a compensation ``None`` if the step had no
        effect.

    Raises:
        StepAbandoned: The compensation has run before this action did. Terminal: not retried.
        MisuseError: It cannot work like this: no transaction, autocommit, the table is missing, a
            context out of its place, a key of another step. Retried until the code is mended.
        UnsupportedTypeError: A type that JSON cannot carry there and back. Retried.
        CodecError: A result that does not fit its type. Retried; nothing has happened.
        Exception: What the action or the database raises; nothing has happened.
    """
    if not isinstance(cast("object", session), AsyncSession | AsyncConnection):
        raise _wrong_session(session, "barrier", "an AsyncSession or AsyncConnection")
    passage = Passage(
        step,
        action,
        arguments=len(args),
        result_type=result_type,
        stored_type=stored_type,
        table=table,
    )
    try:
        entered = await session.run_sync(passage.enter)
        if isinstance(entered, Held):
            return entered.value
        pending: object = action(session, *entered, *args)
        if not inspect.isawaitable(pending):
            raise MisuseError(
                f"barrier: the action of {step.name!r} is no async function. Make it one, or use "
                "barrier_sync with a plain session."
            )
        result = await pending
        await session.run_sync(passage.leave, result)
    # A cancel too: someone may catch the time-out it comes from, and commit.
    except BaseException:
        await session.run_sync(passage.roll_back)
        raise
    return result


@overload
def barrier_sync(
    session: SyncS,
    step: StepContext,
    action: Callable[[SyncS, *Ts], R],
    *args: *Ts,
    result_type: TypeForm[R] = ...,
    table: Table = ...,
) -> R: ...
@overload
def barrier_sync(
    session: SyncS,
    step: CompensationContext,
    action: Callable[[SyncS, Stored, *Ts], R],
    *args: *Ts,
    result_type: TypeForm[R] = ...,
    stored_type: TypeForm[Stored] = ...,
    table: Table = ...,
) -> R | None: ...
def barrier_sync(
    session: Session | Connection,
    step: StepContext | CompensationContext,
    action: Callable[..., object],
    *args: object,
    result_type: object | UnsetType = UNSET,
    stored_type: object | UnsetType = UNSET,
    table: Table = BARRIER_TABLE,
) -> object:
    """`barrier` for a plain `Session` or `Connection`, and a plain action.

    For steps that are plain functions, which run in a thread. Arguments, results and errors are
    those of `barrier`.

    Example::

        @saga_step("Debit")
        def debit(step: StepContext[Bank], order: Transfer) -> Debited:
            with step.services.sessions.begin() as session:
                return barrier_sync(session, step, take, order)
    """
    if not isinstance(cast("object", session), Session | Connection):
        raise _wrong_session(session, "barrier_sync", "a Session or Connection")
    passage = Passage(
        step,
        action,
        arguments=len(args),
        result_type=result_type,
        stored_type=stored_type,
        table=table,
    )
    if inspect.iscoroutinefunction(action):
        raise MisuseError(
            f"barrier_sync: the action of {step.name!r} is async. Make it a plain function, or use "
            "barrier with an AsyncSession."
        )
    try:
        entered = passage.enter(session)
        if isinstance(entered, Held):
            return entered.value
        result = action(session, *entered, *args)
        passage.leave(session, result)
    except BaseException:
        passage.roll_back(session)
        raise
    return result


def _wrong_session(session: object, name: str, wanted: str) -> MisuseError:
    kind = type(session).__name__
    if isinstance(session, Session | Connection):
        mend = "Use barrier_sync for it, in a step that is a plain function."
    elif isinstance(session, AsyncSession | AsyncConnection):
        mend = "Use `await barrier(...)` for it, in a step that is an async function."
    else:
        mend = "Of a scoped session, give what calling it returns."
    return MisuseError(f"{name}: `session` is {kind}, and has to be {wanted}. {mend}")
