"""R27, R4: an error that the SDK could not report never makes an invocation hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

import pytest
from restate import TerminalError
from restate.exceptions import RetryableError

from resaga import Saga, SagaObserver, SagaRequest, StepEvent, saga_workflow
from tests.support import Rig

# What the type checkers refuse as well is passed through here.
loose_terminal = cast("Callable[..., TerminalError]", TerminalError)
loose_retryable = cast("Callable[..., RetryableError]", RetryableError)


class Detached:
    """Like a row whose database session is closed."""

    def __repr__(self) -> str:
        raise RuntimeError("detached")


class Textless(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class BrokenRepr(ValueError):
    def __repr__(self) -> str:
        return "broken \udc80"


def _from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def _in_a_circle() -> Exception:
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    return error


ORDINARY: dict[str, Callable[[], BaseException]] = {
    "repr raises": lambda: ValueError(Detached()),
    "repr is broken": BrokenRepr,
    "str raises": Textless,
    "inside a group": lambda: ExceptionGroup("both", [ValueError(Detached()), KeyError("b")]),
    "causes in a circle": _in_a_circle,
    "retryable, large code": lambda: loose_retryable("later", 70_000),
    "retryable, number as message": lambda: loose_retryable(7),
    "retryable, in the past": lambda: RetryableError("later", retry_after=timedelta(seconds=-1)),
    "retryable, as cause": lambda: _from(ValueError("why"), loose_retryable("later", "x")),
}


@pytest.mark.parametrize("where", ["action", "thread", "durable", "body", "undo", "enter", "exit"])
@pytest.mark.parametrize("kind", ORDINARY)
async def test_r27_an_error_that_cannot_be_reported_is_retried(
    rig: Rig, kind: str, where: str
) -> None:
    raised: list[str] = []

    def once(here: str) -> BaseException | None:
        if here != where or raised:
            return None
        raised.append(here)
        return ORDINARY[kind]()

    def raise_once(here: str) -> None:
        error = once(here)
        if error is not None:
            raise error

    @asynccontextmanager
    async def scope(request: SagaRequest[Any]) -> AsyncGenerator[None]:
        raise_once("enter")
        yield None
        raise_once("exit")

    inside = where if where in ("thread", "durable") else "action"
    a = rig.step(
        "A",
        threaded=where == "thread",
        durable=where == "durable",
        fails=lambda n: once(inside),
        undo_fails=lambda n: once("undo"),
    )

    @saga_workflow(rig.name("Unreportable"), services_from=scope)
    async def workflow(saga: Saga[None], fails: bool) -> str:
        await a(saga, 1)
        raise_once("body")
        if fails:
            raise TerminalError("no", 409)
        return "done"

    await rig.serve(workflow)
    if where == "undo":
        assert (await rig.fail(workflow, True)).message == "no"
        assert set(rig.ledger.undone()) == {"A"}
    else:
        assert await rig.call(workflow, False) == "done"
        assert rig.ledger.undone() == []
    assert raised == [where]


TERMINAL: dict[str, Callable[[], TerminalError]] = {
    "metadata in a list": lambda: loose_terminal("odd", 409, ["a"]),
    "metadata as text": lambda: loose_terminal("odd", 409, "abc"),
    "metadata as number": lambda: loose_terminal("odd", 409, 5),
    "metadata without text": lambda: loose_terminal("odd", 409, {"a": Textless()}),
    "true as code": lambda: loose_terminal("odd", True),
    "fraction as code": lambda: loose_terminal("odd", 409.5),
    "no code": lambda: loose_terminal("odd", None),
}


@pytest.mark.parametrize("where", ["action", "durable", "body", "undo"])
@pytest.mark.parametrize("kind", TERMINAL)
async def test_r27_a_terminal_error_that_cannot_be_sent_ends_the_saga(
    rig: Rig, kind: str, where: str
) -> None:
    error = TERMINAL[kind]()
    a = rig.step(
        "A",
        durable=where == "durable",
        fails=error if where in ("action", "durable") else None,
        undo_fails=error if where == "undo" else None,
    )

    @saga_workflow(rig.name("OddTerminal"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise error if where == "body" else TerminalError("no", 409)

    await rig.serve(workflow)
    told = await rig.fail(workflow)
    assert "odd" in told.message
    assert told.code == (409 if where == "undo" or kind.startswith("metadata") else 500)
    assert rig.ledger.order() == ["do A", "undo A"]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3)], ids=["cancel", "exit"])
async def test_r25_an_observer_that_exits_breaks_nothing(rig: Rig, error: BaseException) -> None:
    """An observer that asks a cancelled future for its result does that."""
    told: list[str] = []

    class Exits(SagaObserver):
        def on_step_completed(self, event: StepEvent) -> None:
            told.append(event.step)
            raise error

        def on_compensation_completed(self, event: StepEvent) -> None:
            told.append(f"undo {event.step}")
            raise error

    a = rig.step("A")

    @saga_workflow(rig.name("Exits"), observers=[Exits()])
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        raise TerminalError("no", 409)

    await rig.serve(workflow)
    assert (await rig.fail(workflow)).message == "no"
    assert rig.ledger.order() == ["do A", "undo A"]
    assert told == ["A", "undo A"]
