"""An app for a worker that is killed, with an observer: what it hears is written to the ledger.

Like `tests.support.crash_app`, whose environment and flags it goes by: the input says where to
hold, and it raises the flag ``at do B`` there. Its steps are a plain one, the one that is held,
and a durable one. Each event is a note, ``step_started B``, with its id as payload.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import restate
from restate import TerminalError

from resaga import (
    CompensationContext,
    DurableStepContext,
    Saga,
    SagaEvent,
    SagaObserver,
    StepContext,
    StepEvent,
    saga_step,
    saga_workflow,
)
from tests.support.crash_app import LEDGER, PROTOCOL, SERVICE
from tests.support.ledger import Ledger
from tests.support.serving import Protocol
from tests.support.waiting import until


class Scribe(SagaObserver):
    """Writes each event to the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def _write(self, what: str, event: SagaEvent) -> None:
        name = f"{what} {event.step}" if isinstance(event, StepEvent) else what
        self._ledger.note(name, event.event_id, saga=event.saga_id)

    def on_saga_started(self, event: SagaEvent) -> None:
        self._write("saga_started", event)

    def on_saga_failed(self, event: SagaEvent) -> None:
        self._write("saga_failed", event)

    def on_step_started(self, event: StepEvent) -> None:
        self._write("step_started", event)

    def on_step_completed(self, event: StepEvent) -> None:
        self._write("step_completed", event)

    def on_compensation_started(self, event: StepEvent) -> None:
        self._write("compensation_started", event)

    def on_compensation_completed(self, event: StepEvent) -> None:
        self._write("compensation_completed", event)


def make_app(ledger: Ledger, service: str, protocol: Protocol | None) -> Any:
    """The app: one saga that fails after its steps."""

    async def hold_at(where: str, hold: str) -> None:
        if where == hold:
            ledger.raise_flag(f"at {where}")
            await until(lambda: ledger.has_flag(where), f"the flag {where} is raised")

    async def run(step: StepContext, hold: str) -> str:
        ledger.do(step, os.getpid())
        await hold_at(f"do {step.name}", hold)
        return hold

    async def undo(step: CompensationContext, hold: str) -> None:
        ledger.undo(step, os.getpid())
        await hold_at(f"undo {step.name}", hold)

    async def durable(step: DurableStepContext, hold: str) -> str:
        return await step.ctx.run_typed("inside", lambda: hold)

    steps = [saga_step(name)(run) for name in "AB"]
    for step in steps:
        step.compensate(undo)
    a, b = steps
    d = saga_step("D", durable=True)(durable)

    @saga_workflow(service, observers=[Scribe(ledger)])
    async def crash(saga: Saga, hold: str) -> None:
        await a(saga, hold)
        await d(saga, hold)
        await b(saga, hold)
        raise TerminalError("no", 409)

    return restate.app([crash], protocol=protocol)


app = (
    make_app(
        Ledger(Path(os.environ[LEDGER])),
        os.environ[SERVICE],
        cast("Protocol | None", os.environ.get(PROTOCOL)),
    )
    if LEDGER in os.environ
    else None
)
