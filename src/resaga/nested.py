"""Workflows and modules inside a saga: their compensations join it (composition)."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, Never, ParamSpec, cast

from typing_extensions import TypeVar

from resaga.action import forbid_in_action, runs_in_thread
from resaga.classify import ErrorMapper, raise_terminal, terminal_of
from resaga.errors import MisuseError
from resaga.saga import Saga
from resaga.signature import check_function, parameters

__all__ = ["create_saga_module", "run_inside", "run_nested_saga", "saga_module"]

S = TypeVar("S")
Out = TypeVar("Out")
P = ParamSpec("P")


async def run_inside(
    saga: Saga[S],
    body: Callable[[Saga[S]], Awaitable[Out]],
    *,
    mapper: ErrorMapper | None = None,
    what: str,
    name: str,
) -> Out:
    """Run code inside a saga, as a part of it.

    Args:
        saga: The saga.
        body: What runs; it is given the saga as it sees it.
        mapper: Its own ``as_terminal_error``, asked before the saga's (R3).
        what: What the user called, for messages.
        name: What the journal calls it.
    """
    forbid_in_action(what)
    if not isinstance(saga, Saga):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise MisuseError(
            f"{what} was given {type(saga).__name__}. Its first argument is the saga it is to be "
            "part of; to start a saga of its own, call the workflow through a client."
        )
    attempt = saga._attempt  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    attempt.journal.check()
    try:
        return await body(saga._inside(name, mapper))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    except Exception as exc:
        # What is terminal by itself goes on as it is. What only this body's mapper takes for
        # terminal has to become so here: outside, nobody asks that one.
        if mapper is None or terminal_of(exc, mapped=False) is not None:
            raise
        terminal = terminal_of(exc, mapper, *attempt.mappers)
        if terminal is None:
            raise
        raise_terminal(terminal)


async def run_nested_saga(saga: Saga[S], fn: Callable[[Saga[S]], Awaitable[Out]]) -> Out:
    """Run a function inside a saga: the compensations of its steps join that saga.

    It is the same as awaiting the function with the saga, and says so. On replay it runs again,
    as the body does.

    Args:
        saga: The saga in hand, also in a branch of ``saga.gather``.
        fn: An ``async def`` of the saga.

    Returns:
        What ``fn`` returns.

    Raises:
        restate.TerminalError: ``fn`` failed for good. Nothing is rolled back yet: that happens
            when the saga fails, or the savepoint around it (R5, R18).
        MisuseError: ``fn`` is no ``async def``, or it is called inside an action (R14, R21).

    Example::

        paid = await run_nested_saga(saga, lambda inner: pay(inner, order))
    """
    check_function(fn, where="The function of run_nested_saga")

    async def body(inner: Saga[S]) -> Out:
        running = fn(inner)
        if not isinstance(running, Awaitable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise MisuseError(
                f"run_nested_saga was given {fn!r}, which is no async def: it awaits steps, so it "
                "has to be one."
            )
        return await running

    return await run_inside(saga, body, what="run_nested_saga", name=_name_of(fn))


def saga_module(
    fn: Callable[Concatenate[Saga[S], P], Coroutine[Any, Any, Out]],
) -> Callable[Concatenate[Saga[S], P], Coroutine[object, Never, Out]]:
    """Make a module of an ``async def``: a part of sagas that is no service of its own.

    It is called like a step, with the saga first, and its compensations join that saga. On
    replay it runs again, as the body does.

    Args:
        fn: Takes the saga, and whatever else it needs.

    Returns:
        A function with the same parameters.

    Raises:
        MisuseError: At definition, for what cannot work (R21).

    Example::

        @saga_module
        async def pay(saga: Saga, payment: Payment) -> Paid:
            held = await authorize(saga, payment)
            return await capture(saga, held)


        paid = await pay(saga, payment)
    """
    name = getattr(fn, "__qualname__", repr(fn))
    check_function(fn, where=f"saga module {name}")
    if runs_in_thread(fn):
        raise MisuseError(
            f"saga module {name} is not an async def. It awaits steps, so it has to be one."
        )
    if not parameters(fn):
        raise MisuseError(
            f"saga module {name} takes no argument. Its first one is the saga: "
            "async def module(saga, ...)."
        )

    @functools.wraps(fn)
    async def module(saga: Saga[S], *args: P.args, **kwargs: P.kwargs) -> Out:
        return await run_inside(
            saga,
            lambda inner: fn(inner, *args, **kwargs),
            what=f"saga module {name}",
            name=_name_of(fn),
        )

    return cast("Callable[Concatenate[Saga[S], P], Coroutine[object, Never, Out]]", module)


def create_saga_module(
    fn: Callable[Concatenate[Saga[S], P], Coroutine[Any, Any, Out]],
) -> Callable[Concatenate[Saga[S], P], Coroutine[object, Never, Out]]:
    """Make a module of a function, without a decorator; see `saga_module`.

    Args:
        fn: Takes the saga, and whatever else it needs.

    Returns:
        A function with the same parameters.

    Raises:
        MisuseError: For what cannot work (R21).

    Example::

        pay = create_saga_module(run_payment)
    """
    return saga_module(fn)


def _name_of(fn: Callable[..., object]) -> str:
    name: str = getattr(fn, "__name__", type(fn).__name__)
    return "nested saga" if name == "<lambda>" else name
