"""R28: a provider's scope per action: opened and left with it, and never the end of the saga."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    DurableCompensationContext,
    DurableStepContext,
    MisuseError,
    Retry,
    Saga,
    SagaRequest,
    StepContext,
    StepResponse,
    StepServices,
    create_saga_step,
    saga_step,
    saga_workflow,
)
from tests.support import Rig, until
from tests.support.gates import Gate
from tests.support.ledger import Ledger


@dataclass(eq=False)
class Shop:
    """What a scope gives; of an attempt, or of one action of it."""

    ledger: Ledger
    gate: Gate
    parent: Shop | None = None
    closed: bool = False
    saw: list[BaseException | None] = field(default_factory=list[BaseException | None])
    open: Callable[[], None] = lambda: None


class Session(Shop):
    """What is injected."""


Fault = Callable[[int], Exception | None]


class Scopes:
    """A `StepScopes` that counts; what it injects is annotated with `Session`."""

    def __init__(self, rig: Rig) -> None:
        self.ledger = rig.ledger
        self.gate = rig.gate()
        self.attempts: list[Shop] = []
        self.steps: list[Session] = []
        self.opening: Fault = lambda n: None
        self.leaving: Fault = lambda n: None
        self.suppress = False
        self.entered = 0
        self.left = 0

    @asynccontextmanager
    async def __call__(self, request: SagaRequest[Any], /) -> AsyncGenerator[Shop]:
        shop = Shop(self.ledger, self.gate)
        self.attempts.append(shop)
        try:
            yield shop
        finally:
            shop.closed = True

    def injects(self, annotation: object, /) -> bool:
        return annotation is Session

    @asynccontextmanager
    async def open_step(
        self, services: Shop, wanted: Mapping[str, object], /
    ) -> AsyncGenerator[StepServices[Shop]]:
        await asyncio.sleep(0)  # It does I/O, also in branches.
        self.entered += 1
        error = self.opening(self.entered)
        if error is not None:
            raise error
        session = Session(self.ledger, self.gate, parent=services)
        self.steps.append(session)
        try:
            yield StepServices(services=session, injected=dict.fromkeys(wanted, session))
        except BaseException as exc:
            self._leave(session, exc)
            if not self.suppress:
                raise
        else:
            await asyncio.sleep(0)
            self._leave(session, None)

    def _leave(self, session: Session, exc: BaseException | None) -> None:
        session.saw.append(exc)
        session.closed = True
        self.left += 1
        error = self.leaving(self.left)
        if error is not None:
            raise error

    def all_left(self) -> bool:
        return all(scope.closed for scope in [*self.attempts, *self.steps])


@saga_step("A")
async def a(step: StepContext[Shop], value: int, session: Session) -> int:
    assert step.services is session
    assert not session.closed
    session.ledger.do(step, value)
    return value


@a.compensate
async def undo_a(step: CompensationContext[Shop, int], data: int, session: Session) -> None:
    assert step.services is session
    assert not session.closed
    session.ledger.undo(step, data)


@saga_step("B")
def b(step: StepContext[Shop], *, session: Session) -> None:
    """In a thread, and without input."""
    assert step.services is session
    session.ledger.do(step)


@b.compensate
def undo_b(step: CompensationContext[Shop, None], data: None, session: Session) -> None:
    session.ledger.undo(step)


@saga_step("D", durable=True)
async def d(step: DurableStepContext[Shop], value: int, session: Session) -> int:
    assert step.services is session
    got: int = await step.ctx.run_typed("inside", lambda: value)
    assert not session.closed
    await step.ctx.run_typed("effect", session.ledger.do, step=step)
    return got


@d.compensate
async def undo_d(step: DurableCompensationContext[Shop, int], data: int, session: Session) -> None:
    assert step.services is session
    await step.ctx.run_typed("back", lambda: data)
    assert not session.closed
    await step.ctx.run_typed("undo", session.ledger.undo, step=step)


@saga_step("End")
async def end(step: StepContext[Shop], fails: bool) -> None:
    if fails:
        raise TerminalError("no", 409)


@pytest.mark.parametrize("fails", [False, True])
async def test_r28_each_action_has_a_scope_of_its_own(rig: Rig, fails: bool) -> None:
    scopes = Scopes(rig)

    @saga_workflow(rig.name("Scoped"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> int:
        assert saga.services is scopes.attempts[-1]
        total = await a(saga, 1)
        await b(saga)
        total += await d(saga, 2)
        total += sum(await saga.gather(a(saga, 3), d(saga, 4)))
        await end(saga, fails)
        return total

    await rig.serve(workflow)
    if fails:
        error = await rig.fail(workflow)
        assert (error.code, error.message) == (409, "no")
        assert sorted(rig.ledger.undone()) == ["A", "A", "B", "D", "D"]
    else:
        assert await rig.call(workflow) == 10
    await until(scopes.all_left, "all scopes are left")
    assert len(set(map(id, scopes.steps))) == len(scopes.steps) == scopes.entered == scopes.left
    assert all(session.parent in scopes.attempts for session in scopes.steps)
    assert rig.ledger.count("do A") == 2
    assert rig.ledger.count("do B") == 1
    assert rig.ledger.count("do D") == 2
    if rig.flavour == "normal":
        assert len(scopes.steps) == (11 if fails else 6)


async def test_r28_each_attempt_of_an_action_has_its_own(rig: Rig) -> None:
    scopes = Scopes(rig)
    hiccups = [ValueError("a hiccup")]

    @saga_step("Flaky")
    async def flaky(step: StepContext[Shop]) -> None:
        if hiccups:
            raise hiccups.pop()

    @saga_workflow(rig.name("Retried"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await flaky(saga)

    await rig.serve(workflow)
    await rig.call(workflow)
    await until(scopes.all_left, "all scopes are left")
    first, second = scopes.steps
    assert isinstance(first.saw[0], ValueError)
    assert second.saw == [None]


def fault(kind: str) -> Exception:
    terminal = TerminalError("no session for you", 403)
    if kind == "terminal":
        return terminal
    if kind == "group":
        return ExceptionGroup("all of them", [terminal])
    wrapped = ConnectionError("no database")
    wrapped.__cause__ = terminal if kind == "wrapped" else None
    return wrapped


KINDS = ["terminal", "wrapped", "group", "ordinary"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("durable", [False, True])
async def test_r28_an_error_of_opening_is_ordinary(rig: Rig, kind: str, durable: bool) -> None:
    """Also in a rollback; and no mapper takes it for the action's own."""
    scopes = Scopes(rig)
    faulty = {1, 2, 4}
    scopes.opening = lambda n: fault(kind) if n in faulty else None

    @saga_workflow(
        rig.name("Opening"),
        services_from=scopes,
        as_terminal_error=lambda exc: TerminalError("mapped", 422),
    )
    async def workflow(saga: Saga[Shop]) -> None:
        await (d if durable else a)(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    name = "D" if durable else "A"
    assert rig.ledger.order() == [f"do {name}", f"undo {name}"]
    await until(scopes.all_left, "all scopes are left")


@pytest.mark.parametrize("kind", KINDS)
async def test_r28_an_error_of_leaving_repeats_the_action_with_its_key(rig: Rig, kind: str) -> None:
    """What a scope commits on leaving may not have happened, so the step does not count as done."""
    scopes = Scopes(rig)
    scopes.leaving = lambda n: fault(kind) if n in {1, 3} else None

    @saga_workflow(
        rig.name("Leaving"),
        services_from=scopes,
        as_terminal_error=lambda exc: TerminalError("mapped", 422),
    )
    async def workflow(saga: Saga[Shop]) -> None:
        await a(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (409, "no")
    assert rig.ledger.order() == ["do A", "do A", "undo A", "undo A"]
    assert len({effect.key for effect in rig.ledger.effects(kind="do")}) == 1
    assert len({effect.key for effect in rig.ledger.effects(kind="undo")}) == 1


async def test_r28_bounded_attempts_end_as_unknown(rig: Rig) -> None:
    scopes = Scopes(rig)
    scopes.leaving = lambda n: ConnectionError("no commit") if n <= 2 else None

    async def run(step: StepContext[Shop], value: int) -> None:
        step.services.ledger.do(step)

    async def undo(step: CompensationContext[Shop, int], data: int) -> None:
        step.services.ledger.undo(step, step.outcome)

    bounded = create_saga_step("Bounded", run, undo, retry=Retry(max_attempts=2))

    @saga_workflow(rig.name("Bounded"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await bounded(saga, 1)

    await rig.serve(workflow)
    await rig.fail(workflow)
    assert rig.ledger.order() == ["do Bounded", "do Bounded", "undo Bounded"]
    assert rig.ledger.payload("undo Bounded") == "unknown"


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("suppress", [False, True])
async def test_r28_where_the_action_fails_its_error_stands(
    rig: Rig, durable: bool, suppress: bool
) -> None:
    scopes = Scopes(rig)
    scopes.suppress = suppress
    scopes.leaving = lambda n: None if suppress else TerminalError("closing failed", 500)

    async def run(step: StepContext[Shop], value: int) -> None:
        raise TerminalError("declined", 402)

    async def run_durably(step: DurableStepContext[Shop], value: int) -> None:
        raise TerminalError("declined", 402)

    plain = create_saga_step("Declined", run)
    durably = create_saga_step("Declined", run_durably, durable=True)

    @saga_workflow(rig.name("Declined"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await (durably if durable else plain)(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (402, "declined")
    await until(scopes.all_left, "all scopes are left")
    assert isinstance(scopes.steps[-1].saw[0], TerminalError)


async def test_r28_a_permanent_failure_is_no_exception_to_the_scope(rig: Rig) -> None:
    """What it did is to be kept, for its compensation to undo."""
    scopes = Scopes(rig)

    async def run(step: StepContext[Shop], value: int) -> StepResponse[str]:
        return StepResponse.permanent_failure("half done", "half")

    async def undo(step: CompensationContext[Shop, int], data: str | int) -> None:
        step.services.ledger.undo(step, data)

    half = create_saga_step("Half", run, undo)

    @saga_workflow(rig.name("Half"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await half(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.message == "half done"
    assert rig.ledger.payload("undo Half") == "half"
    assert [session.saw for session in scopes.steps] == [[None], [None]]


async def test_r28_a_scope_is_left_after_its_thread(rig: Rig) -> None:
    """The attempt is gone, its thread is not: what that works with stays open."""
    scopes = Scopes(rig)
    gate = scopes.gate
    seen: list[bool] = []

    def run(step: StepContext[Shop], value: int, session: Session) -> None:
        gate.hold_thread()
        seen.append(session.closed)

    held = create_saga_step("Held", run)

    @saga_workflow(rig.name("Held"), services_from=scopes)
    async def workflow(saga: Saga[Shop]) -> None:
        await held(saga, 1)

    wire = await rig.serve_on_wire(workflow)
    sent = await rig.send(workflow)
    await gate.reached()
    wire.cut()
    await until(lambda: scopes.attempts[0].closed, "the attempt has ended")
    assert not scopes.steps[0].closed
    gate.open()
    await sent.result()
    await until(scopes.all_left, "all scopes are left")
    assert set(seen) == {False}


async def test_r28_a_nested_workflow_has_its_parents_scopes(rig: Rig) -> None:
    scopes, unused = Scopes(rig), Scopes(rig)

    @saga_workflow(rig.name("Inner"), services_from=unused)
    async def inner(saga: Saga[Shop], value: int) -> int:
        return await a(saga, value)

    @saga_workflow(rig.name("Outer"), services_from=scopes)
    async def outer(saga: Saga[Shop], value: int) -> int:
        return await inner.run_as_step(saga, value)

    await rig.serve(outer)
    assert await rig.call(outer, 5) == 5
    assert (scopes.entered, unused.entered) == (1, 0)


@pytest.mark.parametrize("missing", ["no provider", "another annotation", "in the compensation"])
async def test_r21_a_parameter_nobody_fills_is_found_before_any_effect(
    rig: Rig, missing: str
) -> None:
    async def run(step: StepContext[Any], value: int, spare: int = 3) -> None:
        rig.ledger.do(step)

    async def undo(step: CompensationContext[Any, int], data: int) -> None: ...

    async def run_with(step: StepContext[Any], value: int, clock: float) -> None:
        rig.ledger.do(step)

    async def undo_with(step: CompensationContext[Any, int], data: int, clock: float) -> None: ...

    in_undo = missing == "in the compensation"
    step = create_saga_step("Wanting", run if in_undo else run_with, undo_with if in_undo else undo)
    scopes = None if missing == "no provider" else Scopes(rig)
    said: list[str] = []

    async def body(saga: Saga[Any]) -> None:
        try:
            await step(saga, 1)
        except MisuseError as exc:
            said.append(str(exc))
            raise TerminalError("misused", 500) from None

    name = rig.name("Misused")
    workflow = saga_workflow(name)(body)
    if scopes is not None:
        workflow = workflow.with_services(scopes)
    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.message == "misused"
    assert rig.ledger.order() == []
    assert "'Wanting'" in said[0]
    assert "'clock'" in said[0]
    assert name in said[0]
    assert ("dishka_services(container)" if scopes is None else "FromDishka[T]") in said[0]
    assert ("compensation" in said[0]) == in_undo
