"""R24: resaga puts no payload, key or secret into logs, messages or metadata."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import msgspec
import pydantic
import pytest
from restate import TerminalError

from resaga import (
    Saga,
    SagaObserver,
    StepContext,
    StepEvent,
    create_saga_step,
    register_terminal_errors,
    saga_workflow,
)
from tests.support import Rig

SECRET = "s3cr3t"


@dataclass
class Card:
    number: int


class Model(pydantic.BaseModel):
    number: int


@pytest.mark.parametrize("kind", ["msgspec", "pydantic"])
async def test_r24_a_registered_validation_error_quotes_no_value(rig: Rig, kind: str) -> None:
    """The libraries' own texts do."""
    register_terminal_errors({msgspec.ValidationError: 422, pydantic.ValidationError: 422})

    async def run(step: StepContext) -> None:
        if kind == "msgspec":
            msgspec.convert({"number": SECRET}, Card)
        else:
            Model.model_validate({"number": SECRET})

    step = create_saga_step("S", run)

    @saga_workflow(rig.name("Validation"))
    async def workflow(saga: Saga) -> None:
        await step(saga)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.code == 422
    assert SECRET not in error.message
    assert error.message


async def test_r24_nothing_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    class Raises(SagaObserver):
        def on_step_started(self, event: StepEvent) -> None:
            raise ValueError(SECRET)

    async def run(step: StepContext, card: dict[str, Any]) -> str:
        return SECRET

    step = create_saga_step("S", run)
    fails = rig.step("F", fails=TerminalError("no", 409))

    @saga_workflow(rig.name("Logs"), observers=[Raises()])
    async def workflow(saga: Saga, card: dict[str, Any]) -> None:
        await step(saga, card)
        await fails(saga, 1)

    caplog.set_level(logging.DEBUG, logger="resaga")
    await rig.serve(workflow)
    error = await rig.fail(workflow, {"number": SECRET})
    told = [record for record in caplog.records if record.name.startswith("resaga")]
    assert told, "the observer's failure is logged"
    for record in told:
        assert SECRET not in record.getMessage()
        assert error.invocation_id + "." not in record.getMessage(), "an idempotency key"
    assert SECRET not in str(error.message)
    assert not error.metadata
