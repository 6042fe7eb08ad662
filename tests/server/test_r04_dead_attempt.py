"""R4: an attempt that is over does nothing more, whoever caught the exception that said so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from restate import TerminalError

from resaga import Saga, SagaEvent, SagaObserver, saga_workflow
from tests.support import Rig


class Ends(SagaObserver):
    def __init__(self) -> None:
        self.told: list[str] = []

    def on_saga_completed(self, event: SagaEvent) -> None:
        self.told.append("completed")

    def on_saga_failed(self, event: SagaEvent) -> None:
        self.told.append("failed")


@pytest.mark.parametrize("caught", [Exception, BaseException])
@pytest.mark.parametrize("then", ["raise", "return"])
async def test_r04_what_ends_an_attempt_cannot_be_swallowed(
    rig: Rig, caught: type[BaseException], then: str
) -> None:
    """The SDK's `DisconnectedException` is a plain `Exception`, so a body may well catch it.

    A rollback in an attempt that is over would undo what the saga, completed by the next
    attempt, has done.
    """
    (a,) = rig.steps("A")
    ends = Ends()
    finished: list[str] = []

    @saga_workflow(rig.name("Swallows"), observers=[ends])
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        try:
            await saga.ctx.sleep(timedelta(milliseconds=600))
        except caught:
            if then == "raise":
                raise TerminalError("something went wrong") from None
            return "swallowed"
        finished.append("slept")
        return "done"

    wire = await rig.serve_on_wire(workflow)
    invocation = await rig.send(workflow)
    await invocation.until_entry("A", completed=True)
    wire.cut()
    assert await invocation.result() == "done"
    assert rig.ledger.order() == ["do A"]
    assert ends.told == ["completed"]
    assert finished == ["slept"]
