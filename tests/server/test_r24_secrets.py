"""R24: resaga puts no payload, key or secret into logs, messages or metadata."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import pydantic
import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    DurableStepContext,
    Saga,
    SagaObserver,
    SagaRequest,
    StepContext,
    StepEvent,
    StepResponse,
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


@dataclass
class Order:
    number: int
    model: Model
    by_name: dict[str, int]


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


@pytest.mark.parametrize("where", ["body", "durable", "undo"])
async def test_r24_nor_does_one_raised_anywhere_else(rig: Rig, where: str) -> None:
    register_terminal_errors({pydantic.ValidationError: 422})

    def validate(_: int = 0) -> None:
        Model.model_validate({"number": SECRET})

    step = rig.step("S", durable=where == "durable")

    async def run(step: DurableStepContext) -> None:
        validate()

    async def undo(step: CompensationContext, data: object) -> None:
        try:
            validate()
        except pydantic.ValidationError as error:
            raise TerminalError("the undo says what it wants") from error

    fails = create_saga_step("F", run, durable=True)

    @saga_workflow(rig.name("Elsewhere"))
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)
        if where == "undo":
            saga.add_compensation("U", undo, None)
            raise TerminalError("no", 422)
        if where == "durable":
            await fails(saga)
        validate()

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    error = await invocation.error()
    assert error.code == 422
    assert SECRET not in error.message
    assert SECRET not in str(error.metadata)
    for entry in await invocation.journal():
        assert SECRET.encode() not in entry.raw
        assert SECRET not in str(entry.failure)


async def test_r24_bad_input_is_refused_without_any_of_it(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    @saga_workflow(rig.name("Refused"))
    async def workflow(saga: Saga, order: Order) -> None:
        """Never runs."""

    caplog.set_level(logging.DEBUG, logger="resaga")
    await rig.serve(workflow)
    for value in (
        SECRET,
        {"number": SECRET, "model": {"number": 1}, "by_name": {}},
        {"number": 1, "model": {"number": SECRET}, "by_name": {}},
        {"number": 1, "model": {"number": 1}, "by_name": {SECRET: "x"}},
        {SECRET: 1},
    ):
        error = await rig.fail(workflow, value)
        assert error.code == 400
        assert "$" in error.message
        assert SECRET not in error.message
        assert not error.metadata
    assert not [record for record in caplog.records if record.name.startswith("resaga")]


@pytest.mark.parametrize("kind", ["provider", "output", "misuse", "data"])
async def test_r24_what_resaga_says_when_an_attempt_fails_has_no_payload(
    rig: Rig, kind: str
) -> None:
    """Restate shows it to operators."""
    done: list[str] = []

    def once(what: str) -> bool:
        done.append(what)
        return done.count(what) == 1

    @asynccontextmanager
    async def services(request: SagaRequest[str]) -> AsyncGenerator[None]:
        if kind == "provider" and "body" in done and once("provider"):
            raise TerminalError(SECRET)
        yield None

    async def run(step: StepContext[None], secret: str) -> StepResponse[str, Any]:
        if kind == "data":
            return StepResponse(secret, {"secret": secret, "never": object()})
        return StepResponse(secret)

    step = create_saga_step("S", run)

    @saga_workflow(rig.name("Says"), services_from=services)
    async def workflow(saga: Saga[None], secret: str) -> int:
        output: Any = await step(saga, secret)
        if once("body"):
            if kind == "output":
                return cast("int", output)
            if kind == "misuse":
                await asyncio.gather(step(saga, output), step(saga, output))
            raise ValueError("a hiccup")
        if kind == "misuse":
            await step(saga, output)
        return 1

    await rig.serve(workflow)
    invocation = await rig.send(workflow, SECRET)
    end = await invocation.attach()
    assert (end.error is not None) == (kind == "data")
    told = [*await invocation.failures(), "" if end.error is None else end.error.message]
    said = {
        "provider": "The services_from provider of",
        "output": "returned what its annotation does not admit",
        "misuse": "was started while step",
        "data": "its result cannot be journaled",
    }[kind]
    assert said in "".join(told)
    for text in told:
        assert SECRET not in text
        assert f"{invocation.id}." not in text, "an idempotency key"


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
