"""R10: what the caller sees after a rollback."""

from __future__ import annotations

import json

import pytest
from restate import TerminalError

from resaga import (
    CompensationFailure,
    RollbackIncomplete,
    Saga,
    SagaEvent,
    SagaObserver,
    StepResponse,
    saga_workflow,
)
from tests.support import Rig


class Ends(SagaObserver):
    """Keeps the errors that sagas ended with."""

    def __init__(self) -> None:
        self.errors: list[BaseException | None] = []

    def on_saga_failed(self, event: SagaEvent) -> None:
        self.errors.append(event.error)


class OrderFailed(Exception):
    """A domain error."""


@pytest.mark.parametrize("place", ["body", "plain", "durable", "strict"])
async def test_r10_the_original_error_with_message_code_and_metadata(rig: Rig, place: str) -> None:
    declined = TerminalError("declined", 402, metadata={"bank": "7", "reason": "limit"})
    a = rig.step("A")
    b = rig.step(
        "B",
        durable=place == "durable",
        strict=place == "strict",
        fails=None if place == "body" else declined,
    )

    @saga_workflow(rig.name("Original"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        raise declined

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.status, error.code, error.message) == (402, 402, "declined")
    assert error.metadata == {"bank": "7", "reason": "limit"}
    assert rig.ledger.undone()[-1] == "A"


async def test_r10_permanent_failure_says_message_and_code(rig: Rig) -> None:
    a = rig.step(
        "A", returns=lambda _: StepResponse.permanent_failure("sold out", "part", status_code=409)
    )

    @saga_workflow(rig.name("Permanent"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message, error.metadata) == (409, "sold out", {})
    assert rig.ledger.order() == ["do A", "undo A"]


async def test_r10_of_a_cause_chain_the_terminal_one(rig: Rig) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("Chain"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        try:
            try:
                raise TerminalError("declined", 402, metadata={"bank": "7"})
            except TerminalError as error:
                raise OrderFailed("in the middle") from error
        except OrderFailed as error:
            raise LookupError("outermost") from error

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message, error.metadata) == (402, "declined", {"bank": "7"})


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r10_rollback_incomplete(rig: Rig, durable: bool) -> None:
    ends = Ends()
    a = rig.step("A", durable=durable, undo_fails=TerminalError("gone", 404))
    b = rig.step("B", durable=durable)
    c = rig.step("C, again", durable=durable, undo_fails=TerminalError("closed", 410))

    @saga_workflow(rig.name("Incomplete"), observers=[ends])
    async def workflow(saga: Saga) -> None:
        for step in (a, b, c):
            await step(saga, 1)
        raise TerminalError("declined", 402, metadata={"bank": "7"})

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 402
    assert error.message.startswith("declined")
    assert "C, again: closed" in error.message
    assert "A: gone" in error.message
    assert "B" not in error.message
    assert error.metadata.pop("resaga.rollback") == "incomplete"
    assert error.metadata.pop("bank") == "7"
    ((_, names),) = error.metadata.items()
    assert json.loads(names) == ["C, again", "A"]

    end = ends.errors[-1]
    assert isinstance(end, RollbackIncomplete)
    assert isinstance(end, TerminalError)
    assert (end.original.message, end.original.status_code) == ("declined", 402)
    assert end.original.metadata == {"bank": "7"}
    assert end.failures == (
        CompensationFailure("C, again", "closed", 410),
        CompensationFailure("A", "gone", 404),
    )


async def test_r10_a_cancel_whose_rollback_is_incomplete(rig: Rig) -> None:
    gate = rig.gate()
    a = rig.step("A", undo_fails=TerminalError("gone", 404))
    b = rig.step("B", gate=gate)

    @saga_workflow(rig.name("CancelIncomplete"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await gate.reached()
    await rig.cancel_in_flight(invocation, workflow)
    gate.open()
    error = await invocation.error()
    assert error.code == 409
    assert error.message.startswith("cancelled")
    assert error.metadata["resaga.rollback"] == "incomplete"


async def test_r10_errors_of_the_observers_change_nothing(rig: Rig) -> None:
    class Breaks(SagaObserver):
        def on_saga_failed(self, event: SagaEvent) -> None:
            raise RuntimeError("broken observer")

    a = rig.step("A")

    @saga_workflow(rig.name("Broken"), observers=[Breaks()])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise TerminalError("declined", 402)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message) == (402, "declined")
