"""R27: any text that JSON carries is a name; and no text of an error makes an invocation hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from restate import TerminalError

from resaga import (
    CompensationContext,
    MisuseError,
    Saga,
    StepContext,
    create_saga_step,
    create_saga_workflow,
    saga_workflow,
)
from tests.support import Rig

NAMES = [
    "nul \x00 in it",
    "line\u2028separator",
    "Zahlung prüfen 💶",
    'say "hi"\n\ttwice',
    "x" * 1000,
    "a/b?c=d&e#f",
    " ",
]
BROKEN = "broken \udc80 text"


@pytest.mark.parametrize("name", NAMES)
async def test_r27_a_name_may_be_any_text(rig: Rig, name: str) -> None:
    step = rig.step(name)

    @saga_workflow(rig.name("Named"))
    async def workflow(saga: Saga) -> None:
        await step(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    await invocation.error()
    assert await invocation.runs() == [name, f"compensate:{name}"]
    assert rig.ledger.order() == [f"do {name}", f"undo {name}"]


def test_r27_a_lone_surrogate_is_refused() -> None:
    async def run(step: StepContext) -> None:
        """Does nothing."""

    with pytest.raises(MisuseError, match="lone surrogate"):
        create_saga_step("broken \ud800", run)


def test_r27_so_is_one_of_a_workflow() -> None:
    async def body(saga: Saga) -> None:
        """Does nothing."""

    with pytest.raises(MisuseError, match="lone surrogate"):
        create_saga_workflow("broken \ud800", body)


@pytest.mark.parametrize("name", ["", "broken \ud800"])
async def test_r27_and_one_of_a_compensation_without_a_step(rig: Rig, name: str) -> None:
    refused: list[MisuseError] = []

    async def undo(step: CompensationContext, data: int) -> None:
        """Never runs."""

    @saga_workflow(rig.name("Added"))
    async def workflow(saga: Saga) -> None:
        try:
            saga.add_compensation(name, undo, 1)
        except MisuseError as error:
            refused.append(error)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    invocation = await rig.send(workflow)
    assert (await invocation.error()).message == "no"
    assert refused
    assert await invocation.runs() == []


def _odd(kind: str) -> Exception:
    code: Any = 500
    metadata: Any = None
    message: Any = "odd"
    match kind:
        case "surrogate":
            return TerminalError(BROKEN)
        case "large code":
            code = 70_000
        case "negative code":
            code = -1
        case "text as code":
            code = "x"
        case "metadata":
            metadata = {"a": 1, 2: "b", "c": BROKEN}
        case "number as message":
            message = 7
        case _:
            raise AssertionError(kind)
    return TerminalError(message, code, metadata)


KINDS = [
    "surrogate",
    "large code",
    "negative code",
    "text as code",
    "metadata",
    "number as message",
]


@pytest.mark.parametrize("where", ["action", "durable", "body", "undo"])
@pytest.mark.parametrize("kind", KINDS)
async def test_r27_odd_terminal_errors_end_a_saga_all_the_same(
    rig: Rig, kind: str, where: str
) -> None:
    error = _odd(kind)
    a = rig.step(
        "A",
        durable=where == "durable",
        fails=error if where in ("action", "durable") else None,
        undo_fails=error if where == "undo" else None,
    )

    @saga_workflow(rig.name("Odd"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise error if where == "body" else TerminalError("no", 409)

    await rig.serve(workflow)
    told = await rig.fail(workflow)
    assert rig.ledger.undone() == ["A"]
    assert any(part in told.message for part in ("odd", "broken", "7"))


@pytest.mark.parametrize("where", ["action", "body", "undo"])
async def test_r27_so_does_one_in_the_cause_of_what_cannot_be_told(rig: Rig, where: str) -> None:
    def error(_: int = 0) -> Exception:
        return _caused_by(ValueError(BROKEN), TerminalError("odd", 409))

    a = rig.step(
        "A",
        fails=error if where == "action" else None,
        undo_fails=error if where == "undo" else None,
    )

    @saga_workflow(rig.name("OddCause"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise error() if where == "body" else TerminalError("no", 409)

    await rig.serve(workflow)
    told = await rig.fail(workflow)
    assert told.code == 409
    assert rig.ledger.order() == ["do A", "undo A"]
    assert "odd" in told.message


def _caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ORDINARY: dict[str, Callable[[], BaseException]] = {
    "text": lambda: ValueError(BROKEN),
    "cause": lambda: _caused_by(ValueError("why"), ValueError(BROKEN)),
    "group": lambda: ExceptionGroup(BROKEN, [ValueError("a"), ValueError("b")]),
    "base group": lambda: BaseExceptionGroup("x", [asyncio.CancelledError(), ValueError("a")]),
}


@pytest.mark.parametrize("where", ["action", "durable", "body", "undo"])
@pytest.mark.parametrize("kind", ORDINARY)
async def test_r27_odd_ordinary_errors_are_retried_all_the_same(
    rig: Rig, kind: str, where: str
) -> None:
    raised: list[int] = []

    def once(_: int) -> BaseException | None:
        if raised:
            return None
        raised.append(1)
        return ORDINARY[kind]()

    a = rig.step(
        "A",
        durable=where == "durable",
        fails=once if where in ("action", "durable") else None,
        undo_fails=once if where == "undo" else None,
    )

    @saga_workflow(rig.name("OddOrdinary"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        error = once(0) if where == "body" else None
        raise error or TerminalError("no", 409)

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).message == "no"
    assert raised
    assert rig.ledger.undone()
