"""R28: whatever a provider raises, a saga neither hangs on it nor contradicts its journal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from restate import TerminalError

from resaga import RollbackIncomplete, Saga, SagaRequest, saga_workflow
from tests.support import Rig, until

BROKEN = "broken \udc80 text"


class Exit(BaseException):
    """An exit of the provider's own making."""


ERRORS: dict[str, Callable[[], BaseException]] = {
    "unprintable": lambda: ValueError(BROKEN),
    "unprintable terminal": lambda: TerminalError(BROKEN, 70_000),
    "a cancellation of its own": asyncio.CancelledError,
    "an exit of its own": Exit,
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("when", ["first enter", "later enter", "leave"])
async def test_r28_no_error_of_a_provider_makes_a_saga_hang(rig: Rig, kind: str, when: str) -> None:
    """Restate retries, or the saga ends before any step if the first attempt's is terminal."""
    raised: list[int] = []
    hiccups: list[int] = []

    def fails(now: bool) -> None:
        if now and not raised:
            raised.append(1)
            error = ERRORS[kind]()
            raise error

    @asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[None]:
        fails(when == "first enter" or (when == "later enter" and bool(hiccups)))
        yield None
        fails(when == "leave")

    a = rig.step("A")

    @saga_workflow(rig.name("NoHang"), services_from=scope)
    async def workflow(saga: Saga[None]) -> str:
        await a(saga, 1)
        if when == "later enter" and not hiccups:
            hiccups.append(1)
            raise ValueError("a hiccup")
        return "done"

    await rig.serve(workflow)
    if kind == "unprintable terminal" and when == "first enter":
        error = await rig.fail(workflow)
        assert error.code == 500
        assert "broken" in error.message
        assert rig.ledger.order() == []
    else:
        assert await rig.call(workflow) == "done"
        assert rig.ledger.order() == ["do A"]
    assert raised


@pytest.mark.parametrize("kind", ["terminal", "wrapped"])
async def test_r28_a_provider_that_fails_before_it_gives_a_scope_fails_like_one_that_enters_it(
    rig: Rig, kind: str
) -> None:
    hiccups: list[int] = []
    raised: list[int] = []

    @asynccontextmanager
    async def scope() -> AsyncGenerator[None]:
        yield None

    def provider(request: SagaRequest[Any]) -> AbstractAsyncContextManager[None]:
        if hiccups and len(raised) < 2:
            raised.append(1)
            error = TerminalError("no such tenant", 403)
            if kind == "wrapped":
                raise ConnectionError("no database") from error
            raise error
        return scope()

    a = rig.step("A")

    @saga_workflow(rig.name("Calls"), services_from=provider)
    async def workflow(saga: Saga[None]) -> str:
        await a(saga, 1)
        if not hiccups:
            hiccups.append(1)
            raise ValueError("a hiccup")
        return "done"

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert await invocation.result() == "done"
    assert len(raised) == 2
    told = [text for text in await invocation.failures() if "a hiccup" not in text]
    assert told
    assert all("services_from provider of" in text for text in told), "and no journal mismatch"
    assert rig.ledger.order() == ["do A"]


async def test_r28_a_scope_sees_the_error_that_the_caller_gets(rig: Rig) -> None:
    """After the rollback: with what it could not undo."""
    left: list[BaseException] = []

    @asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[None]:
        try:
            yield None
        except BaseException as leaving:
            left.append(leaving)
            raise

    a = rig.step("A", undo_fails=TerminalError("stuck", 410))

    @saga_workflow(rig.name("Sees"), services_from=scope)
    async def workflow(saga: Saga[None]) -> None:
        await a(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    await until(lambda: any(isinstance(e, RollbackIncomplete) for e in left), "the scope is left")
    (seen,) = [e for e in left if isinstance(e, RollbackIncomplete)]
    assert (seen.message, seen.status_code) == (error.message, error.code)
    assert [failure.name for failure in seen.failures] == ["A"]


async def test_r28_a_scope_is_entered_once_per_attempt_also_of_one_that_suspends(rig: Rig) -> None:
    entered: list[int] = []
    left: list[int] = []

    @asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[int]:
        entered.append(1)
        try:
            yield len(entered)
        finally:
            left.append(1)

    a, b = rig.steps("A", "B")

    @saga_workflow(rig.name("Suspends"), services_from=scope)
    async def workflow(saga: Saga[int]) -> int:
        await a(saga, 1)
        await b(saga, 1)
        return saga.services

    await rig.serve(workflow)
    last = await rig.call(workflow)
    await until(lambda: rig.traffic.open[workflow.name] == 0, "all attempts are over")
    assert len(entered) == len(left) == rig.traffic.attempts[workflow.name] == last
    if rig.flavour != "normal":
        assert last > 1, "this flavour was to suspend"
