"""Composition and `saga.state` without a server: what is refused, and what becomes terminal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from restate import TerminalError

from resaga import (
    CodecError,
    MisuseError,
    Saga,
    SagaState,
    create_saga_module,
    run_nested_saga,
    saga_module,
    saga_workflow,
)
from resaga.attempt import Attempt
from resaga.line import Line
from resaga.nested import run_inside
from resaga.scope import Shield, current_shield
from resaga.stack import Frame


class Context:
    """A Restate context whose state holds one value; what is set in it is kept."""

    has_state = True

    def __init__(self, value: bytes | None) -> None:
        self.value = value
        self.changes: list[object] = []

    async def get(self, name: str, **_: object) -> bytes | None:
        return self.value

    def set(self, name: str, value: bytes, **_: object) -> None:
        self.changes.append((name, value))

    def clear(self, name: str) -> None:
        self.changes.append(name)


class Journal:
    """A journal that nothing interrupts."""

    saga_id = "inv_1"

    def __init__(self, value: bytes | None = None) -> None:
        self.ctx = Context(value)

    def check(self) -> None: ...


def attempt_with(value: bytes | None = None, mapper: Any = None) -> Attempt:
    return Attempt(
        journal=cast("Any", Journal(value)),
        workflow="Checkout",
        services=7,
        mappers=(mapper,),
        observers=(),
        max_result_size=100,
        scheduler=cast("Any", None),
    )


def saga_with(value: bytes | None = None, mapper: Any = None) -> Saga[Any]:
    return Saga(attempt_with(value, mapper), Line("", Frame()))


def loose(fn: object) -> Any:
    """A function to be called as the checkers would not let it."""
    return fn


# -- composition ---------------------------------------------------------------------------------


class Declined(Exception):
    pass


def declines(error: Exception) -> TerminalError | None:
    return TerminalError("declined", 402) if isinstance(error, Declined) else None


def raising(error: Exception) -> Callable[[Saga[Any]], Awaitable[None]]:
    async def body(saga: Saga[Any]) -> None:
        raise error

    return body


async def test_r3_what_only_the_inner_mapper_takes_for_terminal_becomes_so_inside() -> None:
    with pytest.raises(TerminalError, match="declined") as caught:
        await run_inside(saga_with(), raising(Declined()), mapper=declines, what="it", name="it")
    assert caught.value.status_code == 402


@pytest.mark.parametrize("error", [LookupError("not yet"), TerminalError("no", 409)])
@pytest.mark.parametrize("mapper", [None, declines])
async def test_all_else_goes_on_as_it_is(error: Exception, mapper: Any) -> None:
    with pytest.raises(type(error)) as caught:
        await run_inside(saga_with(), raising(error), mapper=mapper, what="it", name="it")
    assert caught.value is error


async def test_the_outer_mapper_is_for_the_outside_to_ask() -> None:
    with pytest.raises(Declined):
        await run_nested_saga(saga_with(mapper=declines), raising(Declined()))


async def test_a_module_passes_on_what_it_is_given() -> None:
    @saga_module
    async def module(saga: Saga[int], first: str, *, second: int = 2) -> tuple[int, str, int]:
        return saga.services, first, second

    assert await module(saga_with(), "x", second=3) == (7, "x", 3)
    assert await module(saga_with(), first="x") == (7, "x", 2)
    assert module.__name__ == "module"


@saga_workflow("Inner")
async def inner(saga: Saga, number: int | None) -> int | None:
    return number


async def test_a_workflow_is_given_its_input_as_it_is() -> None:
    assert await inner.run_as_step(saga_with(), 7) == 7
    assert await inner.run_as_step(saga_with(), None) is None


def plain(saga: Saga) -> None: ...


async def takes_nothing() -> None: ...


async def yields(saga: Saga) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("fn", "mend"),
    [
        (plain, "plain is not an async def"),
        (takes_nothing, "takes no argument"),
        (yields, "is a generator"),
        (7, "Give a function"),
    ],
)
def test_r21_what_cannot_be_a_module_is_refused(fn: object, mend: str) -> None:
    for make in (saga_module, create_saga_module):
        with pytest.raises(MisuseError, match=rf"saga module .*{mend}"):
            loose(make)(fn)


@pytest.mark.parametrize(
    ("fn", "mend"),
    [(plain, "which is no async def"), (yields, "is a generator"), (7, "Give a function")],
)
async def test_r21_what_cannot_be_nested_is_refused(fn: object, mend: str) -> None:
    with pytest.raises(MisuseError, match=rf"run_nested_saga .*{mend}"):
        await loose(run_nested_saga)(saga_with(), fn)


async def test_r21_the_first_argument_is_the_saga() -> None:
    module = loose(create_saga_module(lambda_of))
    for what in (loose(inner.run_as_step), loose(run_nested_saga), module):
        with pytest.raises(MisuseError, match=r"was given str\. Its first argument is the saga"):
            await what("no saga", lambda_of)


async def lambda_of(saga: Saga, *_: object) -> None: ...


# -- the state -----------------------------------------------------------------------------------


def state_of(saga: Saga[Any]) -> SagaState:
    return saga.state


async def test_a_value_is_read_as_its_type() -> None:
    assert await state_of(saga_with(b"[1,2]")).get("numbers", list[int]) == [1, 2]
    assert await state_of(saga_with(b'{"a":1}')).get("anything") == {"a": 1}
    assert await state_of(saga_with(None)).get("absent", int) is None


async def test_a_value_that_does_not_fit_its_type_is_told_with_its_key() -> None:
    state = state_of(saga_with(b'"s3cr3t"'))
    with pytest.raises(
        CodecError, match=r"^state 'balance' of saga Checkout .*expected int"
    ) as told:
        await state.get("balance", int)
    assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [({"a": {1, 2}}, ()), ("text", (int,)), (object(), ())],
    ids=["a set", "another type", "an object"],
)
def test_a_value_that_cannot_be_written_changes_nothing(value: object, hint: Any) -> None:
    saga = saga_with()
    with pytest.raises((CodecError, MisuseError), match="state 'balance'"):
        loose(state_of(saga)).set("balance", value, *hint)
    assert cast("Any", saga._attempt.journal.ctx).changes == []


def test_r14_a_rollback_is_not_rolled_back() -> None:
    saga = saga_with()
    shield = current_shield.set(Shield("key"))
    try:
        with pytest.raises(MisuseError, match=r"set\('balance'\).*called in a compensation"):
            loose(state_of(saga)).set("balance", 7)
        with pytest.raises(MisuseError, match=r"clear\('balance'\).*step\.ctx"):
            loose(state_of(saga)).clear("balance")
    finally:
        current_shield.reset(shield)
    assert cast("Any", saga._attempt.journal.ctx).changes == []


def test_r21_a_plain_workflow_has_no_state() -> None:
    saga = saga_with()
    cast("Any", saga._attempt.journal.ctx).has_state = False
    with pytest.raises(MisuseError, match=r"saga\.state of saga Checkout .*has no state"):
        state_of(saga)
