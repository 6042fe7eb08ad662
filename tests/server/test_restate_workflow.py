"""Restate workflows with a saga: once per key, signals and queries, promises, attaching."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from restate import TerminalError
from restate.context import WorkflowContext, WorkflowSharedContext

from resaga import (
    Call,
    MisuseError,
    Saga,
    SagaRequest,
    SagaRestateWorkflow,
    WorkflowContract,
    create_saga_restate_workflow,
    register_terminal_errors,
    saga_restate_workflow,
    saga_workflow,
    workflow_client,
    workflow_send_client,
)
from tests.support import Rig


@dataclass
class Request:
    amount: int


@dataclass
class Decision:
    approved_by: str


def approval_of(rig: Rig) -> SagaRestateWorkflow[Request, Decision]:
    """Holds a budget, waits for somebody, and books it."""
    hold, book = rig.steps("Hold", "Book")

    @saga_restate_workflow(rig.name("Approval"))
    async def approval(saga: Saga, ctx: WorkflowContext, request: Request) -> Decision:
        await hold(saga, request.amount)
        who = await ctx.promise("approval", type_hint=str).value()
        if not who:
            raise TerminalError("rejected", 403)
        await book(saga, request.amount)
        return Decision(who)

    @approval.handler()
    async def approve(ctx: WorkflowSharedContext, who: str) -> None:
        await ctx.promise("approval", type_hint=str).resolve(who)

    @approval.handler("isOpen")
    async def is_open(ctx: WorkflowSharedContext) -> bool:
        return await ctx.promise("approval", type_hint=str).peek() is None

    return approval


async def test_a_signal_lets_it_go_on(rig: Rig) -> None:
    approval = approval_of(rig)
    await rig.serve(approval)
    sent = await rig.send(approval, {"amount": 5}, key="a")
    await sent.until_entry("Hold")
    assert await rig.call(approval, key="a", handler="isOpen") is True
    await rig.call(approval, "Anna", key="a", handler="approve")
    assert await sent.result() == {"approved_by": "Anna"}
    assert await rig.call(approval, key="a", handler="isOpen") is False
    assert rig.ledger.order() == ["do Hold", "do Book"]


async def test_a_rejection_rolls_back_the_steps_before_it(rig: Rig) -> None:
    approval = approval_of(rig)
    await rig.serve(approval)
    sent = await rig.send(approval, {"amount": 5}, key="a")
    await sent.until_entry("Hold")
    await rig.call(approval, "", key="a", handler="approve")
    error = await sent.error()
    assert (error.code, error.message) == (403, "rejected")
    assert rig.ledger.order() == ["do Hold", "undo Hold"]


async def test_a_cancel_while_it_waits_rolls_back(rig: Rig) -> None:
    approval = approval_of(rig)
    await rig.serve(approval)
    sent = await rig.send(approval, {"amount": 5}, key="a")
    await sent.until_entry("Hold")
    await sent.cancel()
    assert (await sent.error()).code == 409
    assert rig.ledger.order() == ["do Hold", "undo Hold"]


async def test_it_runs_once_per_key(rig: Rig) -> None:
    approval = approval_of(rig)
    await rig.serve(approval)
    await rig.send(approval, {"amount": 5}, key="a")
    await rig.call(approval, "Anna", key="a", handler="approve")
    async with rig.client() as client:
        assert await workflow_client(client, approval, "a").attach() == Decision("Anna")
    error = await rig.fail(approval, {"amount": 7}, key="a")
    assert error.code == 409
    assert rig.ledger.count("do Hold") == 1


async def test_submit_signal_and_attach_from_outside(rig: Rig) -> None:
    approval = approval_of(rig)

    class Approval(WorkflowContract, name=approval.name):
        run = Call(Request, Decision)
        approve = Call(str, None)
        is_open = Call(None, bool, name="isOpen")

    await rig.serve(approval)
    async with rig.client() as client:
        sent = await workflow_send_client(client, approval, "ä/b c?").run(Request(5))
        signals = workflow_client(client, Approval, "ä/b c?")
        assert await signals.is_open() is True
        await signals.approve("Anna")
        assert await sent.attach() == Decision("Anna")
        assert await workflow_client(client, approval, "ä/b c?").attach() == Decision("Anna")
        assert (await sent.invocation_id()).startswith("inv_")


async def test_input_of_signals_is_validated_and_their_errors_are_mapped(rig: Rig) -> None:
    class Unknown(Exception):
        pass

    @saga_restate_workflow(
        rig.name("W"),
        as_terminal_error=lambda e: TerminalError("own", 418) if type(e) is KeyError else None,
    )
    async def workflow(saga: Saga, ctx: WorkflowContext) -> None: ...

    @workflow.handler()
    async def signal(ctx: WorkflowSharedContext, request: Request) -> None:
        if request.amount == 1:
            raise Unknown("never heard of it")
        if request.amount == 2:
            raise KeyError
        if request.amount == 3:
            raise ValueError from TerminalError("wrapped", 417)

    register_terminal_errors({Unknown: 404})
    await rig.serve(workflow)
    for value, code, message in (
        ({"amount": "x"}, 400, "$.amount: expected int, got str"),
        ({"amount": 1}, 404, "never heard of it"),
        ({"amount": 2}, 418, "own"),
        ({"amount": 3}, 417, "wrapped"),
    ):
        error = await rig.fail(workflow, value, key="a", handler="signal")
        assert error.code == code
        assert message in error.message


async def test_steps_and_waits_survive_a_deadline(rig: Rig) -> None:
    (hold,) = rig.steps("Hold")

    @saga_restate_workflow(rig.name("W"), deadline=timedelta(milliseconds=300))
    async def workflow(saga: Saga, ctx: WorkflowContext) -> None:
        await hold(saga, 1)
        await ctx.promise("never").value()

    await rig.serve(workflow)
    assert (await rig.fail(workflow, key="a")).code == 408
    assert rig.ledger.order() == ["do Hold", "undo Hold"]


async def test_functions_make_the_same(rig: Rig) -> None:
    (hold,) = rig.steps("Hold")

    async def run(saga: Saga, ctx: WorkflowContext, request: Request) -> str:
        await hold(saga, request.amount)
        return await ctx.promise("word", type_hint=str).value()

    async def say(ctx: WorkflowSharedContext, word: str) -> None:
        await ctx.promise("word", type_hint=str).resolve(word)

    workflow = create_saga_restate_workflow(rig.name("W"), run, {"sayIt": say})
    await rig.serve(workflow)
    sent = await rig.send(workflow, {"amount": 1}, key="a")
    await rig.call(workflow, "yes", key="a", handler="sayIt")
    assert await sent.result() == "yes"


async def test_r21_inside_a_plain_saga_it_is_refused(rig: Rig) -> None:
    (hold,) = rig.steps("Hold")
    approval = approval_of(rig)

    @saga_workflow(rig.name("Plain"))
    async def plain(saga: Saga) -> None:
        await hold(saga, 1)
        try:
            await approval.run_as_step(saga, Request(1))
        except MisuseError as error:
            raise TerminalError(str(error)) from None

    await rig.serve(plain)
    error = await rig.fail(plain)
    assert "needs durable promises" in error.message
    assert "workflow_client(saga, workflow, key)" in error.message
    assert rig.ledger.order() == ["do Hold", "undo Hold"]


async def test_inside_a_restate_workflow_it_is_a_part_of_it(rig: Rig) -> None:
    (ship,) = rig.steps("Ship", fails=TerminalError("no ship", 410))
    approval = approval_of(rig)

    @saga_restate_workflow(rig.name("Outer"))
    async def outer(saga: Saga, ctx: WorkflowContext, request: Request) -> str:
        decision = await approval.run_as_step(saga, request)
        await ship(saga, 1)
        return decision.approved_by

    @outer.handler()
    async def approve(ctx: WorkflowSharedContext, who: str) -> None:
        await ctx.promise("approval", type_hint=str).resolve(who)

    await rig.serve(outer)
    sent = await rig.send(outer, {"amount": 5}, key="a")
    await rig.call(outer, "Anna", key="a", handler="approve")
    assert (await sent.error()).code == 410
    assert rig.ledger.order() == [
        "do Hold",
        "do Book",
        "do Ship",
        "undo Ship",
        "undo Book",
        "undo Hold",
    ]


def test_r21_a_second_main_handler_is_refused() -> None:
    @saga_restate_workflow("W")
    async def workflow(saga: Saga, ctx: WorkflowContext) -> None: ...

    with pytest.raises(MisuseError, match="has its main handler already"):
        workflow.main()


async def test_services_of_a_copy(rig: Rig) -> None:
    @saga_restate_workflow(rig.name("W"))
    async def workflow(saga: Saga[str], ctx: WorkflowContext) -> str:
        return saga.services

    @workflow.handler()
    async def signal(ctx: WorkflowSharedContext) -> str:
        return ctx.key()

    @asynccontextmanager
    async def provide(request: SagaRequest) -> AsyncGenerator[str]:
        yield f"services of {request.key}"

    copy = workflow.with_services(provide)
    await rig.serve(copy)
    assert await rig.call(copy, key="a") == "services of a"
    assert await rig.call(copy, key="a", handler="signal") == "a"
