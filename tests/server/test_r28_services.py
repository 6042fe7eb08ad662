"""R28: services are opened once per attempt, closed at its end, and cannot change how it ends."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    Saga,
    SagaRequest,
    StepContext,
    create_saga_step,
    saga_workflow,
)
from tests.support import Rig, until


@dataclass
class Shop:
    tenant: str


class Scopes:
    """A provider that counts."""

    def __init__(self) -> None:
        self.opened = 0
        self.left: list[BaseException | None] = []
        self.requests: list[SagaRequest[Any]] = []
        self.enter: Callable[[int], Exception | None] = lambda n: None
        self.leave: Callable[[int], Exception | None] = lambda n: None
        self.suppress = False

    def __call__(self, request: SagaRequest[Any]) -> AbstractAsyncContextManager[Shop]:
        return self._open(request)

    @asynccontextmanager
    async def _open(self, request: SagaRequest[Any]) -> AsyncGenerator[Shop]:
        self.opened += 1
        self.requests.append(request)
        error = self.enter(self.opened)
        if error is not None:
            self.left.append(error)
            raise error
        try:
            yield Shop(str(request.headers.get("tenant")))
        except BaseException as exc:
            self.left.append(exc)
            self._leave()
            if not self.suppress:
                raise
        else:
            self.left.append(None)
            self._leave()

    def _leave(self) -> None:
        error = self.leave(len(self.left))
        if error is not None:
            raise error


def _steps(rig: Rig, fails: bool) -> Any:
    async def run(step: StepContext[Shop], value: int) -> str:
        rig.ledger.do(step, step.services.tenant)
        return step.services.tenant

    async def undo(step: CompensationContext[Shop, int], data: str | int) -> None:
        rig.ledger.undo(step, step.services.tenant)

    async def end(step: StepContext[Shop]) -> None:
        if fails:
            raise TerminalError("no", 409)

    return create_saga_step("A", run, undo), create_saga_step("End", end)


@pytest.mark.parametrize("fails", [False, True])
async def test_r28_each_attempt_has_a_scope_of_its_own(rig: Rig, fails: bool) -> None:
    scopes = Scopes()
    a, end = _steps(rig, fails)
    hiccups: list[int] = []

    @saga_workflow(rig.name("Scoped"), services_from=scopes)
    async def workflow(saga: Saga[Shop], value: int) -> str:
        await a(saga, value)
        if not hiccups:
            hiccups.append(1)
            raise ValueError("a hiccup")
        await end(saga)
        return saga.services.tenant

    await rig.serve(workflow)
    headers = {"tenant": "acme"}
    if fails:
        error = await rig.fail(workflow, 7, headers=headers)
        assert (error.code, error.message) == (409, "no")
        assert isinstance(scopes.left[-1], TerminalError), "it sees what leaves the saga"
        assert rig.ledger.payload("undo A") == "acme"
    else:
        assert await rig.call(workflow, 7, headers=headers) == "acme"
        assert scopes.left[-1] is None
    await until(lambda: len(scopes.left) == scopes.opened, "all scopes are left")
    assert scopes.opened >= 2
    assert rig.ledger.payload("do A") == "acme"
    for request in scopes.requests:
        assert (request.input, request.headers["tenant"], request.key) == (7, "acme", None)
        assert request.saga_id.startswith("inv_")


async def test_r28_a_scope_cannot_suppress_the_end(rig: Rig) -> None:
    scopes = Scopes()
    scopes.suppress = True
    a, end = _steps(rig, True)

    @saga_workflow(rig.name("Suppressed"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await a(saga, 1)
        await end(saga)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    assert rig.ledger.undone() == ["A"]


async def test_r28_a_terminal_error_of_the_provider_ends_the_saga_before_any_step(
    rig: Rig,
) -> None:
    scopes = Scopes()
    scopes.enter = lambda n: TerminalError("no such tenant", 403)
    a, _ = _steps(rig, False)

    @saga_workflow(rig.name("Refused"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (403, "no such tenant")
    assert rig.ledger.order() == []


@pytest.mark.parametrize("kind", ["terminal", "wrapped", "ordinary"])
async def test_r28_later_it_is_an_ordinary_error(rig: Rig, kind: str) -> None:
    """Once the journal has an entry, a terminal one would contradict it."""
    scopes = Scopes()
    a, end = _steps(rig, True)

    def enter(number: int) -> Exception | None:
        if number not in (2, 3):
            return None
        if kind == "ordinary":
            return ConnectionError("no database")
        error = TerminalError("no such tenant", 403)
        if kind == "terminal":
            return error
        wrapped = ConnectionError("no database")
        wrapped.__cause__ = error
        return wrapped

    scopes.enter = enter
    hiccups: list[int] = []

    @saga_workflow(rig.name("Later"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await a(saga, 1)
        if not hiccups:
            hiccups.append(1)
            raise ValueError("a hiccup")
        await end(saga)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    assert scopes.opened >= 4
    assert rig.ledger.order() == ["do A", "undo A"]


@pytest.mark.parametrize("fails", [False, True])
async def test_r28_a_terminal_error_of_closing_is_made_ordinary(rig: Rig, fails: bool) -> None:
    scopes = Scopes()
    closed: list[int] = []
    a, end = _steps(rig, fails)

    def leave(_: int) -> Exception | None:
        if ended and len(closed) < 2:
            closed.append(1)
            return TerminalError("closing failed", 500)
        return None

    scopes.leave = leave
    ended: list[int] = []

    @saga_workflow(rig.name("Closing"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> str:
        await a(saga, 1)
        ended.append(1)
        await end(saga)
        return "done"

    await rig.serve(workflow)
    if fails:
        error = await rig.fail(workflow)
        assert (error.code, error.message) == (409, "no")
        assert rig.ledger.order() == ["do A", "undo A"]
    else:
        assert await rig.call(workflow) == "done"
        assert rig.ledger.order() == ["do A"]
    assert closed


async def test_r28_with_services_binds_a_copy(rig: Rig) -> None:
    scopes = Scopes()
    a, _ = _steps(rig, False)

    @saga_workflow(rig.name("Bound"))
    async def workflow(saga: Saga[Shop]) -> str:
        await a(saga, 1)
        return saga.services.tenant

    bound = workflow.with_services(scopes)
    assert bound is not workflow
    assert bound.name == workflow.name
    await rig.serve(bound)
    assert await rig.call(bound, headers={"tenant": "bound"}) == "bound"


async def test_r28_shared_services_are_one_object(rig: Rig) -> None:
    shop = Shop("shared")
    seen: list[Shop] = []

    async def look(step: StepContext[Shop]) -> None:
        seen.append(step.services)

    step = create_saga_step("Look", look)

    @saga_workflow(rig.name("Shared"), services=shop)
    async def workflow(saga: Saga[Shop]) -> None:
        await step(saga)

    await rig.serve(workflow)
    await rig.call(workflow)
    await rig.call(workflow)
    assert all(each is shop for each in seen)


async def test_r28_input_that_no_longer_decodes_is_an_ordinary_error(rig: Rig) -> None:
    """New code may not read what a saga in flight was called with; it cannot be refused now."""
    a = rig.step("A")
    hiccups: list[int] = []

    @saga_workflow(rig.name("OldInput"))
    async def workflow(saga: Saga, value: int) -> int:
        await a(saga, value)
        if not hiccups:
            hiccups.append(1)
            raise ValueError("a hiccup")
        return value

    class Once:
        """A codec that fails on the second attempt."""

        def __init__(self, codec: Any) -> None:
            self._codec = codec
            self.asked = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self._codec, name)

        def decode(self, raw: bytes) -> Any:
            self.asked += 1
            return self._codec.decode(b'"x"' if self.asked in (2, 3) else raw)

    body: Any = workflow._body
    body.input = once = Once(body.input)
    await rig.serve(workflow)
    assert await rig.call(workflow, 7) == 7
    assert once.asked >= 4
    assert rig.ledger.order() == ["do A"]


@pytest.mark.parametrize("first", [True, False])
async def test_r28_so_is_one_of_a_provider_that_is_a_plain_function(rig: Rig, first: bool) -> None:
    """It may raise before there is a scope to enter."""
    scopes = Scopes()
    asked: list[int] = []
    a, _ = _steps(rig, False)

    def provider(request: SagaRequest[Any]) -> AbstractAsyncContextManager[Shop]:
        asked.append(1)
        if len(asked) in ((1,) if first else (2, 3)):
            raise TerminalError("no such tenant", 403)
        return scopes(request)

    @saga_workflow(rig.name("Plain"), services_from=provider)
    async def workflow(saga: Saga[Shop]) -> str:
        await a(saga, 1)
        if len(asked) == 1:
            raise ValueError("a hiccup")
        return saga.services.tenant

    await rig.serve(workflow)
    if first:
        error = await rig.fail(workflow)
        assert (error.code, error.message) == (403, "no such tenant")
        assert rig.ledger.order() == []
    else:
        assert await rig.call(workflow, headers={"tenant": "acme"}) == "acme"
        assert len(asked) >= 4
        assert rig.ledger.order() == ["do A"]
