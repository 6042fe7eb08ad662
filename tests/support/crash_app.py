"""An app for a worker that is killed: where it is held, its effect is committed, not journaled.

It is told by its environment where its ledger is, which protocol to speak, and the suffix of its
service's name. The input says where to hold: ``"do B"``, ``"undo B"`` or ``""``; it raises the
flag ``at do B`` there, and goes on once the flag ``do B`` is raised.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import restate
from restate import TerminalError

from resaga import CompensationContext, Saga, SagaStep, StepContext, create_saga_step, saga_workflow
from tests.support.ledger import Ledger
from tests.support.serving import Protocol
from tests.support.waiting import until

LEDGER = "RESAGA_TEST_LEDGER"
PROTOCOL = "RESAGA_TEST_PROTOCOL"
SERVICE = "RESAGA_TEST_SERVICE"


def make_app(ledger: Ledger, service: str, protocol: Protocol | None) -> Any:
    """The app: one saga of three steps and a failure."""

    async def hold_at(where: str, hold: str) -> None:
        if where == hold:
            ledger.raise_flag(f"at {where}")
            await until(lambda: ledger.has_flag(where), f"the flag {where} is raised")

    def make(name: str) -> SagaStep[Any, Any, Any, Any]:
        async def run(step: StepContext[Any], hold: str) -> str:
            ledger.do(step, os.getpid())
            await hold_at(f"do {name}", hold)
            return hold

        async def undo(step: CompensationContext[Any, Any], hold: str) -> None:
            ledger.undo(step, os.getpid())
            await hold_at(f"undo {name}", hold)

        return create_saga_step(name, run, undo)

    steps = [make(name) for name in "ABC"]

    @saga_workflow(service)
    async def crash(saga: Saga, hold: str) -> None:
        for step in steps:
            await step(saga, hold)
        raise TerminalError("no", 409)

    return restate.app([crash], protocol=protocol)


app = (
    make_app(
        Ledger(Path(os.environ[LEDGER])),
        os.environ[SERVICE],
        cast(Protocol | None, os.environ.get(PROTOCOL)),
    )
    if LEDGER in os.environ
    else None
)
