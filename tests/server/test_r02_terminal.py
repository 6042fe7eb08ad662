"""R2: which exceptions are terminal: cause chains and groups."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from restate import TerminalError
from restate.exceptions import RetryableError

from resaga import Saga, saga_workflow
from tests.support import Rig


class OrderFailed(Exception):
    """A domain error that nothing maps."""


def caused() -> None:
    """Raise a domain error with a terminal cause, as ``raise ... from ...`` does."""
    try:
        raise TerminalError("sold out", 409, metadata={"sku": "7"})
    except TerminalError as error:
        raise OrderFailed("wrapped") from error


def caused_twice() -> None:
    """The same through a second link."""
    try:
        caused()
    except OrderFailed as error:
        raise LookupError("further away") from error


def grouped() -> None:
    """A group in which every leaf is terminal, one by its cause."""
    leaves: list[Exception] = [TerminalError("sold out", 409, metadata={"sku": "7"})]
    try:
        caused()
    except OrderFailed as error:
        leaves.append(ExceptionGroup("inner", [TerminalError("later", 400), error]))
    raise ExceptionGroup("outer", leaves)


def beside_ordinary() -> None:
    """A group with an ordinary leaf."""
    raise ExceptionGroup("outer", [TerminalError("sold out", 409), ValueError("ordinary")])


def in_context_only() -> None:
    """A terminal error that is context, not cause."""
    try:
        raise TerminalError("sold out", 409)
    except TerminalError:
        raise OrderFailed("while handling it")  # noqa: B904


def behind_retryable() -> None:
    """The chain leads to a RetryableError first."""
    retryable = RetryableError("try again")
    retryable.__cause__ = TerminalError("sold out", 409)
    raise OrderFailed("wrapped") from retryable


TERMINAL: list[Callable[[], None]] = [caused, caused_twice, grouped]
ORDINARY: list[Callable[[], None]] = [beside_ordinary, in_context_only, behind_retryable]


def raised_by(cause: Callable[[], None]) -> Callable[[int], BaseException | None]:
    """For a step's ``fails``."""

    def fails(attempt: int) -> BaseException | None:
        try:
            cause()
        except Exception as error:
            return error
        return None

    return fails


def once(cause: Callable[[], None]) -> Callable[[int], BaseException | None]:
    """For a step's ``fails``: on the first attempt only."""
    always = raised_by(cause)
    return lambda attempt: always(attempt) if attempt == 1 else None


@pytest.mark.parametrize("cause", TERMINAL)
async def test_r02_terminal_in_the_body(rig: Rig, cause: Callable[[], None]) -> None:
    a = rig.step("A")

    @saga_workflow(rig.name("Body"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        cause()

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message, error.metadata) == (409, "sold out", {"sku": "7"})
    assert rig.ledger.order() == ["do A", "undo A"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize("cause", TERMINAL)
async def test_r02_terminal_in_a_step(rig: Rig, cause: Callable[[], None], durable: bool) -> None:
    a = rig.step("A")

    def refuse(value: object) -> object:
        cause()
        return value

    b = rig.step("B", durable=durable, returns=refuse)

    @saga_workflow(rig.name("Step"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert (error.code, error.message, error.metadata) == (409, "sold out", {"sku": "7"})
    assert rig.ledger.order() == ["do A", "do B", "undo B", "undo A"]


@pytest.mark.parametrize("cause", ORDINARY)
async def test_r02_ordinary_in_the_body(rig: Rig, cause: Callable[[], None]) -> None:
    a = rig.step("A")
    raised: list[int] = []

    @saga_workflow(rig.name("BodyOrdinary"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        if not raised:
            raised.append(1)
            cause()
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert raised == [1]
    assert rig.ledger.order() == ["do A"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
@pytest.mark.parametrize("cause", ORDINARY)
async def test_r02_ordinary_in_a_step(rig: Rig, cause: Callable[[], None], durable: bool) -> None:
    a = rig.step("A")
    b = rig.step("B", durable=durable, fails=once(cause))

    @saga_workflow(rig.name("StepOrdinary"))
    async def workflow(saga: Saga) -> str:
        await a(saga, 1)
        await b(saga, 2)
        return "done"

    await rig.serve(workflow)
    assert await rig.call(workflow) == "done"
    assert rig.ledger.order() == ["do A", "do B", "do B"]


@pytest.mark.parametrize("durable", [False, True], ids=["plain", "durable"])
async def test_r02_a_compensation_that_fails_with_a_chain_failed_for_good(
    rig: Rig, durable: bool
) -> None:
    a, c = rig.steps("A", "C")
    b = rig.step("B", undo_fails=raised_by(caused))

    @saga_workflow(rig.name("UndoChain"))
    async def workflow(saga: Saga) -> None:
        await a(saga, 1)
        await b(saga, 2)
        await c(saga, 3)
        raise TerminalError("no", 418)

    await rig.serve(workflow)
    error = await rig.fail(workflow)
    assert error.metadata["resaga.rollback"] == "incomplete"
    assert "B: sold out" in error.message
    assert rig.ledger.undone() == ["C", "B", "A"]
